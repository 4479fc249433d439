"""The compactness of superpixels, chosen before training by what it would allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnseg.datasets.labelled import LEAST_LABELLED, labelled_share
from gnnseg.execution import default_workers, run_tasks
from gnnseg.log import LOGGER
from gnnseg.metrics import ConfusionMatrix
from gnnseg.metrics.ceiling import count_commonest
from gnnseg.superpixels import SlicSettings
from gnnseg.training.augment import Variant
from gnnseg.training.regions import RegionMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnseg.datasets.item import Item
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

CANDIDATES = (1.0, 2.0, 4.0, 6.0, 9.0)
"""From which one is chosen."""
MOST_IMAGES = 64
"""On how many images, spread evenly, they are compared."""


def choose_compactness(
    config: TrainConfig, items: Sequence[Item], scaling: Scaling, num_classes: int
) -> TrainConfig:
    """A configuration whose compactness is a number.

    Of `auto`, the one with the highest ceiling mIoU on the images: that of labelling every region
    with its commonest class. Where labels are too sparse to tell it, the default.
    """
    if config.compactness != "auto":
        return config
    chosen = items[:: -(-len(items) // MOST_IMAGES)]
    labelled = labelled_share(chosen)
    if labelled < LEAST_LABELLED:
        default = SlicSettings.compactness
        LOGGER.warning(
            "labels are too sparse to choose a compactness, %.2g %% of the pixels have one: it is "
            "%g; set another one, or label some images wholly",
            100 * labelled,
            default,
        )
        return config.model_copy(update={"compactness": default})
    configs = [config.model_copy(update={"compactness": value}) for value in CANDIDATES]
    ceilings = [_ceiling(RegionMaker(scaling, c, num_classes), chosen).miou for c in configs]
    return configs[int(np.argmax(ceilings))]


def _ceiling(regions: RegionMaker, items: Sequence[Item]) -> ConfusionMatrix:
    """Pixels by true class and by the commonest class of their region, but for masked ones.

    Of these there are as many whatever the compactness.
    """
    classes = regions.num_classes
    total = np.zeros((classes, classes + 1), np.int64)

    def commonest(item: Item) -> np.ndarray:
        counts = regions(item, Variant()).counts.reshape(-1, classes).astype(np.int64)
        return count_commonest(counts)

    def done(_item: Item, found: np.ndarray) -> None:
        total[:] += found

    run_tasks(commonest, items, workers=default_workers(), done=done)
    return ConfusionMatrix(total)
