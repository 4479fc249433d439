"""Features from integer sums: once per region, in float64 with + - x / and square roots only."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from gnnseg.features.planes import RINGS, Plane, planes
from gnnseg.kernels.deciles import deciles
from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import GEOMETRY, GREY_BINS

DECILES = tuple(range(10, 100, 10))
_PATTERNS = tuple(f"pattern_{ring}_{k}" for ring in RINGS for k in range(PATTERNS))
_SHAPE = ("area", "shift_y", "shift_x", "spread_y", "spread_x", "slant")
_BORDER = ("boundary", "contrast")
_PLACE = ("place_y", "place_x")


@cache
def feature_names(num_channels: int, *, rgb: bool) -> tuple[str, ...]:
    """Names of the columns that `derive` gives, in order."""
    names = [plane.name for plane in planes(num_channels, rgb=rgb)]
    return (
        *(f"mean_{name}" for name in names),
        *(f"std_{name}" for name in names),
        *(f"decile_{percent}" for percent in DECILES),
        *_PATTERNS,
        *_SHAPE,
        *_BORDER,
        *_PLACE,
    )


def derive(
    sums: np.ndarray,
    histogram: np.ndarray,
    boundary: np.ndarray,
    contrast: np.ndarray,
    place: np.ndarray,
    *,
    rows: tuple[Plane, ...],
    step: int,
    top: int,
) -> np.ndarray:
    """Features of regions: (N, F) float32, zero for empty regions.

    Parameters
    ----------
    sums, histogram
        (N, 6 + 2 P) and (N, 32 + 10 D) from `gnnseg.kernels.region_sums`.
    boundary, contrast : (N,)
        Pixel sides shared with other regions, and the grey differences summed over them.
    place : (N, 2) float64
        Centroid (y, x) as a share of the image's height and width.
    rows : tuple of Plane
    step : int
        Cell size in pixels.
    top : int
        Largest grey value: means and deviations are given as shares of it.

    Notes
    -----
    `mean_*`, `std_*`, `decile_*` and `contrast` are shares of the grey scale (means of differences
    of colours lie between 0 and 4, at 2 without colour), `pattern_*` shares of the region's pixels;
    `area` is in cells,
    `shift_*` (from the middle of the home cell), `spread_*` and `boundary` in cell sides, `slant`
    is the covariance of y and x in cells.
    """
    tenths = np.empty((len(sums), len(DECILES)))
    deciles(histogram[:, :GREY_BINS], np.array(DECILES), tenths)
    rest = len(DECILES) + len(_PATTERNS + _SHAPE + _BORDER + _PLACE)
    out = np.empty((len(sums), 2 * len(rows) + rest), np.float32)
    inside = sums, tenths, histogram[:, GREY_BINS:]
    _write_rows(inside, (boundary, contrast, place), step, 1.0 / top, out)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _write_rows(
    inside: tuple[np.ndarray, np.ndarray, np.ndarray],
    around: tuple[np.ndarray, np.ndarray, np.ndarray],
    step: int,
    scale: float,
    out: np.ndarray,
) -> None:
    """Write the columns of `feature_names`, in their order, one region after the other."""
    sums, tenths, patterns = inside
    boundary, contrast, place = around
    num = (sums.shape[1] - GEOMETRY) // 2
    for n in range(len(out)):
        total, x = sums[n], out[n]
        if total[0] == 0:
            x[:] = 0
            continue
        count = np.float64(total[0])
        for k in range(num):
            mean = total[GEOMETRY + 2 * k] / count
            spread = total[GEOMETRY + 2 * k + 1] / count - mean * mean
            x[k] = mean * scale
            x[num + k] = np.sqrt(max(spread, 0.0)) * scale
        at = 2 * num
        at += _write(tenths[n], x[at:])
        for k in range(patterns.shape[1]):
            x[at + k] = patterns[n, k] / count
        at += patterns.shape[1]
        at += _write(_shape(total, count, step), x[at:])
        x[at] = boundary[n] / (4.0 * step)
        x[at + 1] = contrast[n] / max(boundary[n], 1) * scale
        _write(place[n], x[at + len(_BORDER) :])


@njit(nogil=True, cache=True)
def _write(values: Any, x: np.ndarray) -> int:
    """Write values at the beginning of `x`; return how many."""
    for k in range(len(values)):
        x[k] = values[k]
    return len(values)


@njit(nogil=True, cache=True, error_model="numpy")
def _shape(total: np.ndarray, count: float, step: int) -> tuple[float, ...]:
    """The columns of `_SHAPE`."""
    y, x = total[1] / count, total[2] / count
    yy, yx, xx = total[3] / count, total[4] / count, total[5] / count
    middle = (step - 1) / 2
    return (
        count / (step * step),
        (y - middle) / step,
        (x - middle) / step,
        np.sqrt(max(yy - y * y, 0.0)) / step,
        np.sqrt(max(xx - x * x, 0.0)) / step,
        (yx - y * x) / (step * step),
    )
