"""Draw test mIoU against operations a pixel, for each data set of a comparison.

    python experiments/accuracy_cost.py

From `experiments/results/compare_main.json`, `compare_sizes.json`, and `compare_nuclei.json` in its
place on dsb2018 (`experiments/comparison.py`), and, of presets and networks that are not in these,
from single trainings (`experiments/accuracy.py`, `networks.py`), which are squares, and from
`borders.json` (`experiments/borders.py`), diamonds. Writes
`docs/images/accuracy_cost.png`. Expected: region models left of the U-Net by a factor of four and
more; above it in three panels, and above ENet in both of its.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gnnseg.compare.convergence import flattened

HERE = Path(__file__).parent
FINE = "camvid_default_fine", "camvid_large_fine"
RESULTS = HERE / "results"
PICTURE = HERE.parent / "docs" / "images" / "accuracy_cost.png"
COLORS = {
    "mlp": "#999999",
    "jain2023": "#0072b2",
    "small": "#d55e00",
    "default": "#009e73",
    "default-refined": "#117733",
    "learnt borders": "#117733",
    "large": "#332288",
    "large-refined": "#332288",
    "unet-8": "#cc79a7",
    "unet-16": "#882255",
    "enet": "#e69f00",
}
COLUMNS = 3


def main() -> None:
    """One panel a data set."""
    rows = [*compared("main"), *compared("sizes"), *compared("nuclei")]
    rows = [*{(row["dataset"], row["model"]): row for row in rows}.values(), *others(), *learnt()]
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


def compared(name: str) -> Iterator[dict[str, Any]]:
    """Rows of a comparison."""
    found = json.loads((RESULTS / f"compare_{name}.json").read_text(encoding="utf-8"))
    yield from ({**row, "marker": "o"} for row in found["accuracy"])


def others() -> Iterator[dict[str, Any]]:
    """Presets and networks that are not in the comparison."""
    paths = [path for kind in ("accuracy", "network") for path in RESULTS.glob(f"{kind}_*.json")]
    for path in sorted(paths):
        found = json.loads(path.read_text(encoding="utf-8"))
        run, training = found["run"], found["training"]
        model = run.get("preset") or run["name"].replace("unet", "unet-")
        if model in ("mlp", "unet-16") or run.get("name") in FINE:
            curve, patience = training["history"]["val_miou"], training["config"]["patience"]
            yield {
                "dataset": run["dataset"],
                "model": model,
                "miou": found["test"]["miou"],
                "operations_per_pixel": found["operations_per_pixel"],
                "ceiling_miou": None,
                "converged": flattened(curve, patience)[0],
                "marker": "s",
            }


def learnt() -> Iterator[dict[str, Any]]:
    """Borders that are learnt, of seed 0."""
    found = json.loads((RESULTS / "borders.json").read_text(encoding="utf-8"))["datasets"]
    for dataset, rows in found.items():
        row = next(row for row in rows if row["seed"] == 0)
        yield {
            "dataset": dataset,
            "model": "learnt borders",
            "miou": row["learnt"]["miou"],
            "operations_per_pixel": row["operations_per_pixel"],
            "ceiling_miou": None,
            "converged": True,
            "marker": "D",
        }


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A point for each model: hollow where its training had not flattened."""
    for row in rows:
        color = COLORS[row["model"]]
        face = color if row["converged"] else "white"
        x, y = row["operations_per_pixel"], row["miou"]
        axes.plot([x], [y], row["marker"], markersize=8, color=color, markerfacecolor=face)
        refined = row["model"].endswith("-refined")
        height = 9 if refined else {"learnt borders": 20}.get(row["model"], -18)
        place = {"xytext": (0, height), "textcoords": "offset points"}
        text = "refined" if refined else row["model"]
        axes.annotate(text, (x, y), ha="center", fontsize=8, **place)
        if row["ceiling_miou"] is not None:
            axes.plot([x / 1.6, x * 1.6], [row["ceiling_miou"]] * 2, ":", color=color)
    axes.set_xscale("log")
    axes.margins(0.25)
    axes.set_ylim(top=min(1, axes.get_ylim()[1]))
    axes.set_xlabel("operations a pixel")
    axes.set_ylabel("test mIoU")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
