"""Sums over regions, on a GPU; the rule is that of `gnnseg.kernels.region_sums`.

A block of threads adds up one region, or those of the homes above each other in the layers of a
volume, from one plane: it looks at the pixels of 5 x 5 cells, so that no other block writes to the
same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, types

from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.homes import home_offset, near
from gnnseg.kernels.cuda.launch import THREADS
from gnnseg.kernels.patterns import PATTERNS
from gnnseg.kernels.region_sums import (
    ALONG_X,
    ALONG_Y,
    FALLING,
    GEOMETRY,
    GREY_BINS,
    RISING,
    VALUE,
)
from gnnseg.kernels.slots import REACH

MOST_SUMS, MOST_BINS = 256, 128
"""Columns of `sums` and of `histogram`."""


def region_sums(
    work: Any,
    grey: Any,
    slots: Any,
    step: int,
    planes: np.ndarray,
    rings: np.ndarray,
    grey_top: int,
    sums: Any,
    histogram: Any,
    corner: tuple[int, int],
) -> None:
    """Add the pixels of a window to the sums of their regions; arguments as for the CPU."""
    _check(sums.shape[2], histogram.shape[2])
    homes, kinds = sums.shape[0] * sums.shape[1], (constant(planes), constant(rings))
    _add_up[homes, THREADS](work, grey, slots, step, *kinds, grey_top, sums, histogram, *corner)


def region_sums_in_plane(
    work: Any,
    grey: Any,
    slots: Any,
    steps: tuple[int, int],
    z: int,
    planes: np.ndarray,
    rings: np.ndarray,
    grey_top: int,
    tables: tuple[Any, Any, Any],
    corner: tuple[int, int],
) -> None:
    """Add a plane of a volume to the sums of its regions; arguments as for the CPU."""
    sums, histogram, _ = tables
    (layers, cells_y, cells_x, columns), bins = sums.shape, histogram.shape[3]
    _check(columns, bins)
    kinds = constant(planes), constant(rings), grey_top
    shared = layers * (8 * columns + 4 * bins)
    add_up = _add_up_layers[cells_y * cells_x, THREADS, 0, shared]
    add_up(work, grey, slots, *steps, z, *kinds, *tables, *corner)


def _check(columns: int, bins: int) -> None:
    if columns > MOST_SUMS or bins > MOST_BINS:
        raise ValueError(
            f"{columns} sums and {bins} bins a region: a GPU takes at most "
            f"{MOST_SUMS} and {MOST_BINS}"
        )


@cuda.jit
def _add_up(work, grey, slots, step, planes, rings, grey_top, sums, histogram, top, left):
    totals = cuda.shared.array(MOST_SUMS, np.int64)
    bars = cuda.shared.array(MOST_BINS, np.int32)
    home_y, home_x = cuda.blockIdx.x // sums.shape[1], cuda.blockIdx.x % sums.shape[1]
    _clear(totals, sums.shape[2], bars, histogram.shape[2])
    y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * columns, cuda.blockDim.x):
        y, x = y0 + at // columns, x0 + at % columns
        layer, dy, dx = home_offset(slots, step, y, x, home_y, home_x)
        if layer == 0 and dy == 0 and dx == 0:
            _add_place(totals, 0, y - home_y * step, x - home_x * step)
            _add_values(totals, 0, work, grey, top + y, left + x, planes)
            _add_bins(bars, 0, grey, top + y, left + x, rings, grey_top)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, sums.shape[2], cuda.blockDim.x):
        sums[home_y, home_x, k] += totals[k]
    for k in range(cuda.threadIdx.x, histogram.shape[2], cuda.blockDim.x):
        histogram[home_y, home_x, k] += bars[k]


@cuda.jit
def _add_up_layers(
    work, grey, slots, step_z, step, z, planes, rings, grey_top, sums, histogram, depth, top, left
):
    """The same of a volume's plane, and moments along z; a block has the homes of all layers."""
    layers, columns, bins = sums.shape[0], sums.shape[3], histogram.shape[3]
    totals = cuda.shared.array(0, types.int64)
    bars = cuda.shared.array(0, types.int32)[2 * layers * columns :]
    home_y, home_x = cuda.blockIdx.x // sums.shape[2], cuda.blockIdx.x % sums.shape[2]
    _clear(totals, layers * columns, bars, layers * bins)
    y0, x0, rows, width = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * width, cuda.blockDim.x):
        y, x = y0 + at // width, x0 + at % width
        layer, dy, dx = home_offset(slots, step, y, x, home_y, home_x)
        if layer < layers and dy == 0 and dx == 0:
            _add_place(totals, layer * columns, y - home_y * step, x - home_x * step)
            _add_values(totals, layer * columns, work, grey, top + y, left + x, planes)
            _add_bins(bars, layer * bins, grey, top + y, left + x, rings, grey_top)
    cuda.syncthreads()
    _hand_over(totals, bars, (home_y, home_x), sums, histogram, depth, (step_z, z))


