"""A set of labelled images in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.datasets.base import Dataset
from gnnseg.datasets.item import Item
from gnnseg.datasets.splits import hash_split
from gnnseg.errors import UsageError
from gnnseg.io.classes import ClassInfo


@dataclass(frozen=True, eq=False, init=False)
class ArrayDataset(Dataset):
    """Images and label arrays that are at hand, some of which validate.

    Parameters
    ----------
    images
        Whatever `open_image` takes: arrays (height, width), (height, width, 3), image sources.
    labels
        One integer array (height, width) per image; `classes.ignore_index` means no label.
    classes
        The class table, or the number of classes.
    val
        The share that validates, chosen by a hash of the names.
    stems
        Names of the images, by default their positions.
    axes
        The meaning of the images' axes where the shape does not tell, such as `"CYX"`.

    Examples
    --------
    >>> images = np.zeros((5, 32, 32, 3), np.uint8)
    >>> dataset = ArrayDataset(images, np.zeros((5, 32, 32), np.uint8), 2, val=0.4)
    >>> [item.stem for item in dataset.split("val")]
    ['4']
    """

    def __init__(
        self,
        images: Sequence[Any] | np.ndarray,
        labels: Sequence[Any] | np.ndarray,
        classes: ClassInfo | int,
        val: float = 0.2,
        *,
        stems: Sequence[str] | None = None,
        axes: str | None = None,
        seed: int = 0,
        name: str = "arrays",
        pixel_size: tuple[float, float] | None = None,
    ) -> None:
        stems = [str(i) for i in range(len(images))] if stems is None else list(stems)
        if not len(images) == len(labels) == len(stems):
            raise UsageError(
                f"every image needs its labels and its name, got {len(images)} images, "
                f"{len(labels)} label arrays and {len(stems)} names"
            )
        table = _numbered(classes) if isinstance(classes, int) else classes
        items = {
            stem: Item(stem, image, label, table, axes)
            for stem, image, label in zip(stems, images, labels, strict=True)
        }
        if len(items) != len(stems):
            raise UsageError("the names of the images must differ from each other")
        train, validation = hash_split(stems, val, seed)
        super().__init__(
            name=name,
            classes=table,
            items={
                "train": tuple(items[stem] for stem in train),
                "val": tuple(items[stem] for stem in validation),
            },
            pixel_size=pixel_size,
        )


def _numbered(num_classes: int) -> ClassInfo:
    return ClassInfo(tuple(f"class_{i}" for i in range(num_classes)))
