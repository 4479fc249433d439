"""Sums over regions: count, position moments, channels, texture and a grey histogram.

Everything is an integer sum, so parts of a region add up to the whole in any order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.slic import MASKED

GEOMETRY = 6
"""Leading sums: count, y, x, y*y, y*x, x*x, positions counted from the home cell's corner."""
HISTOGRAM_BINS = 32
VALUE, ALONG_X, ALONG_Y, FALLING, RISING, LAPLACIAN = range(6)
"""Rules for a plane: a channel's value, or a response on grey, each at a distance in pixels."""


def region_sums(
    work: np.ndarray,
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    planes: np.ndarray,
    grey_top: int,
    sums: np.ndarray,
    histogram: np.ndarray,
) -> None:
    """Add the pixels of a window to the sums of their regions.

    Parameters
    ----------
    work : (C, H, W) int16
        Channels; the window starts at a corner of a cell.
    grey : (H + 2 m, W + 2 m) int16
        Lightness with a margin `m` of at least the largest distance in `planes`.
    slots : (H, W) uint8
    planes : (P, 2) int64
        Rule and channel (for `VALUE`) or distance (for the others).
    grey_top : int
        Largest grey value.
    sums : (cells_y, cells_x, GEOMETRY + 2 P) int64
        Geometry, then P sums, then P sums of squares.
    histogram : (cells_y, cells_x, HISTOGRAM_BINS) int32
    """
    row = np.zeros((slots.shape[1], len(planes)), np.int32)
    bins = (np.arange(grey_top + 1) * HISTOGRAM_BINS // (grey_top + 1)).astype(np.uint8)
    _sum_rows(work, grey, slots, step, planes, bins, row, sums, histogram)


@njit(nogil=True, cache=True)
def _sum_rows(work, grey, slots, step, planes, bins, row, sums, histogram):
    height, width = slots.shape
    margin = (grey.shape[0] - height) // 2
    num = planes.shape[0]
    first = np.empty(num, np.int32)
    second = np.empty(num, np.int32)
    for y in range(height):
        _plane_row(work, grey, y, margin, planes, row)
        x = 0
        while x < width:
            slot = np.int64(slots[y, x])
            cell_x = x // step
            end = x + 1
            limit = min((cell_x + 1) * step, width)
            while end < limit and slots[y, end] == slot:
                end += 1
            if slot != MASKED:
                home_y, home_x = y // step + slot // 5 - 2, cell_x + slot % 5 - 2
                if 0 <= home_y < sums.shape[0] and 0 <= home_x < sums.shape[1]:
                    _sum_run(row, x, end, first, second)
                    total = sums[home_y, home_x]
                    _geometry(total, y - home_y * step, x - home_x * step, end - x)
                    for k in range(num):
                        total[GEOMETRY + k] += first[k]
                        total[GEOMETRY + num + k] += second[k]
                    for i in range(x, end):
                        histogram[home_y, home_x, bins[grey[margin + y, margin + i]]] += 1
            x = end


@njit(nogil=True, cache=True)
def _sum_run(row, start, end, first, second):
    first[:] = 0
    second[:] = 0
    for x in range(start, end):
        for k in range(first.size):
            value = row[x, k]
            first[k] += value
            second[k] += value * value


@njit(nogil=True, cache=True)
def _geometry(total, y, x, n):
    """Add a run of `n` pixels that starts at `(y, x)`, in closed form."""
    sum_x = n * x + n * (n - 1) // 2
    total[0] += n
    total[1] += n * y
    total[2] += sum_x
    total[3] += n * y * y
    total[4] += y * sum_x
    total[5] += n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6


@njit(nogil=True, cache=True)
def _plane_row(work, grey, y, margin, planes, row):
    """Fill `row` with the planes of one row of pixels, pixel by pixel."""
    width = row.shape[0]
    here = grey[margin + y]
    for k in range(planes.shape[0]):
        rule, d = planes[k, 0], planes[k, 1]
        if rule == VALUE:
            for x in range(width):
                row[x, k] = work[d, y, x]
            continue
        above, below = grey[margin + y - d], grey[margin + y + d]
        if rule == ALONG_X:
            _difference(here[margin + d :], here[margin - d :], width, row[:, k])
        elif rule == ALONG_Y:
            _difference(below[margin:], above[margin:], width, row[:, k])
        elif rule == FALLING:
            _difference(below[margin + d :], above[margin - d :], width, row[:, k])
        elif rule == RISING:
            _difference(below[margin - d :], above[margin + d :], width, row[:, k])
        else:
            for x in range(margin, margin + width):
                ring = np.int32(above[x]) + below[x] + here[x - d] + here[x + d]
                row[x - margin, k] = abs(ring - 4 * np.int32(here[x])) >> 2


@njit(nogil=True, cache=True)
def _difference(a, b, width, out):
    for x in range(width):
        out[x] = abs(np.int32(a[x]) - np.int32(b[x]))
