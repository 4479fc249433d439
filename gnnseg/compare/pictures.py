"""Small pictures of a few images, their labels, and what a model made of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.compare.cells import Cell
from gnnseg.compare.folder import Folder
from gnnseg.datasets.item import Item
from gnnseg.io import ClassInfo, read_labels, write_rgb_png

SIDE = 360
"""Most pixels on the longer side."""
_UNLABELLED = (0, 0, 0)


def draw_pictures(
    cell: Cell, folder: Folder, model: Any, items: list[Item]
) -> list[dict[str, str]]:
    """Write pictures of some images, spread over all; the names of the files by what they show."""
    about = cell.configuration
    chosen = [items[i * len(items) // about["pictures"]] for i in range(about["pictures"])]
    dataset = about["dataset"]["name"]
    own = cell.name.removeprefix("evaluate-")
    return [
        _draw(
            folder.path / "pictures", item, model, names=(f"{dataset}-{number}", own), about=about
        )
        for number, item in enumerate(dict.fromkeys(chosen))
    ]


def _draw(
    folder: Path, item: Item, model: Any, *, names: tuple[str, str], about: dict[str, Any]
) -> dict[str, str]:
    from gnnseg.pipeline import segment
    from gnnseg.pipeline.overlay import overview
    from gnnseg.superpixels import fit_scaling

    image, truth = item.load()
    shrink = -(-max(image.height, image.width) // SIDE)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "labels.png"
        segment(image, model, out, refine=about["refine"], workers=about["workers"])
        found = read_labels(out)
    number = names[0].rpartition("-")[2]
    files = {
        "image": f"{names[0]}-image.png",
        "truth": f"{names[0]}-truth.png",
        "labels": f"{names[1]}-{number}-labels.png",
    }
    write_rgb_png(folder / files["image"], overview(image, fit_scaling([image]), shrink))
    write_rgb_png(folder / files["truth"], _colored(truth, item.classes, shrink))
    write_rgb_png(folder / files["labels"], _colored(found, item.classes, shrink))
    return {"stem": item.stem, **files}


def _colored(labels: np.ndarray, classes: ClassInfo, shrink: int) -> np.ndarray:
    """Every `shrink`-th label in its colour; black where there is none."""
    few = labels[shrink // 2 :: shrink, shrink // 2 :: shrink]
    table = np.array([*classes.colors, _UNLABELLED], np.uint8)
    return table[np.minimum(few, classes.num_classes)]
