"""Refine the pixels along borders: from the tables of regions to mixed logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.features import feature_names, planes
from gnnseg.graph import RegionTable
from gnnseg.kernels.filters import filter_pixels, num_filters
from gnnseg.kernels.refine import FINE, LEVELS, PARTS, SHIFT, SOFT, Homes, border_band, mix
from gnnseg.kernels.slots import OWN, REACH
from gnnseg.superpixels import Scaling
from gnnseg.superpixels.reader import MARGIN

if TYPE_CHECKING:
    from gnnseg.models.borders import Borders

WIDTH, WIDEST = 2, 64
"""Pixels to each side of a border that are refined by default, and at most."""
AT_ONCE = 1 << 16
"""Pixels that are looked at together."""
LEARNT_AT_ONCE = 1 << 13
"""Those that are labelled together by what was learnt of borders."""
_LOWEST = -64.0
"""Logits below the largest one by more count as this."""


@dataclass(frozen=True)
class Sharpness:
    """How fast a region's weight falls: by e at these squares.

    Attributes
    ----------
    colour : float
        Square of a difference of colours, as a share of the scale.
    spread : float
        How much of the variance of colours in the regions around is added to that.
    place : float
        Square of the distance from the centre of the region, in cell sides.
    """

    colour: float = 0.001
    spread: float = 0.5
    place: float = 0.8


@dataclass(frozen=True)
class Mixture:
    """What the regions of a window say and look like; the cells of `first` begin the slots.

    Every number depends on the home and the eight around it alone, and on no window. `top` is the
    largest value of a working channel, `borders` what corrects the mixed logits, if anything does.
    """

    homes: Homes
    step: int
    first: tuple[int, int]
    nearness: int
    top: int
    borders: Borders | None = None

    @classmethod
    def of(
        cls,
        table: RegionTable,
        logits: np.ndarray,
        scaling: Scaling,
        first: tuple[int, int],
        *,
        sharpness: Sharpness = Sharpness(),
        borders: Borders | None = None,
    ) -> Mixture:
        """From the features of regions and their logits (N, classes)."""
        channels = scaling.num_channels
        deviations = len(planes(channels, rgb=scaling.rgb))
        colour = table.x[..., :channels].astype(np.float64)
        spread = table.x[..., deviations : deviations + channels].astype(np.float64) ** 2
        occupied = table.area > 0
        scale = SOFT * scaling.top
        relative = logits - logits.max(axis=1, keepdims=True)
        levels = np.rint(np.maximum(relative.astype(np.float64), _LOWEST) * LEVELS)
        precision = 1 / (sharpness.spread * _mean_around(spread, occupied) + sharpness.colour)
        centre = table.moment * np.float64(PARTS) / np.maximum(table.area, 1)[..., None]
        homes = Homes(
            logits=levels.astype(np.int32).reshape(*table.window.shape, -1),
            colour=np.rint(colour * scale).astype(np.int32),
            precision=np.rint(precision * (FINE * 2.0**SHIFT / scale**2)).astype(np.int64),
            centre=np.rint(centre).astype(np.int32),
            occupied=occupied,
        )
        nearness = round(FINE * 2.0**SHIFT / (sharpness.place * (PARTS * table.cell) ** 2))
        return cls(homes, table.cell, first, nearness, scaling.top, borders)

    def logits_at(self, slots: np.ndarray, work: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Logits (N, classes) float32 of pixels (N, 2), mixed, and corrected where that is learnt.

        The largest of a region counts as 0 in the mixture. `work` are the channels of the slots'
        window as a `PixelReader` reads them.
        """
        if self.borders is None:
            return self._mixed_at(slots, work, places)
        out = np.empty((len(places), self.homes.logits.shape[-1]), np.float32)
        for start in range(0, len(places), LEARNT_AT_ONCE):
            part = slice(start, start + LEARNT_AT_ONCE)
            out[part] = self.borders.logits(self.inputs_at(slots, work, places[part]))
        return out

    def inputs_at(self, slots: np.ndarray, work: np.ndarray, places: np.ndarray) -> np.ndarray:
        """What pixels are labelled from where that is learnt, (N, inputs) float32."""
        from gnnseg.models.borders import border_inputs

        filters = np.empty((len(places), num_filters(len(work))), np.float32)
        filter_pixels(work, (MARGIN, MARGIN), places, self.top, filters)
        own = self.homes.logits[self._homes_of(slots, places)].astype(np.float32) / LEVELS
        return border_inputs(self._mixed_at(slots, work, places), own, filters)

    def _mixed_at(self, slots: np.ndarray, work: np.ndarray, places: np.ndarray) -> np.ndarray:
        out = np.empty((len(places), self.homes.logits.shape[-1]), np.float32)
        corner = MARGIN, MARGIN
        mix(slots, self.step, self.homes, self.first, work, corner, places, self.nearness, out)
        return out

    def _homes_of(self, slots: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels' own homes."""
        down, right = np.divmod(slots[tuple(places.T)].astype(np.int64), 2 * REACH + 1)
        rows, columns = (places // self.step + np.array(self.first) - REACH).T
        return rows + down, columns + right


def _mean_around(values: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    """Mean of (h, w, C) over the occupied cells among 3 x 3; always added up in one order."""
    height, width = occupied.shape
    weighted = np.pad(values * occupied[..., None], ((1, 1), (1, 1), (0, 0)))
    number = np.pad(occupied.astype(np.int64), 1)
    total, count = np.zeros_like(values), np.zeros((height, width), np.int64)
    for y in range(3):
        for x in range(3):
            total += weighted[y : y + height, x : x + width]
            count += number[y : y + height, x : x + width]
    return total / np.maximum(count, 1)[..., None]


def refine(
    labels: np.ndarray,
    slots: np.ndarray,
    inside: Window,
    *,
    width: int,
    unlabelled: int,
    load: Callable[[], tuple[Mixture, np.ndarray]],
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Mixed logits along borders, some pixels at a time.

    Parameters
    ----------
    labels, slots : (H, W)
        Painted labels and slots of a window that starts at a corner of a cell.
    inside : Window
        The part of it that is refined; `width` pixels around it are there where the image goes on.
    width : int
        How far from a border pixels are refined.
    unlabelled : int
        Label of masked pixels.
    load : callable
        Gives the mixture and the working channels of the window; called where there is a border.

    Yields
    ------
    (rows, columns) of pixels, counted from the corner of `inside`, and their logits (n, classes)
    """
    band: Any = np.empty(labels.shape, np.bool_)
    border_band(labels, width, unlabelled, band)
    loaded = None
    for strip in inside.split((max(1, AT_ONCE // inside.shape[1]), inside.x1)):
        rows, columns = np.nonzero(band[strip.slices])
        if rows.size == 0:
            continue
        places = np.stack([rows + strip.y0, columns + strip.x0], axis=1).astype(np.int32)
        mixture, work = loaded = loaded or load()
        logits = mixture.logits_at(slots, work, places)
        yield (places[:, 0] - inside.y0, places[:, 1] - inside.x0), logits


def load_refinement(dtype: Any) -> None:
    """Load, or compile, the loops for labels of a type, where there may be no border yet."""
    labels, slots = np.eye(2, dtype=dtype), np.full((2, 2), OWN, np.uint8)
    table = RegionTable.empty(Window(0, 1, 0, 1), 2, len(feature_names(1, rgb=False)), 1)
    table.area[:] = 4
    scaling = Scaling((0.0,), (1.0,), rgb=False)
    mixture = Mixture.of(table, np.zeros((1, 2), np.float32), scaling, (0, 0))
    work = np.zeros((1, 2 + 2 * MARGIN, 2 + 2 * MARGIN), np.int16)
    whole = Window(0, 2, 0, 2)
    for _ in refine(labels, slots, whole, width=1, unlabelled=9, load=lambda: (mixture, work)):
        pass
    place, out = np.zeros((1, 2), np.int32), np.empty((1, num_filters(1)), np.float32)
    filter_pixels(work, (MARGIN, MARGIN), place, scaling.top, out)
