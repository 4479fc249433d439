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


def spatial_cost(weight: float, ceiling: int) -> np.ndarray:
    """Constants of the cost of a distance along one axis: (2,) float32.

    The cost of `d` pixels is `weight * d ** 2`, rounded to an integer and cut at `ceiling`.
    """
    return np.array([weight / QUARTERS**2, ceiling], np.float32)


def slic(
    work: np.ndarray,
    step: int,
    n_iter: int,
    stride: int,
    space: np.ndarray,
    slots: np.ndarray,
    colour: np.ndarray,
    place: np.ndarray,
    open_sides: tuple[bool, bool, bool, bool] = (False, False, False, False),
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
    space : (2,) float32
        From `spatial_cost`. Largest colour distance plus twice its ceiling must stay below 2**24.
    slots : (H, W) uint8
        In: `MASKED` where a pixel takes no part, anything else elsewhere. Out: slots.
    colour : (cells_y, cells_x, C) int32
        Out: mean colour of each superpixel.
    place : (cells_y, cells_x, 2) int32
        Out: centre in quarter pixels from one cell above and left of the home cell.
    open_sides : (top, bottom, left, right)
        Sides on which the image goes on. There, each round leaves out the cells that it could not
        compute right, two more a round, so that `2 * n_iter + 1` rows of cells get no slots.
    """
    cells = colour.shape[:2]
    active = np.zeros(cells, np.bool_)
    sums = np.zeros((*cells, colour.shape[2] + 3), np.int64)
    _seed(work, step, slots, colour, place, active)
    for round_ in range(n_iter):
        part = _inner(cells, 2 * round_ + 1, open_sides)
        sums[:] = 0
        _assign(work, step, stride, space, slots, colour, place, active, sums, part)
        _update(sums, step, stride, colour, place)
    part = _inner(cells, 2 * n_iter + 1, open_sides)
    _assign(work, step, 1, space, slots, colour, place, active, sums[:0], part)


def _inner(
    cells: tuple[int, ...], inset: int, open_sides: tuple[bool, bool, bool, bool]
) -> tuple[int, int, int, int]:
    """Bounds of the cells at least `inset` from every open side."""
    top, bottom, left, right = (inset * bool(side) for side in open_sides)
    return top, cells[0] - bottom, left, cells[1] - right


@njit(nogil=True, cache=True, error_model="numpy")
def _mean(total, count):
    return (2 * total + count) // (2 * count)


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def _update(sums, step, stride, colour, place):
    # Half way to the middle: an edge of a region falls on a pixel looked at as often as beside it,
    # and with the whole way (or none) more pixels join homes on one side than on the other.
    shift = QUARTERS * (stride - 1) // 4
    for cy in range(colour.shape[0]):
        for cx in range(colour.shape[1]):
            _centre(sums[cy, cx], step, shift, colour[cy, cx], place[cy, cx])


@njit(nogil=True, cache=True, error_model="numpy")
def _assign(work, step, stride, space, slots, colour, place, active, sums, part):
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
    quarters = np.empty((2, step * step), np.float32)
    local = np.empty((25, channels + 3), np.int64)
    placed_rows, placed_columns = 0, 0
    for cy in range(part[0], part[1]):
        for cx in range(part[2], part[3]):
            y0, x0 = cy * step, cx * step
            y1, x1 = min(y0 + step, height), min(x0 + step, width)
            rows, columns = -(-(y1 - y0) // stride), -(-(x1 - x0) // stride)
            if rows != placed_rows or columns != placed_columns:
                _place(quarters, rows, columns, stride)
                placed_rows, placed_columns = rows, columns
            _gather(work, y0, x0, rows, columns, stride, scratch)
            for p in range(rows * columns):
                best[p] = np.float32(EXACT)
                home[p] = OWN
            for hy in range(max(cy - 1, 0), min(cy + 2, cells_y)):
                for hx in range(max(cx - 1, 0), min(cx + 2, cells_x)):
                    if active[hy, hx]:
                        centre_y = place[hy, hx, 0] + QUARTERS * step * (hy - cy - 1)
                        centre_x = place[hy, hx, 1] + QUARTERS * step * (hx - cx - 1)
                        _space(quarters, centre_y, centre_x, space, rows * columns, cost)
                        slot = np.int32(5 * (hy - cy + 2) + hx - cx + 2)
                        _compete(scratch, colour, hy, hx, slot, rows * columns, cost, best, home)
            cell = slots[y0:y1:stride, x0:x1:stride]
            if sums.size > 0:
                _accumulate(scratch, home, cell, step, stride, local, cy, cx, sums)
            else:
                _store(home, cell)


@njit(nogil=True, cache=True, error_model="numpy")
def _place(quarters, rows, columns, stride):
    """Write where the pixels of a cell lie, in quarters of a pixel from its corner."""
    for i in range(rows):
        for j in range(columns):
            quarters[0, i * columns + j] = QUARTERS * i * stride
            quarters[1, i * columns + j] = QUARTERS * j * stride


@njit(nogil=True, cache=True, error_model="numpy")
def _gather(work, y0, x0, rows, columns, stride, scratch):
    """Copy the pixels of a cell."""
    for c in range(work.shape[0]):
        for i in range(rows):
            for j in range(columns):
                scratch[c, i * columns + j] = work[c, y0 + i * stride, x0 + j * stride]


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _space(quarters, centre_y, centre_x, space, size, cost):
    """Write the spatial cost of each pixel of a cell towards one home; all integers."""
    y, x = np.float32(centre_y), np.float32(centre_x)
    weight, ceiling = space[0], space[1]
    for p in range(size):
        away_y = quarters[0, p] - y
        away_x = quarters[1, p] - x
        cost_y = np.rint(weight * (away_y * away_y))
        cost_x = np.rint(weight * (away_x * away_x))
        cost_y = min(ceiling, cost_y)
        cost_x = min(ceiling, cost_x)
        cost[p] = cost_y + cost_x


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _compete(scratch, colour, hy, hx, slot, size, cost, best, home):
    """Add the colour cost and take over the pixels that this home is nearer to."""
    for c in range(scratch.shape[0]):
        mean = np.float32(colour[hy, hx, c])
        for p in range(size):
            difference = scratch[c, p] - mean
            cost[p] += difference * difference
    for p in range(size):
        nearer = cost[p] < best[p]
        best[p] = cost[p] if nearer else best[p]
        home[p] = slot if nearer else home[p]


@njit(nogil=True, cache=True, error_model="numpy")
def _store(home, cell):
    rows, columns = cell.shape
    for i in range(rows):
        for j in range(columns):
            if cell[i, j] != MASKED:
                cell[i, j] = home[i * columns + j]


@njit(nogil=True, cache=True, error_model="numpy")
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
