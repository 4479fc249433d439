"""Draw test mIoU against minutes of training.

    python experiments/equal_compute.py

From `experiments/results/equal_compute.json` (`experiments/comparison.py`). Writes
`docs/images/equal_compute.png`. Expected: the region model is ahead on sstem_vnc,
the U-Net on cfd_cracks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULT = HERE / "results" / "equal_compute.json"
PICTURE = HERE.parent / "docs" / "images" / "equal_compute.png"
KINDS = {"default": "#009e73", "unet-8": "#cc79a7"}


def main() -> None:
    """A panel for each data set."""
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["accuracy"]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    figure = Figure(figsize=(4.2 * len(datasets), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        _draw(axes, [row for row in rows if row["dataset"] == dataset])
        axes.set_title(dataset)
    panels[0].set_ylabel("test mIoU")
    panels[0].legend()
    figure.supxlabel("minutes of training (hollow: the curve had not flattened)", fontsize="medium")
    figure.savefig(PICTURE, dpi=150)


def _draw(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """A line for each kind of model; points that have not flattened are hollow."""
    for kind, color in KINDS.items():
        own = [row for row in rows if row["model"].rpartition("-")[0] == kind]
        own.sort(key=lambda row: row["training_minutes"])
        points = [(row["training_minutes"], row["miou"]) for row in own]
        axes.plot(*zip(*points, strict=True), color=color, label=kind)
        for row, point in zip(own, points, strict=True):
            face = color if row["converged"] else "white"
            axes.plot(*point, "o", color=color, markerfacecolor=face)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
