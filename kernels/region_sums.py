"""Sums over regions: count, position moments, channels, texture, histograms of grey and patterns.

Everything is an integer sum, so parts of a region add up to the whole in any order. Planes are
added up column by column, whatever region a column is in; where its region changes, the column's
sums go to the region that ends there. So the long loops are plain streams over rows of pixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.patterns import PATTERNS, pattern_row
from gnnseg.kernels.runs import list_down
from gnnseg.kernels.slic import MASKED

GEOMETRY = 6
"""Leading sums: count, y, x, y*y, y*x, x*x, positions counted from the home cell's corner."""
GREY_BINS = 32
"""Leading bins of a histogram; then come those of the patterns, for one distance after another."""
VALUE, ALONG_X, ALONG_Y, FALLING, RISING, LAPLACIAN = range(6)
"""Rules for a plane: a channel's value, or a response on grey, each at a distance in pixels."""
_STRIP = 2048
"""Columns worked on at once."""
_TALLEST = 128
"""Rows that a column may add up: squares of values below 4096 then fit int32."""


def region_sums(
    work: np.ndarray,
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    planes: np.ndarray,
    rings: np.ndarray,
    grey_top: int,
    sums: np.ndarray,
    histogram: np.ndarray,
    corner: tuple[int, int],
) -> None:
    """Add the pixels of a window to the sums of their regions.

    Parameters
    ----------
    work : (C, H', W') int16
        Channels, below 4096, of the window and of a margin around it of at least the largest
        distance in `planes` and `rings`.
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell.
    planes : (P, 2) int64
        Rule and channel (for `VALUE`) or distance (for the others).
    rings : (D,) int64
        Distances of the patterns (`gnnseg.kernels.patterns`), in pixels.
    grey_top : int
        Largest grey value; a hundredth of it is what patterns take for a difference.
    sums : (cells_y, cells_x, GEOMETRY + 2 P) int64
        Geometry, then of each plane the sum and the sum of squares; contiguous.
    histogram : (cells_y, cells_x, GREY_BINS + D * PATTERNS) int32
        Contiguous.
    corner : (y, x)
        Where in `work` and `grey` the window starts.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import region_sums as gpu

        tables = sums, histogram
        gpu.region_sums(work, grey, slots, step, planes, rings, grey_top, *tables, corner)
        return
    bins = (np.arange(grey_top + 1) * GREY_BINS // (grey_top + 1)).astype(np.uint8)
    table, bars = sums.reshape(-1, sums.shape[2]), histogram.reshape(-1, histogram.shape[2])
    kinds = planes, rings, bins, grey_top // 100
    _sum_strips(work, grey, slots, step, kinds, corner, sums.shape[:2], table, bars)


@njit(nogil=True, cache=True)
def _sum_strips(work, grey, slots, step, kinds, corner, cells, table, bars):
    """Add a window, a strip of columns at a time.

    Of each column, `since` holds the row where its region begins, `homes` the region's row of the
    table (-1: none), and `totals` the sums since then.
    """
    planes, rings, bins, contrast = kinds
    height, width = slots.shape
    size = -(-width // (-(-width // _STRIP) * 16)) * 16
    since, homes = np.empty(size, np.int32), np.empty(size, np.int32)
    # A little longer than the strip: rows a power of two apart would share a place in the cache.
    totals = np.zeros((len(planes), 2, size + 16), np.int32)
    listed, values = np.empty(size + 1, np.int32), np.empty(size, np.int16)
    codes = np.empty(size, np.uint8)
    for x0 in range(0, width, size):
        num = min(size, width - x0)
        left = corner[1] + x0
        homes[:] = -1
        for y in range(height + 1):  # one row past the last: there, all regions end
            count = _list_changes(slots, y, x0, num, step, listed)
            _end(listed[:count], y, x0, step, cells, since, homes, totals, table)
            if y < height:
                _begin(listed[:count], slots[y], y, x0, step, cells, since, homes)
                row = corner[0] + y
                for k in range(len(planes)):
                    _plane_row(work, grey, row, left, planes[k], values[:num])
                    _accumulate(values[:num], totals[k, 0], totals[k, 1])
                _grey_row(grey, row, left, bins, codes[:num])
                _count(codes[:num], homes, 0, bars)
                for k in range(len(rings)):
                    pattern_row(grey, row, left, rings[k], contrast, codes[:num])
                    _count(codes[:num], homes, GREY_BINS + k * PATTERNS, bars)


@njit(nogil=True, cache=True)
def _list_changes(slots, y, x0, width, step, listed):
    """List the columns that have another home at row `y` than above; return how many."""
    if y % _TALLEST == 0 or y == slots.shape[0]:
        for x in range(width):
            listed[x] = x
        return width
    part = slice(x0, x0 + width)
    return list_down(slots[y - 1, part], slots[y, part], y % step == 0, listed)


@njit(nogil=True, cache=True)
def _end(listed, y, x0, step, cells, since, homes, totals, table):
    """Let the regions of the listed columns end above row `y`, and have the columns' sums."""
    for x in listed:
        home, first = homes[x], since[x]
        if home >= 0:
            home_y = np.int64(np.uint32(home) // np.uint32(cells[1]))
            home_x = home - home_y * cells[1]
            total = table[home]
            _geometry(total, first - home_y * step, x0 + x - home_x * step, y - first)
            for k in range(len(totals)):
                total[GEOMETRY + 2 * k] += totals[k, 0, x]
                total[GEOMETRY + 2 * k + 1] += totals[k, 1, x]
        for k in range(len(totals)):
            totals[k, 0, x] = 0
            totals[k, 1, x] = 0


@njit(nogil=True, cache=True)
def _begin(listed, row, y, x0, step, cells, since, homes):
    """Begin the regions of the listed columns at row `y`."""
    for x in listed:
        slot = np.int64(row[x0 + x])
        home_y, home_x = y // step + slot // 5 - 2, (x0 + x) // step + slot % 5 - 2
        inside = slot != MASKED and 0 <= home_y < cells[0] and 0 <= home_x < cells[1]
        since[x], homes[x] = y, home_y * cells[1] + home_x if inside else -1


@njit(nogil=True, cache=True)
def _geometry(total, y, x, n):
    """Add a column of `n` pixels that starts at `(y, x)`, in closed form."""
    sum_y = n * y + n * (n - 1) // 2
    total[0] += n
    total[1] += sum_y
    total[2] += n * x
    total[3] += n * y * y + y * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
    total[4] += x * sum_y
    total[5] += n * x * x


@njit(nogil=True, cache=True)
def _grey_row(grey, y, x, bins, codes):
    here = grey[y, x:]
    for n in range(codes.size):
        codes[n] = bins[here[n]]


@njit(nogil=True, cache=True)
def _count(codes, homes, first, bars):
    """Count each pixel's code, from bin `first` on."""
    for x in range(codes.size):
        if homes[x] >= 0:
            bars[homes[x], first + codes[x]] += 1


@njit(nogil=True, cache=True)
def _accumulate(values, first, second):
    for x in range(values.size):
        value = np.int32(values[x])
        first[x] += value
        second[x] += np.int32(value * value)


@njit(nogil=True, cache=True)
def _plane_row(work, grey, y, x, plane, values):
    """Write a row of a plane, from pixel (y, x) of the channels."""
    rule, d = plane[0], plane[1]
    width = values.size
    if rule == VALUE:
        channel = work[d, y, x : x + width]
        for n in range(width):
            values[n] = channel[n]
        return
    here, above, below = grey[y], grey[y - d], grey[y + d]
    if rule == ALONG_X:
        _difference(here[x + d :], here[x - d :], values)
    elif rule == ALONG_Y:
        _difference(below[x:], above[x:], values)
    elif rule == FALLING:
        _difference(below[x + d :], above[x - d :], values)
    elif rule == RISING:
        _difference(below[x - d :], above[x + d :], values)
    else:
        _laplacian(above[x:], below[x:], here[x - d :], here[x + d :], here[x:], values)


@njit(nogil=True, cache=True)
def _difference(a, b, out):
    for x in range(out.size):
        out[x] = abs(np.int16(a[x] - b[x]))


@njit(nogil=True, cache=True)
def _laplacian(above, below, left, right, here, out):
    for x in range(out.size):
        ring = above[x] + below[x] + left[x] + right[x]
        out[x] = abs(np.int16(ring - 4 * here[x])) >> 2
