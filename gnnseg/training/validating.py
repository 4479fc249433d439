"""What validates a training, and what it cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnseg.log import LOGGER

if TYPE_CHECKING:
    import numpy as np

    from gnnseg.datasets.base import Dataset


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
