"""What labelled images and files are, in a few bytes: whether they are those of an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.datasets.splits import SPLITS
from gnnseg.errors import MissingInputError
from gnnseg.io.guard import reading

if TYPE_CHECKING:
    from gnnseg.datasets.base import Dataset
    from gnnseg.datasets.item import Item
    from gnnseg.io import ImageSource

_ROWS = 1024


def file_identity(path: Path) -> str:
    """A hash of all that a file holds; raises `MissingInputError` where there is none."""
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def item_identity(item: Item) -> str:
    """A hash of an image and its labels, wherever they lie.

    Every label and every pixel counts, but for image files of more than 16 MiB, which are sampled.
    """
    digest = hashlib.sha256(_image_identity(item.open_image()).encode())
    labels = np.ascontiguousarray(item.read_labels())
    digest.update(repr((labels.shape, labels.dtype.str, item.classes.ignore_index)).encode())
    digest.update(labels.data)
    digest.update(repr(item.clicks).encode())
    return digest.hexdigest()


def dataset_identity(dataset: Dataset, splits: Sequence[str] = SPLITS[:2]) -> str:
    """A hash of the images and labels of some splits, their names, and the number of classes.

    By default of what trains or validates. It does not tell where files lie.
    """
    digest = hashlib.sha256(repr(dataset.num_classes).encode())
    for split in splits:
        for item in dataset.split(split):
            digest.update(repr((split, item.stem, item_identity(item))).encode())
    return digest.hexdigest()


def _image_identity(image: ImageSource) -> str:
    """The fingerprint; of arrays, whose fingerprint looks at some pixels only, all pixels too."""
    with reading(image.name):
        is_sampled = image.reader.identity() is None
    if not is_sampled:
        return image.fingerprint()
    digest = hashlib.sha256(image.fingerprint().encode())
    for window in image.bounds.split((_ROWS, image.width)):
        digest.update(image.read(window).data)
    return digest.hexdigest()
