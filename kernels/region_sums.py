"""Sums over regions: count, position moments, channels, texture, histograms of grey and patterns.

Everything is an integer sum, so parts of a region add up to the whole in any order. Planes are
added up column by column, whatever region a column is in; where its region changes, the column's
sums go to the region that ends there. So the long loops are plain streams over rows of pixels.
Histograms are kept the same way, several counts of a column in a word.
"""

from __future__ import annotations

import numpy as np
from numba import njit

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
"""Columns worked on at once, and so many planes: their sums stay in the fastest cache."""
_GROUP = 4
"""Planes worked on at once: what a region gets of them lies side by side."""
_BAND = 32
"""Rows worked on at once: the grey of a band stays in the next."""
_TALLEST = 63
"""Rows that a column may add up: squares of values below 4096 fit int32, and counts six bits."""
_BITS = 6
"""Bits of a count of patterns: ten of them share a word."""


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
    bins = (np.arange(grey_top + 1) * GREY_BINS // (grey_top + 1)).astype(np.uint8)
    table, bars = sums.reshape(-1, sums.shape[2]), histogram.reshape(-1, histogram.shape[2])
    kinds = planes, rings, bins, grey_top // 100
    _sum_strips(work, grey, slots, step, kinds, corner, sums.shape[:2], table, bars)


@njit(nogil=True, cache=True)
def _sum_strips(work, grey, slots, step, kinds, corner, cells, table, bars):
    """Add a window, a strip of columns at a time, and of that a band of rows at a time.

    Of each column, `since` holds the row where its region begins, `homes` the region's row of the
    table (-1: none); `ends` lists the columns and homes that end in the band, from `rows` on.
    """
    planes, rings, bins, contrast = kinds
    height, width = slots.shape
    size = -(-width // (-(-width // _STRIP) * 16)) * 16
    since, homes = np.empty(size, np.int32), np.empty(size, np.int32)
    listed = np.empty(size + 1, np.int32)
    ends, rows = np.empty((_BAND * size, 2), np.int32), np.zeros(_BAND + 1, np.int64)
    totals, values = np.zeros((len(planes), 2, size + 16), np.int32), np.empty(size, np.int16)
    counts = np.zeros((len(rings), size), np.uint64)
    codes = np.empty(size, np.uint8)
    for x0 in range(0, width, size):
        num = min(size, width - x0)
        at = np.array([corner[0], corner[1] + x0])
        homes[:] = -1
        # One row past the last: there, all regions end.
        for y0 in range(0, height + 1, _BAND):
            band = y0, min(y0 + _BAND, height + 1), height
            for y in range(band[0], band[1]):
                count = _list_changes(slots, y, x0, num, step, listed)
                first = rows[y - y0]
                rows[y - y0 + 1] = first + count
                _turn(slots, y, x0, step, cells, listed[:count], since, homes, ends[first:], table)
                if y < height:
                    _grey_row(grey, at[0] + y, at[1], bins, codes[:num])
                    _count_greys(codes[:num], homes, bars)
            for k in range(0, len(planes), _GROUP):
                part = planes[k : k + _GROUP], totals[k : k + _GROUP], GEOMETRY + 2 * k
                _sum_planes(work, grey, at, band, part, ends, rows, table, values[:num])
            for k in range(len(rings)):
                part = rings[k], contrast, GREY_BINS + k * PATTERNS
                _sum_patterns(grey, at, band, part, ends, rows, bars, codes[:num], counts[k])


@njit(nogil=True, cache=True)
def _sum_planes(work, grey, at, band, part, ends, rows, table, values):
    """Add a band of a few planes: `part` is these, their sums, and where they begin in the table.

    `band` is its first and last row and the row in which all regions end; `at` (y, x) is where row
    0 and the strip begin in `work`.
    """
    planes, totals, first = part
    for y in range(band[0], band[1]):
        _hand_over(ends[rows[y - band[0]] : rows[y - band[0] + 1]], totals, first, table)
        if y < band[2]:
            for k in range(len(planes)):
                _plane_row(work, grey, at[0] + y, at[1], planes[k], values)
                _accumulate(values, totals[k, 0], totals[k, 1])


@njit(nogil=True, cache=True)
def _sum_patterns(grey, at, band, part, ends, rows, bars, codes, counts):
    """Count the patterns of a band: `part` is distance, contrast, and their first bin."""
    ring, contrast, first = part
    for y in range(band[0], band[1]):
        ended = ends[rows[y - band[0]] : rows[y - band[0] + 1]]
        _hand_over_patterns(ended, counts, first, bars)
        if y < band[2]:
            pattern_row(grey, at[0] + y, at[1], ring, contrast, codes)
            _count_patterns(codes, counts)


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
def _turn(slots, y, x0, step, cells, listed, since, homes, ends, table):
    """Let the regions of the listed columns end above row `y`, and begin those that lie there."""
    for n in range(listed.size):
        x = listed[n]
        home, first = homes[x], since[x]
        ends[n, 0], ends[n, 1] = x, home
        if home >= 0:
            home_y = np.int64(np.uint32(home) // np.uint32(cells[1]))
            home_x = home - home_y * cells[1]
            _geometry(table[home], first - home_y * step, x0 + x - home_x * step, y - first)
        since[x], homes[x] = y, -1
        if y < slots.shape[0]:
            slot = np.int64(slots[y, x0 + x])
            home_y, home_x = y // step + slot // 5 - 2, (x0 + x) // step + slot % 5 - 2
            if slot != MASKED and 0 <= home_y < cells[0] and 0 <= home_x < cells[1]:
                homes[x] = home_y * cells[1] + home_x


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
def _count_patterns(codes, counts):
    for x in range(codes.size):
        counts[x] += np.uint64(1) << np.uint64(_BITS * codes[x])


@njit(nogil=True, cache=True)
def _hand_over_patterns(ends, counts, first, bars):
    """Move the counts of columns to the regions that end there, from bin `first` on."""
    for n in range(len(ends)):
        x, home = ends[n, 0], ends[n, 1]
        if home >= 0:
            for k in range(PATTERNS):
                count = counts[x] >> np.uint64(_BITS * k)
                bars[home, first + k] += np.int32(count & np.uint64((1 << _BITS) - 1))
        counts[x] = 0


@njit(nogil=True, cache=True)
def _count_greys(codes, homes, bars):
    for x in range(codes.size):
        if homes[x] >= 0:
            bars[homes[x], codes[x]] += 1


@njit(nogil=True, cache=True)
def _hand_over(ends, totals, first, table):
    """Move the sums of columns to the regions that end there, from column `first` on."""
    for n in range(len(ends)):
        x, home = ends[n, 0], ends[n, 1]
        for k in range(len(totals)):
            if home >= 0:
                table[home, first + 2 * k] += totals[k, 0, x]
                table[home, first + 2 * k + 1] += totals[k, 1, x]
            totals[k, 0, x] = 0
            totals[k, 1, x] = 0


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
