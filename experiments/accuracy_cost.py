"""Draw test mIoU against operations a pixel, for each data set of a comparison.

    python experiments/accuracy_cost.py

From `experiments/results/compare_main.json` (`experiments/comparison.py`). Writes
`docs/images/accuracy_cost.png`. Expected: region models left of the U-Net by a factor of four and
more; above it in three panels, and above ENet in both of its.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULT = HERE / "results" / "compare_main.json"
PICTURE = HERE.parent / "docs" / "images" / "accuracy_cost.png"
COLORS = {
    "jain2023": "#0072b2",
    "small": "#d55e00",
    "default": "#009e73",
    "default-refined": "#117733",
    "unet-8": "#cc79a7",
    "enet": "#e69f00",
}
COLUMNS = 3


def main() -> None:
    """One panel a data set."""
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["accuracy"]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    lines = -(-len(datasets) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.4 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes, dataset in zip(panels, datasets, strict=False):
        draw(axes, [row for row in rows if row["dataset"] == dataset])
        axes.set_title(dataset, fontsize=10)
    for axes in panels[len(datasets) :]:
        axes.set_axis_off()
    figure.savefig(PICTURE, dpi=150)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A point for each model: hollow where its training had not flattened."""
    for row in rows:
        color = COLORS[row["model"]]
        face = color if row["converged"] else "white"
        x, y = row["operations_per_pixel"], row["miou"]
        axes.plot([x], [y], "o", markersize=9, color=color, markerfacecolor=face)
        refined = row["model"].endswith("-refined")
        place = {"xytext": (0, 9 if refined else -18), "textcoords": "offset points"}
        axes.annotate(row["model"], (x, y), ha="center", fontsize=8, **place)
        if row["ceiling_miou"] is not None:
            axes.plot([x / 1.6, x * 1.6], [row["ceiling_miou"]] * 2, ":", color=color)
    axes.set_xscale("log")
    axes.margins(0.25)
    axes.set_xlabel("operations a pixel")
    axes.set_ylabel("test mIoU")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
