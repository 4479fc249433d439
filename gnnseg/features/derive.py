"""Features from integer sums: once per region, in float64 with + - x / and square roots only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gnnseg.features.planes import RINGS, planes
from gnnseg.kernels.arrays import cut, empty, is_device_array
from gnnseg.kernels.compiled import inlined, loop
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


@cache
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
    pos: np.ndarray,
    *,
    step: int,
    top: int,
    extent: tuple[int, ...],
    out: np.ndarray,
    depth: Depth | None = None,
) -> None:
    """Write features of regions, zero for empty ones.

    Parameters
    ----------
    sums, histogram
        (N, 6 + 2 P) and (N, 32 + 10 D) from `gnnseg.kernels.region_sums`.
    boundary : (N,) int32
        Pixel sides shared with other regions.
    contrast : (N, offsets) int32
        Grey differences summed over those of them that are shared with a region whose home lies
        within two cells.
    pos : (N, 2) float64, of a volume (N, 3)
        Centroids (y, x); of a volume, z comes first.
    step : int
        Cell size in pixels.
    top : int
        Largest grey value: means and deviations are given as shares of it.
    extent : (height, width), of a volume (depth, height, width)
        Pixels of the image: `place_*` is a share of them.
    out : (N, F) float32
    depth : Depth, optional
        Of the regions of a volume.

    Notes
    -----
    `mean_*`, `std_*`, `decile_*` and `contrast` are shares of the grey scale (means of differences
    of colours lie between 0 and 4, at 2 without colour), `pattern_*` shares of the region's pixels;
    `area` is in cells,
    `shift_*` (from the middle of the home cell), `spread_*` and `boundary` in cell sides, `slant`
    is the covariance of y and x in cells (`slant_zy` that of z and y). `contrast` is divided by all
    sides, also those of regions further away. In a volume `boundary` is in
    times the four upright sides of a cell.
    """
    number = sums.shape[0]
    tenths = empty((number, len(DECILES)), np.float64, like=sums)
    deciles(cut(histogram, np.s_[:, :GREY_BINS]), np.array(DECILES), tenths)
    layers, face = (1, 1) if depth is None else (depth.step, depth.face)
    around = boundary, contrast, pos, np.array(extent, np.float64)
    steps, units = (step, layers), (4.0 * step * (face * layers), 1.0 / top)
    if is_device_array(sums):
        from gnnseg.kernels.cuda import derive as gpu

        along_z = empty((number, 0), np.int64, like=sums) if depth is None else depth.sums
        gpu.derive((sums, tenths, histogram, along_z), around, steps, units, out)
        return
    more = np.empty((number, 0)) if depth is None else _shape_in_depth(sums, step, depth)
    inside = sums, tenths, histogram[:, GREY_BINS:], more
    _write_rows(inside, around, steps, units, out)


@loop
def _write_rows(
    inside: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    around: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    steps: tuple[int, int],
    units: tuple[float, float],
    out: np.ndarray,
) -> None:
    """Write the columns of `feature_names`, in their order, one region after the other."""
    sums, tenths, patterns, more = inside
    boundary, contrast, pos, extent = around
    sides, scale = units
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
        at += _write(_shape(total, count, steps), x[at:])
        at += _write(more[n], x[at:])
        x[at] = boundary[n] / sides
        x[at + 1] = contrast[n].sum() / max(boundary[n], 1) * scale
        at += len(_BORDER)
        for axis in range(extent.size):
            x[at + axis] = pos[n, axis] / extent[axis]


@inlined
def _write(values: Any, x: np.ndarray) -> int:
    """Write values at the beginning of `x`; return how many."""
    for k in range(len(values)):
        x[k] = values[k]
    return len(values)


@inlined
def _shape(total: np.ndarray, count: float, steps: tuple[int, int]) -> tuple[float, ...]:
    """The columns of `_SHAPE`."""
    step, layers = steps
    y, x = total[1] / count, total[2] / count
    yy, yx, xx = total[3] / count, total[4] / count, total[5] / count
    middle = (step - 1) / 2
    return (
        count / (step * step * layers),
        (y - middle) / step,
        (x - middle) / step,
        np.sqrt(max(yy - y * y, 0.0)) / step,
        np.sqrt(max(xx - x * x, 0.0)) / step,
        (yx - y * x) / (step * step),
    )


def _shape_in_depth(sums: np.ndarray, step: int, depth: Depth) -> np.ndarray:
    """The columns of `_DEPTH`, (N, 4) float64."""
    count = np.maximum(sums[:, 0], 1)
    y, x = sums[:, 1] / count, sums[:, 2] / count
    z, zz, zy, zx = (moment / count for moment in depth.sums.astype(np.float64).T)
    columns = (
        (z - (depth.step - 1) / 2) / depth.step,
        np.sqrt(np.maximum(zz - z * z, 0)) / depth.step,
        (zy - z * y) / (depth.step * step),
        (zx - z * x) / (depth.step * step),
    )
    return np.stack(columns, axis=1)
