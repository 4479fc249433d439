"""A real picture and the scribbles that label it.

The picture is the immunohistochemistry of colonic glands that scikit-image ships inside its wheel
(CMMI, no known copyright restrictions): epithelium is stained brown, all nuclei are blue, so the
nuclei of epithelium and stroma differ by their surroundings only. The scribbles are ours.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.datasets.base import Dataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError
from gnnseg.io import ClassInfo, read_rgb

PICTURE = "ihc.png"


def picture_path() -> Path:
    """The picture among scikit-image's files; nothing is downloaded."""
    # skimage.data itself would import pooch, and may go to the network.
    spec = importlib.util.find_spec("skimage")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    path = folder / "data" / PICTURE
    if not path.is_file():
        raise InputError(f"{path}: no such file; install scikit-image again")
    return path


def picture() -> np.ndarray:
    """The picture, (512, 512, 3) uint8."""
    return read_rgb(picture_path())


def sample_classes() -> ClassInfo:
    """Names and colours of the classes."""
    return ClassInfo.from_dict(_scribbles(), name="scribbles.json")


def scribbled_labels(shape: tuple[int, int]) -> np.ndarray:
    """Labels (Y, X) uint8: class indices under the scribbles, 255 elsewhere."""
    from PIL import Image, ImageDraw

    about = _scribbles()
    canvas = Image.new("L", (shape[1], shape[0]), 255)
    draw = ImageDraw.Draw(canvas)
    for index, name in enumerate(sample_classes().names):
        for line in about["lines"][name]:
            draw.line([(x, y) for y, x in line], fill=index, width=about["width"], joint="curve")
    return np.array(canvas)


def sample_dataset() -> Dataset:
    """The right of the picture to train on, the left to validate."""
    image = picture()
    labels, classes = scribbled_labels(image.shape[:2]), sample_classes()
    column = _scribbles()["val_until_column"]
    parts = {"train": slice(column, None), "val": slice(0, column)}
    items = {
        split: (Item(split, np.ascontiguousarray(image[:, part]), labels[:, part], classes),)
        for split, part in parts.items()
    }
    return Dataset(name="scribbles", classes=classes, items=items)


@cache
def _scribbles() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        Path(__file__).with_name("scribbles.json").read_text(encoding="utf-8")
    )
    return content