@cuda.jit(device=True)
def _clear(totals, num_totals, bars, num_bars):
    for k in range(cuda.threadIdx.x, num_totals, cuda.blockDim.x):
        totals[k] = 0
    for k in range(cuda.threadIdx.x, num_bars, cuda.blockDim.x):
        bars[k] = 0
    cuda.syncthreads()


@cuda.jit(device=True)
def _hand_over(totals, bars, home, sums, histogram, depth, place):
    """Add the sums of a column of homes to the tables; those without a pixel are left."""
    (home_y, home_x), (step_z, z) = home, place
    columns, bins = sums.shape[3], histogram.shape[3]
    for layer in range(sums.shape[0]):
        first, bar = layer * columns, layer * bins
        if totals[first] > 0:
            for k in range(cuda.threadIdx.x, columns, cuda.blockDim.x):
                sums[layer, home_y, home_x, k] += totals[first + k]
            for k in range(cuda.threadIdx.x, bins, cuda.blockDim.x):
                histogram[layer, home_y, home_x, k] += bars[bar + k]
            if cuda.threadIdx.x == 0:
                away = z - (layer - REACH) * step_z
                _add_depth(totals, first, away, depth[layer, home_y, home_x])


@cuda.jit(device=True)
def _add_depth(totals, first, away, depth):
    """Add the moments along z of voxels that lie `away` planes after the first of their home."""
    depth[0] += totals[first] * away
    depth[1] += totals[first] * away * away
    depth[2] += totals[first + 1] * away
    depth[3] += totals[first + 2] * away


@cuda.jit(device=True)
def _add_place(totals, first, y, x):
    """Add a pixel's place, counted from the corner of the home's cell, and its products."""
    cuda.atomic.add(totals, first, 1)
    cuda.atomic.add(totals, first + 1, y)
    cuda.atomic.add(totals, first + 2, x)
    cuda.atomic.add(totals, first + 3, y * y)
    cuda.atomic.add(totals, first + 4, y * x)
    cuda.atomic.add(totals, first + 5, x * x)


@cuda.jit(device=True)
def _add_values(totals, first, work, grey, y, x, planes):
    """Add the value of each plane at a pixel of the channels, and its square."""
    for k in range(planes.shape[0]):
        value = _value(work, grey, y, x, planes[k, 0], planes[k, 1])
        cuda.atomic.add(totals, first + GEOMETRY + 2 * k, value)
        cuda.atomic.add(totals, first + GEOMETRY + 2 * k + 1, value * value)


@cuda.jit(device=True)
def _add_bins(bars, first, grey, y, x, rings, grey_top):
    """Count the level of a pixel, and its patterns."""
    level = int(grey[y, x]) * GREY_BINS // (grey_top + 1)
    cuda.atomic.add(bars, first + level, 1)
    for k in range(rings.size):
        kind = _pattern(grey, y, x, rings[k], grey_top // 100)
        cuda.atomic.add(bars, first + GREY_BINS + k * PATTERNS + kind, 1)


@cuda.jit(device=True)
def _value(work, grey, y, x, rule, d):
    """A plane's value at a pixel of the channels, by one of `RULES`; the last is the Laplacian."""
    if rule == VALUE:
        return int(work[d, y, x])
    if rule == ALONG_X:
        return abs(int(grey[y, x + d]) - int(grey[y, x - d]))
    if rule == ALONG_Y:
        return abs(int(grey[y + d, x]) - int(grey[y - d, x]))
    if rule == FALLING:
        return abs(int(grey[y + d, x + d]) - int(grey[y - d, x - d]))
    if rule == RISING:
        return abs(int(grey[y + d, x - d]) - int(grey[y - d, x + d]))
    ring = int(grey[y - d, x]) + int(grey[y + d, x]) + int(grey[y, x - d]) + int(grey[y, x + d])
    return abs(ring - 4 * int(grey[y, x])) >> 2


@cuda.jit(device=True)
def _pattern(grey, y, x, d, contrast):
    """The local binary pattern of a pixel (`gnnseg.kernels.patterns`)."""
    level = int(grey[y, x]) + contrast
    bits = int(grey[y - d, x - d] > level) | int(grey[y - d, x] > level) << 1
    bits |= int(grey[y - d, x + d] > level) << 2 | int(grey[y, x + d] > level) << 3
    bits |= int(grey[y + d, x + d] > level) << 4 | int(grey[y + d, x] > level) << 5
    bits |= int(grey[y + d, x - d] > level) << 6 | int(grey[y, x - d] > level) << 7
    turned = bits >> 1 | (bits & 1) << 7
    return cuda.popc(bits) if cuda.popc(bits ^ turned) <= 2 else PATTERNS - 1
