"""How much of some images is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnnseg.execution import default_workers, run_tasks

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item

LEAST_LABELLED = 0.5
"""With a smaller share of labelled pixels, hardly any region has two classes at any step."""
_AT_ONCE = 4096
"""Pixels on a side that are read at once."""


def labelled_share(items: Sequence[Item], workers: int | None = None) -> float:
    """The share of the pixels of all images that have a label; a click labels its pixel.

    >>> import numpy as np
    >>> from gnnseg.datasets import ArrayDataset
    >>> labels = np.array([[0, 1, 255, 255]], np.uint8)
    >>> labelled_share(ArrayDataset(labels[None], labels[None], 2, val=0).split("train"))
    0.5
    """
    labelled = pixels = 0

    def count(item: Item) -> tuple[int, int]:
        labels, known = item.open_labels(), 0
        for window in labels.bounds.split(_AT_ONCE):
            known += int((labels.read(window) != item.classes.ignore_index).sum())
        return known, labels.bounds.size

    def done(_item: Item, found: tuple[int, int]) -> None:
        nonlocal labelled, pixels
        labelled, pixels = labelled + found[0], pixels + found[1]

    run_tasks(count, items, workers=workers or default_workers(), done=done)
    return labelled / pixels
