"""The regions of a labelled image and their pixels by class, from the image or from a cache."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.blocks import Window
from gnnseg.graph import RegionTable, whole_table
from gnnseg.kernels.paint import count_labels
from gnnseg.superpixels import PixelReader
from gnnseg.training.augment import Variant, load_variant
from gnnseg.training.cache import ArrayCache, Arrays
from gnnseg.training.identity import item_identity

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

_COUNTS = "counts"


@dataclass(frozen=True)
class RegionMaker:
    """Makes region tables of labelled images, each once where the configuration has a cache."""

    scaling: Scaling
    config: TrainConfig
    num_classes: int
    _identities: dict[Item, str] = field(default_factory=dict)

    def __call__(self, item: Item, variant: Variant) -> tuple[RegionTable, np.ndarray]:
        """The table of a variant, and its pixels by class, (h, w, classes) int32."""

        def make() -> Arrays:
            return self._make(item, variant)

        folder = self.config.cache
        if folder is None:
            arrays = make()
        else:
            arrays = ArrayCache(folder).get(self._about(item, variant), make)
        counts = arrays.pop(_COUNTS)
        height, width, _ = counts.shape
        window = Window(0, height, 0, width)
        return RegionTable(window=window, cell=self.config.step, **arrays), counts

    def _make(self, item: Item, variant: Variant) -> Arrays:
        loaded = load_variant(item, variant, self.scaling)
        reader = PixelReader(loaded.image, self.scaling, self.config.slic, loaded.mask)
        slots, table = whole_table(reader)
        counts = np.zeros((*table.window.shape, self.num_classes), np.int32)
        is_known = loaded.labels != item.classes.ignore_index
        known = np.where(is_known, loaded.labels, self.num_classes).astype(np.uint16)
        count_labels(slots, self.config.step, known, counts)
        return {_COUNTS: counts, **table.arrays()}

    def _about(self, item: Item, variant: Variant) -> dict[str, object]:
        """All that the regions depend on."""
        if item not in self._identities:
            self._identities[item] = item_identity(item)
        return {
            "item": self._identities[item],
            "variant": asdict(variant),
            "slic": asdict(self.config.slic),
            "scaling": asdict(self.scaling),
            "num_classes": self.num_classes,
        }
