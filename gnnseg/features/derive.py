"""Features from integer sums: once per region, in float64 with + - x / and square roots only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnseg.features.planes import RINGS, Plane, planes
from gnnseg.kernels.deciles import deciles
from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import GEOMETRY, GREY_BINS

DECILES = tuple(range(10, 100, 10))
_PATTERNS = tuple(f"pattern_{ring}_{k}" for ring in RINGS for k in range(PATTERNS))
_SHAPE = ("area", "shift_y", "shift_x", "spread_y", "spread_x", "slant")
_DEPTH = ("shift_z", "spread_z", "slant_zy", "slant_zx")
_BORDER = ("boundary", "contrast")
_PLACE = ("place_y", "place_x")


@dataclass(frozen=True)
class Depth:
    """What regions of a volume have beside the sums of their planes.

    Attributes
    ----------
    sums : (N, 4) int64
        Of z, z*z, z*y and z*x, counted from the home cell's corner.
    step : int
        Planes of a cell.
    face : int
        What a side between voxels of one plane counts in `boundary` and `contrast`.
    """

    sums: np.ndarray
    step: int
    face: int


def feature_names(num_channels: int, *, rgb: bool, volume: bool = False) -> tuple[str, ...]:
    """Names of the columns that `derive` gives, in order."""
    names = [plane.name for plane in planes(num_channels, rgb=rgb)]
    return (
        *(f"mean_{name}" for name in names),
        *(f"std_{name}" for name in names),
        *(f"decile_{percent}" for percent in DECILES),
        *_PATTERNS,
        *_SHAPE,
        *(_DEPTH if volume else ()),
        *_BORDER,
        *(("place_z",) if volume else ()),
        *_PLACE,
    )


def derive(
    sums: np.ndarray,
    histogram: np.ndarray,
    boundary: np.ndarray,
    contrast: np.ndarray,
    place: np.ndarray,
    *,
    rows: list[Plane],
    step: int,
    top: int,
    depth: Depth | None = None,
) -> np.ndarray:
    """Features of regions: (N, F) float32, zero for empty regions.

    Parameters
    ----------
    sums, histogram
        (N, 6 + 2 P) and (N, 32 + 10 D) from `gnnseg.kernels.region_sums`.
    boundary, contrast : (N,)
        Pixel sides shared with other regions, and the grey differences summed over them.
    place : (N, 2) float64, of a volume (N, 3)
        Centroid (y, x) as a share of the image's height and width; of a volume, z comes first.
    rows : list of Plane
    step : int
        Cell size in pixels.
    top : int
        Largest grey value: means and deviations are given as shares of it.
    depth : Depth, optional
        Of the regions of a volume.

    Notes
    -----
    `mean_*`, `std_*`, `decile_*` and `contrast` are shares of the grey scale (means of differences
    of colours lie between 0 and 4, at 2 without colour), `pattern_*` shares of the region's pixels;
    `area` is in cells,
    `shift_*` (from the middle of the home cell), `spread_*` and `boundary` in cell sides, `slant`
    is the covariance of y and x in cells (`slant_zy` that of z and y). In a volume `boundary` is in
    times the four upright sides of a cell.
    """
    totals = sums.astype(np.float64)
    count = np.maximum(totals[:, :1], 1)
    scale = 1.0 / top
    num = len(rows)
    layers = 1 if depth is None else depth.step
    sides = 4.0 * step * (1 if depth is None else depth.face * depth.step)
    rest = len(DECILES) + len(_PATTERNS + _SHAPE + _BORDER) + place.shape[1]
    rest += 0 if depth is None else len(_DEPTH)
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
            *_shape(totals[:, :GEOMETRY], step, layers),
            *(() if depth is None else _shape_in_depth(totals[:, :GEOMETRY], step, depth)),
            boundary / sides,
            contrast / np.maximum(boundary, 1) * scale,
            *place.T,
        ),
        strict=True,
    ):
        column[:] = values
    out[sums[:, 0] == 0] = 0
    return out


def _shape(totals: np.ndarray, step: int, layers: int) -> tuple[np.ndarray, ...]:
    """The columns of `_SHAPE`."""
    area, *moments = totals.T
    count = np.maximum(area, 1)
    y, x, yy, yx, xx = (moment / count for moment in moments)
    middle = (step - 1) / 2
    return (
        area / (step * step * layers),
        (y - middle) / step,
        (x - middle) / step,
        np.sqrt(np.maximum(yy - y * y, 0)) / step,
        np.sqrt(np.maximum(xx - x * x, 0)) / step,
        (yx - y * x) / (step * step),
    )


def _shape_in_depth(totals: np.ndarray, step: int, depth: Depth) -> tuple[np.ndarray, ...]:
    """The columns of `_DEPTH`."""
    count = np.maximum(totals[:, 0], 1)
    y, x = totals[:, 1] / count, totals[:, 2] / count
    z, zz, zy, zx = (moment / count for moment in depth.sums.astype(np.float64).T)
    return (
        (z - (depth.step - 1) / 2) / depth.step,
        np.sqrt(np.maximum(zz - z * z, 0)) / depth.step,
        (zy - z * y) / (depth.step * step),
        (zx - z * x) / (depth.step * step),
    )


def _deciles(histogram: np.ndarray) -> np.ndarray:
    """Deciles of grey, (N, 9) in 0 .. 1."""
    out = np.empty((len(histogram), len(DECILES)))
    deciles(histogram, np.array(DECILES), out)
    return out
