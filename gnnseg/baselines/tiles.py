"""Where tiles lie, and how much each counts where they overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnseg.errors import UsageError


@dataclass(frozen=True, eq=False)
class Stretch:
    """One tile along one axis: pixels `start` to `stop`, and the weight of each, float32."""

    start: int
    stop: int
    weight: np.ndarray


SMALLEST, LARGEST = 64, 8192
"""Pixels on a side of a tile."""


def check_tiles(tile: int, overlap: int) -> None:
    """Raise `UsageError` unless there can be tiles of this size that overlap so."""
    if not SMALLEST <= tile <= LARGEST:
        raise UsageError(f"tiles have {SMALLEST} to {LARGEST} pixels on a side, got {tile}")
    if not 0 <= overlap <= tile // 2:
        raise UsageError(f"tiles of {tile} pixels overlap by 0 to {tile // 2}, got {overlap}")


def stretches(length: int, tile: int, overlap: int) -> list[Stretch]:
    """Tiles along an axis: all of one size, the last one moved back to end where the axis does.

    Weights fall evenly where two tiles overlap; those of each pixel sum to one.

    >>> [(s.start, s.stop) for s in stretches(20, 10, 2)]
    [(0, 10), (8, 18), (10, 20)]
    """
    size = min(tile, length)
    last = length - size
    starts = [*range(0, last, tile - overlap), last]
    shapes = [_ramps(size, overlap, s > 0, s < last) for s in starts]
    total = np.zeros(length)
    for start, shape in zip(starts, shapes, strict=True):
        total[start : start + size] += shape
    return [
        Stretch(s, s + size, (shape / total[s : s + size]).astype(np.float32))
        for s, shape in zip(starts, shapes, strict=True)
    ]


def _ramps(size: int, overlap: int, rises: bool, falls: bool) -> np.ndarray:
    """Ones, with a ramp where the tile has a neighbour before or after it."""
    shape = np.ones(size)
    ramp = (np.arange(overlap) + 1) / (overlap + 1)
    if rises and overlap:
        shape[:overlap] = ramp
    if falls and overlap:
        shape[size - overlap :] = np.minimum(shape[size - overlap :], ramp[::-1])
    return shape
