"""Draw test mIoU against minutes of training.

    python experiments/equal_compute.py

From `experiments/results/equal_compute.json` (`experiments/comparison.py`). Writes
`docs/images/equal_compute.png`. Expected: the region model is ahead at two
minutes, the U-Net at four.
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULT = HERE / "results" / "equal_compute.json"
PICTURE = HERE.parent / "docs" / "images" / "equal_compute.png"
KINDS = {"default": "#009e73", "unet-8": "#cc79a7"}


def main() -> None:
    """A line for each kind of model; points that have not flattened are hollow."""
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["accuracy"]
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for kind, color in KINDS.items():
        own = [row for row in rows if row["model"].rpartition("-")[0] == kind]
        own.sort(key=lambda row: row["training_minutes"])
        points = [(row["training_minutes"], row["miou"]) for row in own]
        axes.plot(*zip(*points, strict=True), color=color, label=kind)
        for row, point in zip(own, points, strict=True):
            face = color if row["converged"] else "white"
            axes.plot(*point, "o", color=color, markerfacecolor=face)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes of training (hollow: the curve had not flattened)")
    axes.set_ylabel(f"test mIoU, {rows[0]['dataset']}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    main()
