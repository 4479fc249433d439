"""SLIC pinned to a lattice: every pixel joins one of the 3 x 3 homes around its own cell.

After Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE
TPAMI 34(11), 2012, with integer arithmetic and a fixed home for each cluster.
"""

from __future__ import annotations

import numpy as np
from numba import njit

OWN = 12
"""Slot of a pixel whose superpixel is its own cell's; slot = 5 * (dy + 2) + (dx + 2)."""
MIDDLE = 4
"""The own cell among the 3 x 3 homes, counted in raster order."""
MASKED = 254
"""Slot of a pixel that belongs to no superpixel."""
QUARTERS = 4
"""Centres are kept in quarters of a pixel."""
EXACT = 1 << 24
"""float32 holds every integer below this one."""
FEW = 3
"""Up to so many channels are compared in one pass."""
STRIP = 128
"""Pixels of a row that are worked on at once: what they look at stays in the nearest cache."""
HALF, LOW = 32, (1 << 32) - 1
"""Two sums share a 64-bit word."""
SPACES = 4
"""Leading rows of a view: y, and three spatial costs along x."""


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
    thinned = work, slots, step
    if n_iter > 0 and stride > 1:
        thinned = _thin(work, step, stride), _thin(slots[None], step, stride)[0], -(-step // stride)
    for round_ in range(n_iter):
        part = _inner(cells, 2 * round_ + 1, open_sides)
        sums[:] = 0
        _assign(*thinned, step, stride, space, colour, place, active, sums, part)
        _update(sums, step, stride, colour, place)
    part = _inner(cells, 2 * n_iter + 1, open_sides)
    _assign(work, slots, step, step, 1, space, colour, place, active, sums[:0], part)


@njit(nogil=True, cache=True)
def _thin(array, step, stride):
    """Every `stride`-th row and column of each cell of an (n, H, W) array."""
    _, height, width = array.shape
    rows = np.array([y for y in range(height) if y % step % stride == 0])
    columns = np.array([x for x in range(width) if x % step % stride == 0])
    out = np.empty((array.shape[0], rows.size, columns.size), array.dtype)
    for n in range(array.shape[0]):
        for y in range(rows.size):
            for x in range(columns.size):
                out[n, y, x] = array[n, rows[y], columns[x]]
    return out


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
    column = np.empty((channels + 2, width), np.int32)  # count, y and channels down each column
    total = np.empty(channels + 3, np.int64)
    for cy in range(active.shape[0]):
        column[:] = 0
        for y in range(cy * step, min(cy * step + step, height)):
            _add_row(work, slots, y, y - (cy - 1) * step, column)
        for cx in range(active.shape[1]):
            total[:] = 0
            for x in range(cx * step, min(cx * step + step, width)):
                total[0] += column[0, x]
                total[1] += column[1, x]
                total[2] += np.int64(column[0, x]) * (x - (cx - 1) * step)
                for c in range(channels):
                    total[3 + c] += column[2 + c, x]
            active[cy, cx] = total[0] > 0
            _centre(total, step, 0, colour[cy, cx], place[cy, cx])


@njit(nogil=True, cache=True, error_model="numpy")
def _add_row(work, slots, y, away, column):
    """Add a row of pixels, `away` rows from where y counts, to the sums of its columns."""
    for x in range(slots.shape[1]):
        taken = np.int32(slots[y, x] != MASKED)
        column[0, x] += taken
        column[1, x] += taken * np.int32(away)
    for c in range(work.shape[0]):
        for x in range(slots.shape[1]):
            column[2 + c, x] += work[c, y, x] if slots[y, x] != MASKED else 0


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
def _assign(work, slots, size, step, stride, space, colour, place, active, sums, part):
    """Give each pixel its nearest home; among equals the first in raster order.

    `work` and `slots` hold cells of `size` x `size` pixels that lie `stride` apart. What the homes
    of a row of cells look like from each column is spread out once (`_spread`), so that the inner
    loops are long plain streams of float32. With `sums`, the pixels are added up there; without
    (`sums` empty), they get their slots.
    """
    channels, height, width = work.shape
    views = np.empty((3, SPACES + channels, (active.shape[1] + 2) * size), np.float32)
    planes = max(channels | 1, FEW)  # odd, for `_pack`
    homes = np.zeros((9, 2 + planes, STRIP), np.float32)
    pixels = np.zeros((planes, STRIP), np.float32)
    found = np.empty(STRIP, np.int32)
    rows = np.empty(9, np.float32)
    packed = np.empty(((3 + planes) // 2, STRIP), np.int64)
    local = np.zeros((STRIP // size + 2, 9, packed.shape[0]), np.int64)
    inside = (np.arange(width) % size).astype(np.int32)
    cell = (np.arange(width) // size).astype(np.int32)
    first, last = part[2] * size, min(part[3] * size, width)
    for hy in range(part[0] - 1, part[0] + 1):
        _spread(hy, size, step, stride, space, colour, place, active, views[hy % 3])
    for cy in range(part[0], part[1]):
        _spread(cy + 1, size, step, stride, space, colour, place, active, views[(cy + 1) % 3])
        for x0 in range(first, last, STRIP):
            n = min(STRIP, last - x0)
            _line_up(views, cy, x0, n, size, homes)
            for y in range(cy * size, min(cy * size + size, height)):
                for c in range(channels):
                    for x in range(n):
                        pixels[c, x] = work[c, y, x0 + x]
                for k in range(9):
                    rows[k] = QUARTERS * (stride * (y - cy * size) - step * (k // 3 - 2))
                _nearest(pixels, rows, homes, n, space, found)
                if sums.size > 0:
                    _pack(pixels, slots[y, x0 : x0 + n], y - cy * size, inside[x0:], packed)
                    _accumulate(packed, found[:n], cell[x0:], x0 // size, local)
                else:
                    _store(found, slots[y, x0 : x0 + n])
            if sums.size > 0:
                _hand_over(local, cy, x0 // size, step, stride, sums)


@njit(nogil=True, cache=True, error_model="numpy")
def _spread(hy, size, step, stride, space, colour, place, active, view):
    """Write what a row of homes looks like from each column of pixels.

    `view` has a cell of `size` columns for each home and one more at either end. Its rows are the
    home's y in quarters, the spatial cost along x from the columns of the cell to the right of the
    home, of its own and of the cell to the left (infinite where there is no home), and its colour.
    """
    away = (QUARTERS * stride * np.arange(size)).astype(np.float32)
    weight, ceiling = space[0], space[1]
    for cell in range(active.shape[1] + 2):
        hx = cell - 1
        part = view[:, cell * size : (cell + 1) * size]
        if not (0 <= hy < active.shape[0] and 0 <= hx < active.shape[1] and active[hy, hx]):
            part[:] = np.inf
            continue
        part[0] = place[hy, hx, 0]
        for k in range(3):
            centre = np.float32(place[hy, hx, 1] + QUARTERS * step * (k - 2))
            for x in range(size):
                distance = away[x] - centre
                part[1 + k, x] = min(ceiling, np.rint(weight * (distance * distance)))
        for c in range(colour.shape[2]):
            part[SPACES + c] = colour[hy, hx, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _line_up(views, cy, x0, n, size, homes):
    """Copy what `n` columns of a row of cells see of their nine homes: y, cost along x, colour."""
    for k in range(9):
        view = views[(cy + k // 3 - 1) % 3]
        start = x0 + k % 3 * size
        _copy(view[0, start:], homes[k, 0], n)
        _copy(view[1 + k % 3, start:], homes[k, 1], n)
        for c in range(view.shape[0] - SPACES):
            _copy(view[SPACES + c, start:], homes[k, 2 + c], n)


@njit(nogil=True, cache=True, error_model="numpy")
def _copy(source, target, n):
    for x in range(n):
        target[x] = source[x]


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest(pixels, rows, homes, n, space, found):
    """Write which of nine homes is nearest to each of `n` pixels of a row."""
    weight, ceiling = space[0], space[1]
    if pixels.shape[0] > FEW:
        _nearest_of_many(pixels, rows, homes, n, weight, ceiling, found)
        return
    for x in range(n):
        best, nearest = np.float32(EXACT), np.int32(MIDDLE)
        for k in range(9):
            away = rows[k] - homes[k, 0, x]
            cost = min(ceiling, np.rint(weight * (away * away))) + homes[k, 1, x]
            for c in range(FEW):
                difference = pixels[c, x] - homes[k, 2 + c, x]
                cost += difference * difference
            nearer = cost < best
            best = cost if nearer else best
            nearest = np.int32(k) if nearer else nearest
        found[x] = nearest


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest_of_many(pixels, rows, homes, n, weight, ceiling, found):
    """The same for any number of channels, a stream for each."""
    best = np.full(n, EXACT, np.float32)
    cost = np.empty(n, np.float32)
    found[:] = MIDDLE
    for k in range(9):
        for x in range(n):
            away = rows[k] - homes[k, 0, x]
            cost[x] = min(ceiling, np.rint(weight * (away * away))) + homes[k, 1, x]
        for c in range(pixels.shape[0]):
            for x in range(n):
                difference = pixels[c, x] - homes[k, 2 + c, x]
                cost[x] += difference * difference
        for x in range(n):
            nearer = cost[x] < best[x]
            best[x] = cost[x] if nearer else best[x]
            found[x] = k if nearer else found[x]


@njit(nogil=True, cache=True, error_model="numpy")
def _store(found, slots):
    """Write slots for a row of nearest homes, counted 0 to 8."""
    for x in range(slots.size):
        slot = OWN + 5 * (found[x] // 3 - 1) + found[x] % 3 - 1
        slots[x] = slot if slots[x] != MASKED else MASKED


@njit(nogil=True, cache=True, error_model="numpy")
def _pack(pixels, slots, y, inside, packed):
    """Write 1, y, x (both within the cell) and channels of a row of pixels, two to a 64-bit word.

    A sum over a cell stays below 2**31 in each half. A masked pixel has zeros.
    """
    for x in range(slots.size):
        taken = np.int64(slots[x] != MASKED)
        packed[0, x] = taken * (1 | y << HALF)
        packed[1, x] = taken * (inside[x] | np.int64(pixels[0, x]) << HALF)
    for word in range(2, packed.shape[0]):
        low, high = pixels[2 * word - 3], pixels[2 * word - 2]
        for x in range(slots.size):
            taken = np.int64(slots[x] != MASKED)
            packed[word, x] = taken * (np.int64(low[x]) | np.int64(high[x]) << HALF)


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(packed, found, cell, first, local):
    """Add a row of packed pixels to the sums of a strip's cells by home."""
    for x in range(found.size):
        total = local[np.uint32(cell[x] - first), np.uint32(found[x])]
        for word in range(packed.shape[0]):
            total[word] += packed[word, x]


@njit(nogil=True, cache=True, error_model="numpy")
def _hand_over(local, cy, cx, step, stride, sums):
    """Add a strip's sums to those of the homes, whose positions count from one cell before."""
    for cell in range(local.shape[0]):
        for k in range(9):
            part = local[cell, k]
            count = part[0] & LOW
            if count > 0:
                dy, dx = k // 3 - 1, k % 3 - 1
                total = sums[cy + dy, cx + cell + dx]
                total[0] += count
                total[1] += count * (1 - dy) * step + (part[0] >> HALF) * stride
                total[2] += count * (1 - dx) * step + (part[1] & LOW) * stride
                for c in range(total.size - 3):
                    word = part[(c + 3) // 2]
                    total[3 + c] += word & LOW if c % 2 else word >> HALF
    local[:] = 0
