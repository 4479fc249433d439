"""Sums over regions, on a GPU; the rule is that of `gnnseg.kernels.region_sums`.

A block of threads adds up one region: it looks at the pixels of 5 x 5 cells, so that no other block
writes to the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.homes import belongs, near
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
    if sums.shape[2] > MOST_SUMS or histogram.shape[2] > MOST_BINS:
        raise ValueError(
            f"{sums.shape[2]} sums and {histogram.shape[2]} bins a region: a GPU takes at most "
            f"{MOST_SUMS} and {MOST_BINS}"
        )
    kinds = cuda.to_device(planes), cuda.to_device(rings)
    homes = sums.shape[0] * sums.shape[1]
    _add_up[homes, THREADS](work, grey, slots, step, *kinds, grey_top, sums, histogram, *corner)


@cuda.jit
def _add_up(work, grey, slots, step, planes, rings, grey_top, sums, histogram, top, left):
    totals = cuda.shared.array(MOST_SUMS, np.int64)
    bars = cuda.shared.array(MOST_BINS, np.int32)
    home_y, home_x = cuda.blockIdx.x // sums.shape[1], cuda.blockIdx.x % sums.shape[1]
    for k in range(cuda.threadIdx.x, sums.shape[2], cuda.blockDim.x):
        totals[k] = 0
    for k in range(cuda.threadIdx.x, histogram.shape[2], cuda.blockDim.x):
        bars[k] = 0
    cuda.syncthreads()
    y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * columns, cuda.blockDim.x):
        y, x = y0 + at // columns, x0 + at % columns
        if belongs(slots, step, y, x, home_y, home_x):
            _add_place(totals, y - home_y * step, x - home_x * step)
            for k in range(planes.shape[0]):
                value = _value(work, grey, top + y, left + x, planes[k, 0], planes[k, 1])
                cuda.atomic.add(totals, GEOMETRY + 2 * k, value)
                cuda.atomic.add(totals, GEOMETRY + 2 * k + 1, value * value)
            level = int(grey[top + y, left + x]) * GREY_BINS // (grey_top + 1)
            cuda.atomic.add(bars, level, 1)
            for k in range(rings.size):
                kind = _pattern(grey, top + y, left + x, rings[k], grey_top // 100)
                cuda.atomic.add(bars, GREY_BINS + k * PATTERNS + kind, 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, sums.shape[2], cuda.blockDim.x):
        sums[home_y, home_x, k] += totals[k]
    for k in range(cuda.threadIdx.x, histogram.shape[2], cuda.blockDim.x):
        histogram[home_y, home_x, k] += bars[k]


@cuda.jit(device=True)
def _add_place(totals, y, x):
    """Add a pixel's place, counted from the corner of the home's cell, and its products."""
    cuda.atomic.add(totals, 0, 1)
    cuda.atomic.add(totals, 1, y)
    cuda.atomic.add(totals, 2, x)
    cuda.atomic.add(totals, 3, y * y)
    cuda.atomic.add(totals, 4, y * x)
    cuda.atomic.add(totals, 5, x * x)


@cuda.jit(device=True)
def _value(work, grey, y, x, rule, d):
    """A plane's value at a pixel of the channels."""
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
