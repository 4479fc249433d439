"""SLIC pinned to a lattice: every pixel joins one of the 3 x 3 homes around its own cell.

After Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
TPAMI 34(11), 2012, with integer arithmetic and a fixed home for each cluster.
"""

from __future__ import annotations

import numpy as np
from numba import njit

OWN = 12
"""Slot of a pixel whose superpixel is its own cell's; slot = 5 * (dy + 2) + (dx + 2)."""
MASKED = 254
"""Slot of a pixel that belongs to no superpixel."""
QUARTERS = 4
"""Centres are kept in quarters of a pixel."""
EXACT = 1 << 24
"""float32 holds every integer below this one."""


def spatial_table(step: int, weight: float, ceiling: int) -> np.ndarray:
    """Cost of a distance along one axis: `(4, 6 * step + 1)` float32 integers, by quarter and offset.

    Entry `[f, k]` is `weight * (k - 3 * step - f / 4) ** 2`, rounded and cut at `ceiling`.
    """
    offset = np.arange(-3 * step, 3 * step + 1) - np.arange(QUARTERS)[:, None] / QUARTERS
    return np.minimum(np.rint(weight * offset**2), ceiling).astype(np.float32)


def slic(
    work: np.ndarray,
    step: int,
    n_iter: int,
    stride: int,
    table: np.ndarray,
    slots: np.ndarray,
    colour: np.ndarray,
    place: np.ndarray,
) -> None:
    """Cluster one window, in place.

    Parameters
    ----------
    work : (C, H, W) int16
        Working channels, not negative; the window starts at a corner of a cell.
    step : int
        Cell size in pixels.
    n_iter : int
        Rounds of assignment and update before the last assignment.
    stride : int
        The rounds look at every `stride`-th row and column of a cell; the last assignment at all.
    table : (4, 6 * step + 1) float32
        From `spatial_table`. Largest colour distance plus twice its ceiling must stay below 2**24.
    slots : (H, W) uint8
        In: `MASKED` where a pixel takes no part, anything else elsewhere. Out: slots.
    colour : (cells_y, cells_x, C) int32
        Out: mean colour of each superpixel.
    place : (cells_y, cells_x, 2) int32
        Out: centre in quarter pixels from one cell above and left of the home cell.
    """
    cells = colour.shape[:2]
    active = np.zeros(cells, np.bool_)
    sums = np.zeros((*cells, colour.shape[2] + 3), np.int64)
    _seed(work, step, slots, colour, place, active)
    for _ in range(n_iter):
        sums[:] = 0
        _assign(work, step, stride, table, slots, colour, place, active, sums)
        _update(sums, step, stride, colour, place)
    _assign(work, step, 1, table, slots, colour, place, active, sums[:0])


@njit(nogil=True, cache=True)
def _mean(total, count):
    return (2 * total + count) // (2 * count)


@njit(nogil=True, cache=True)
def _seed(work, step, slots, colour, place, active):
    """A cell starts with the mean of its own pixels: what lies there, wherever a block ends."""
    channels, height, width = work.shape
    total = np.empty(channels + 3, np.int64)
    for cy in range(active.shape[0]):
        for cx in range(active.shape[1]):
            total[:] = 0
            for y in range(cy * step, min(cy * step + step, height)):
                for x in range(cx * step, min(cx * step + step, width)):
                    if slots[y, x] != MASKED:
                        total[0] += 1
                        total[1] += y - (cy - 1) * step
                        total[2] += x - (cx - 1) * step
                        for c in range(channels):
                            total[3 + c] += work[c, y, x]
            active[cy, cx] = total[0] > 0
            _centre(total, step, 0, colour[cy, cx], place[cy, cx])


@njit(nogil=True, cache=True)
def _centre(total, step, shift, colour, place):
    """Move a centre to the mean of its pixels; one that lost them all stays where it was.

    `shift` makes up for the pixels not looked at, in quarters; it does not lead out of the nine
    cells.
    """
    count = total[0]
    last = QUARTERS * (3 * step - 1)
    if count > 0:
        place[0] = min(_mean(QUARTERS * total[1], count) + shift, last)
        place[1] = min(_mean(QUARTERS * total[2], count) + shift, last)
        for c in range(colour.size):
            colour[c] = _mean(total[3 + c], count)


@njit(nogil=True, cache=True)
def _update(sums, step, stride, colour, place):
    # Half way to the middle: an edge of a region falls on a pixel looked at as often as beside it,
    # and with the whole way (or none) more pixels join homes on one side than on the other.
    shift = QUARTERS * (stride - 1) // 4
    for cy in range(colour.shape[0]):
        for cx in range(colour.shape[1]):
            _centre(sums[cy, cx], step, shift, colour[cy, cx], place[cy, cx])


