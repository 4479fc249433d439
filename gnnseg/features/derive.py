"""Features from integer sums: once per region, in float64 with + - x / and square roots only."""

from __future__ import annotations

from functools import cache

import numpy as np

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
    totals = sums.astype(np.float64)
    count = np.maximum(totals[:, :1], 1)
    scale = 1.0 / top
    num = len(rows)
    rest = len(DECILES) + len(_PATTERNS + _SHAPE + _BORDER + _PLACE)
    out = np.empty((len(sums), 2 * num + rest), np.float32)
    mean = totals[:, GEOMETRY::2] / count
    spread = totals[:, GEOMETRY + 1 :: 2] / count - mean * mean
    out[:, :num] = mean * scale
    out[:, num : 2 * num] = np.sqrt(np.maximum(spread, 0)) * scale
    for column, values in zip(
        out[:, 2 * num :].T,
        (
            *_deciles(histogram[:, :GREY_BINS]).T,
            *(histogram[:, GREY_BINS:] / count).T,
            *_shape(totals[:, :GEOMETRY], step),
            boundary / (4.0 * step),
            contrast / np.maximum(boundary, 1) * scale,
            *place.T,
        ),
        strict=True,
    ):
        column[:] = values
    out[sums[:, 0] == 0] = 0
    return out


def _shape(totals: np.ndarray, step: int) -> tuple[np.ndarray, ...]:
    """The columns of `_SHAPE`."""
    area, *moments = totals.T
    count = np.maximum(area, 1)
    y, x, yy, yx, xx = (moment / count for moment in moments)
    middle = (step - 1) / 2
    return (
        area / (step * step),
        (y - middle) / step,
        (x - middle) / step,
        np.sqrt(np.maximum(yy - y * y, 0)) / step,
        np.sqrt(np.maximum(xx - x * x, 0)) / step,
        (yx - y * x) / (step * step),
    )


def _deciles(histogram: np.ndarray) -> np.ndarray:
    """Deciles of grey, (N, 9) in 0 .. 1."""
    out = np.empty((len(histogram), len(DECILES)))
    deciles(histogram, np.array(DECILES), out)
    return out
