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
from gnnseg.training.clicks import label_clicked, place_clicks
from gnnseg.training.identity import item_identity

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

_COUNTS, _WORK, _SLOTS = "counts", "work", "slots"


@dataclass(frozen=True)
class LabelledRegions:
    """The regions of a labelled image.

    Attributes
    ----------
    table : RegionTable
    counts : (h, w, classes) int32
        Pixels by class of each region.
    pixels : (work, slots) or None
        What a stem reads: working channels (C, H, W) int16 and slots (H, W) uint8.
    """

    table: RegionTable
    counts: np.ndarray
    pixels: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class RegionMaker:
    """Makes regions of labelled images, each once where the configuration has a cache.

    With `pixels`, what a stem reads is kept as well.
    """

    scaling: Scaling
    config: TrainConfig
    num_classes: int
    pixels: bool = False
    _identities: dict[Item, str] = field(default_factory=dict)

    def __call__(self, item: Item, variant: Variant) -> LabelledRegions:
        """The regions of a variant."""

        def make() -> Arrays:
            return self._make(item, variant)

        folder = self.config.cache
        if folder is None:
            arrays = make()
        else:
            arrays = ArrayCache(folder).get(self._about(item, variant), make)
        counts = arrays.pop(_COUNTS)
        pixels = (arrays.pop(_WORK), arrays.pop(_SLOTS)) if self.pixels else None
        height, width, _ = counts.shape
        window = Window(0, height, 0, width)
        table = RegionTable(window=window, cell=self.config.step, **arrays)
        return LabelledRegions(table, counts, pixels)

    def _make(self, item: Item, variant: Variant) -> Arrays:
        # That of the image before it is varied: brighter variants stay brighter.
        scaling = self.scaling.of(item.open_image())
        loaded = load_variant(item, variant, scaling)
        reader = PixelReader(loaded.image, scaling, self.config.slic, loaded.mask)
        slots, table = whole_table(reader)
        counts = np.zeros((*table.window.shape, self.num_classes), np.int32)
        is_known = loaded.labels != item.classes.ignore_index
        known = np.where(is_known, loaded.labels, self.num_classes).astype(np.uint16)
        count_labels(slots, self.config.step, known, counts)
        clicks = place_clicks(item, variant, item.read_labels().shape)
        label_clicked(slots, self.config.step, clicks, table.area, counts)
        arrays = {_COUNTS: counts, **table.arrays()}
        if self.pixels:
            arrays |= {_WORK: reader.channels(reader.lattice.bounds), _SLOTS: slots}
        return arrays

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
            "pixels": self.pixels,
        }