@njit(nogil=True, cache=True)
def _assign(work, step, stride, table, slots, colour, place, active, sums):
    """Give each pixel its nearest home; among equals the first in raster order.

    The pixels of a cell are copied to a small scratch and the homes go in the outer loop, so that
    the inner loops are plain streams of float32. With `sums`, the pixels are added up there;
    without (`sums` empty), they get their slots.
    """
    channels, height, width = work.shape
    cells_y, cells_x = active.shape
    scratch = np.empty((channels, step * step), np.float32)
    cost = np.empty(step * step, np.float32)
    best = np.empty(step * step, np.float32)
    home = np.empty(step * step, np.int32)
    local = np.empty((25, channels + 3), np.int64)
    for cy in range(cells_y):
        for cx in range(cells_x):
            y0, x0 = cy * step, cx * step
            y1, x1 = min(y0 + step, height), min(x0 + step, width)
            rows, columns = -(-(y1 - y0) // stride), -(-(x1 - x0) // stride)
            size = rows * columns
            _gather(work, y0, x0, rows, columns, stride, scratch)
            best[:size] = np.float32(EXACT)
            home[:size] = OWN
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    hy, hx = cy + dy, cx + dx
                    if hy < 0 or hx < 0 or hy >= cells_y or hx >= cells_x or not active[hy, hx]:
                        continue
                    first_y = (4 - dy) * step - (place[hy, hx, 0] >> 2)
                    first_x = (4 - dx) * step - (place[hy, hx, 1] >> 2)
                    along_y = table[place[hy, hx, 0] & 3, first_y:]
                    along_x = table[place[hy, hx, 1] & 3, first_x:]
                    _space(along_y, along_x, rows, columns, stride, cost)
                    slot = np.int32(5 * (dy + 2) + dx + 2)
                    _compete(scratch, colour[hy, hx], slot, size, cost, best, home)
            cell = slots[y0:y1:stride, x0:x1:stride]
            if sums.size > 0:
                _accumulate(scratch, home, cell, step, stride, local, cy, cx, sums)
            else:
                _store(home, cell)


@njit(nogil=True, cache=True)
def _gather(work, y0, x0, rows, columns, stride, scratch):
    for c in range(work.shape[0]):
        for i in range(rows):
            row = work[c, y0 + i * stride]
            for j in range(columns):
                scratch[c, i * columns + j] = row[x0 + j * stride]


@njit(nogil=True, cache=True)
def _space(along_y, along_x, rows, columns, stride, cost):
    """Write the spatial cost of each pixel of a cell towards one home."""
    for i in range(rows):
        for j in range(columns):
            cost[i * columns + j] = along_y[i * stride] + along_x[j * stride]


@njit(nogil=True, cache=True)
def _compete(scratch, colour, slot, size, cost, best, home):
    """Add the colour cost and take over the pixels that this home is nearer to."""
    for c in range(scratch.shape[0]):
        mean = np.float32(colour[c])
        channel = scratch[c]
        for p in range(size):
            difference = channel[p] - mean
            cost[p] += difference * difference
    for p in range(size):
        nearer = cost[p] < best[p]
        best[p] = cost[p] if nearer else best[p]
        home[p] = slot if nearer else home[p]


@njit(nogil=True, cache=True)
def _store(home, cell):
    rows, columns = cell.shape
    for i in range(rows):
        for j in range(columns):
            if cell[i, j] != MASKED:
                cell[i, j] = home[i * columns + j]


@njit(nogil=True, cache=True)
def _accumulate(scratch, home, cell, step, stride, local, cy, cx, sums):
    """Add a cell's pixels to the sums (count, y, x, channels) of the homes they joined.

    Positions count from one cell above and left of the home; `local` is a scratch by slot.
    """
    rows, columns = cell.shape
    local[:] = 0
    for i in range(rows):
        for j in range(columns):
            if cell[i, j] != MASKED:
                p = i * columns + j
                slot = home[p]
                local[slot, 0] += 1
                local[slot, 1] += i
                local[slot, 2] += j
                for c in range(scratch.shape[0]):
                    local[slot, 3 + c] += np.int64(scratch[c, p])
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            part = local[5 * (dy + 2) + dx + 2]
            if part[0] > 0:
                total = sums[cy + dy, cx + dx]
                total[0] += part[0]
                total[1] += part[0] * (1 - dy) * step + part[1] * stride
                total[2] += part[0] * (1 - dx) * step + part[2] * stride
                for c in range(scratch.shape[0]):
                    total[3 + c] += part[3 + c]
