"""Draw test mIoU against operations a pixel, for each data set of a comparison.

    python experiments/accuracy_cost.py

From `experiments/results/jain_table.json` (`experiments/comparison.py`). Writes
`docs/images/accuracy_cost.png`. Expected: region models left of the U-Net by a factor of four and
more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULT = HERE / "results" / "jain_table.json"
PICTURE = HERE.parent / "docs" / "images" / "accuracy_cost.png"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def main() -> None:
    """One panel a data set."""
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["accuracy"]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    figure = Figure(figsize=(4.2 * len(datasets), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, dataset in zip(
        figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=False
    ):
        draw(axes, [row for row in rows if row["dataset"] == dataset])
        axes.set_title(dataset, fontsize=10)
    figure.savefig(PICTURE, dpi=150)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A point for each model: hollow where its training had not flattened."""
    for row, color in zip(rows, COLORS, strict=False):
        face = color if row["converged"] else "white"
        x, y = row["operations_per_pixel"], row["miou"]
        axes.plot([x], [y], "o", markersize=9, color=color, markerfacecolor=face)
        below = {"xytext": (0, -18), "textcoords": "offset points", "ha": "center"}
        axes.annotate(row["model"], (x, y), **below)
        if row["ceiling_miou"] is not None:
            axes.plot([x / 1.6, x * 1.6], [row["ceiling_miou"]] * 2, ":", color=color)
    axes.set_xscale("log")
    axes.margins(0.25)
    axes.set_xlabel("operations a pixel")
    axes.set_ylabel("test mIoU")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
