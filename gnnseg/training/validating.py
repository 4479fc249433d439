"""What validates a training, and what it cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnseg.log import LOGGER

if TYPE_CHECKING:
    import numpy as np

    from gnnseg.datasets.base import Dataset
    from gnnseg.datasets.item import Item


def val_items(dataset: Dataset) -> list[Item]:
    """The images of val; none, with a warning, where not one of them has a label."""
    items = dataset.split("val")
    if not items or any(_has_label(item) for item in items):
        return items
    LOGGER.warning(
        "%s: no pixel of the val images has a label (255 means none): parts of the training images "
        "validate instead; label some val images",
        dataset.name,
    )
    return []


def _has_label(item: Item) -> bool:
    return bool((item.read_labels() != item.classes.ignore_index).any())


def held_numbers(number: int, val: float) -> list[int]:
    """Which of some parts of the training images validate: every n-th, or the last one."""
    every = max(2, round(1 / max(val, 0.01)))
    return list(range(number))[every - 1 :: every] or [number - 1]


def warn_of_itself(name: str) -> None:
    """Warn that nothing could be held out."""
    LOGGER.warning(
        "%s: the labels fill one piece, too small to be cut, which validates itself: val mIoU is "
        "that of what was trained on, and does not tell when to stop; label another image",
        name,
    )


def warn_of_unseen(dataset: Dataset, train: np.ndarray, val: np.ndarray) -> None:
    """Warn of classes that train and do not validate, from pixels by class, (classes,), of each."""
    unseen = [
        name for name, t, v in zip(dataset.classes.names, train, val, strict=True) if t > v == 0
    ]
    if unseen:
        LOGGER.warning(
            "%s: what validates has no pixel of %s: val mIoU, the best epoch and how far class "
            "weights are undone leave such classes out; label some of them in val images",
            dataset.name,
            ", ".join(unseen),
        )
