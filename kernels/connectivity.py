"""Make every superpixel one 4-connected piece, by rules that look a few cells far only.

The main piece of a superpixel is its largest, then its first in raster order. Pixels of the other
pieces are orphans: in synchronous rounds each joins the touching main piece nearest in colour
(then lowest in id), if its home lies within two cells.

Pieces are found over runs, not pixels: a run is a stretch of a row with one home. Only orphans are
looked at pixel by pixel; while they wait, their slots carry a mark.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numba import njit

from gnnseg.kernels.runs import list_across, same_home
from gnnseg.kernels.slic import MASKED

REACH = 2
"""Cells between a pixel's own cell and the home that it may join."""
_ORPHAN = np.uint8(40)
"""Added to the slot of an orphan: above every slot, below `MASKED`, and whole rows of slots."""
_SCRATCH = 2
"""Bytes a pixel that the runs may take; where there are more, they are found in several bands."""
_MAIN = -(1 << 31)
"""Parent of the root of a main piece and of runs left out; other roots hold minus their size."""


def connect(
    work: np.ndarray,
    step: int,
    rounds: int,
    colour: np.ndarray,
    slots: np.ndarray,
    corner: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Reassign orphan pixels of one window, in place.

    Parameters
    ----------
    work : (C, H', W') int16
        Working channels.
    step, rounds : int
        Cell size in pixels; how many rounds of joining at most.
    colour : (cells_y + 4, cells_x + 4, C) int32
        Mean colour of each superpixel, two cells wider all round than the window: pixels may belong
        to homes outside.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell, changed in place.
    corner : (y, x)
        Where in `work` the window starts.

    Returns
    -------
    (n,) int64
        Flat indices of the orphans that found no main piece; they keep their slots.
    """
    index = np.int32 if slots.size < 1 << 31 else np.int64
    rows = np.zeros(slots.shape[0] + 1, np.int64)
    _count_runs(slots, step, rows)
    scratch = int(rows[-1]) * (np.dtype(index).itemsize + 4)
    bands = ceil(scratch / (_SCRATCH * slots.size))
    size = -(-colour.shape[0] // bands)
    for first in range(0, colour.shape[0], size):
        _mark_orphans(slots, step, colour.shape[1], rows, first, first + size, index)
    orphans = np.empty(_count_orphans(slots), index)
    _list_orphans(slots, orphans)
    return _adopt(work, corner, step, rounds, colour, slots, orphans).astype(np.int64)


def _mark_orphans(
    slots: np.ndarray,
    step: int,
    cells_x: int,
    rows: np.ndarray,
    first: int,
    last: int,
    index: type[np.signedinteger],
) -> None:
    """Mark the orphans of the homes in the rows `first` to `last`; other homes are left out."""
    y0 = max(first - 2 * REACH, 0) * step
    y1 = min(last * step, slots.shape[0])
    if y0 >= y1:
        return
    rows = rows[y0 : y1 + 1] - rows[y0]
    starts = np.empty(rows[-1] + 1, np.int32)
    parents = np.empty(rows[-1], index)
    band = np.array([y0, first, last])
    _find_pieces(slots, step, cells_x, band, rows, starts, parents)
    main = np.full((last - first) * cells_x, -1, index)
    _choose_main(slots, step, cells_x, band, rows, starts, parents, main)
    _mark_others(slots, y0, rows, starts, parents)


@njit(nogil=True, cache=True)
def _count_runs(slots, step, rows):
    """Write the number of the first run of each row, and the number of all runs at the end."""
    height, width = slots.shape
    for y in range(height):
        count = 1
        for x in range(1, width):
            count += slots[y, x] != slots[y, x - 1]
        for x in range(step, width, step):
            before, after = slots[y, x - 1], slots[y, x]
            count += int(not same_home(before, after)) - int(before != after)
        rows[y + 1] = rows[y] + count


@njit(nogil=True, cache=True)
def _home(slot, cell_y, cell_x, cells_x, band):
    """A number for a superpixel whose home lies in the band; -1 for others and where masked."""
    slot = np.int64(slot)
    if slot == MASKED:
        return -1
    slot -= _ORPHAN if slot >= _ORPHAN else 0
    row = cell_y + REACH + slot // 5 - 2
    inside = band[1] <= row < band[2]
    return (row - band[1]) * cells_x + cell_x + REACH + slot % 5 - 2 if inside else -1


@njit(nogil=True, cache=True)
def _root(parents, run):
    while parents[run] >= 0:
        above = parents[run]
        if parents[above] >= 0:
            parents[run] = parents[above]
        run = above
    return run


@njit(nogil=True, cache=True)
def _unite(parents, a, b):
    """Join two pieces under the root that comes first in raster order."""
    a, b = _root(parents, a), _root(parents, b)
    if a != b:
        first, second = min(a, b), max(a, b)
        parents[first] += parents[second]
        parents[second] = first


@njit(nogil=True, cache=True, error_model="numpy")
def _find_pieces(slots, step, cells_x, band, rows, starts, parents):
    """Write the runs and unite those of a home that touch; roots hold minus the piece's size."""
    width = slots.shape[1]
    homes = np.empty((2, width), np.int64)
    for n in range(rows.size - 1):
        y = band[0] + n
        first, last = rows[n], rows[n + 1]
        # The next row overwrites the one start too many.
        list_across(slots[y], step, starts[first : last + 1])
        starts[last] = width
        here, above = homes[n % 2], homes[1 - n % 2]
        for run in range(first, last):
            x = starts[run]
            home = _home(slots[y, x], y // step, x // step, cells_x, band)
            here[run - first] = home
            parents[run] = x - starts[run + 1] if home >= 0 else _MAIN
        if n > 0:
            _touch(here, above, rows[n - 1 : n + 2], starts, parents, width)


@njit(nogil=True, cache=True)
def _touch(here, above, rows, starts, parents, width):
    """Unite the runs of a row with those above; `starts` of the row above end where it ends."""
    i, j = rows[0], rows[1]
    while i < rows[1] and j < rows[2]:
        if here[j - rows[1]] == above[i - rows[0]] >= 0:
            _unite(parents, i, j)
        end_i = starts[i + 1] if i + 1 < rows[1] else width
        end_j = starts[j + 1] if j + 1 < rows[2] else width
        i += end_i <= end_j
        j += end_j <= end_i


@njit(nogil=True, cache=True, error_model="numpy")
def _choose_main(slots, step, cells_x, band, rows, starts, parents, main):
    """Turn the roots of the main pieces to `_MAIN`; `main` is a scratch, a root for each home."""
    for n in range(rows.size - 1):
        y = band[0] + n
        for run in range(rows[n], rows[n + 1]):
            if _MAIN < parents[run] < 0:
                x = starts[run]
                home = _home(slots[y, x], y // step, x // step, cells_x, band)
                if main[home] < 0 or parents[run] < parents[main[home]]:
                    main[home] = run
    for run in main:
        if run >= 0:
            parents[run] = _MAIN


@njit(nogil=True, cache=True)
def _mark_others(slots, y0, rows, starts, parents):
    """Mark the pixels of runs that belong to no main piece."""
    for n in range(rows.size - 1):
        for run in range(rows[n], rows[n + 1]):
            if parents[_root(parents, run)] != _MAIN:
                end = starts[run + 1] if run + 1 < rows[n + 1] else slots.shape[1]
                for x in range(starts[run], end):
                    slots[y0 + n, x] += _ORPHAN


@njit(nogil=True, cache=True)
def _count_orphans(slots):
    count = 0
    for y in range(slots.shape[0]):
        for x in range(slots.shape[1]):
            count += (slots[y, x] >= _ORPHAN) & (slots[y, x] < MASKED)
    return count


@njit(nogil=True, cache=True)
def _list_orphans(slots, orphans):
    """Write the flat indices of the marked pixels."""
    height, width = slots.shape
    count = 0
    for y in range(height):
        for x in range(width):
            if _ORPHAN <= slots[y, x] < MASKED:
                orphans[count] = y * width + x
                count += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _adopt(work, corner, step, rounds, colour, slots, orphans):
    """Let the orphans join, a synchronous round at a time; return those that are left."""
    width = slots.shape[1]
    chosen = np.empty(orphans.size, np.uint8)
    left = orphans
    for _ in range(rounds):
        for n in range(left.size):
            y, x = left[n] // width, left[n] % width
            chosen[n] = _choose(work, corner, step, colour, slots, y, x)
        waiting = 0
        for n in range(left.size):
            if chosen[n] == MASKED:
                left[waiting] = left[n]
                waiting += 1
            else:
                slots[left[n] // width, left[n] % width] = chosen[n]
        if waiting == left.size:
            break
        left = left[:waiting]
    for pixel in left:
        slots[pixel // width, pixel % width] -= _ORPHAN
    return left


@njit(nogil=True, cache=True, error_model="numpy")
def _choose(work, corner, step, colour, slots, y, x):
    """Slot of the touching main piece nearest in colour, then lowest in id; `MASKED` if none."""
    height, width = slots.shape
    cell_y, cell_x = y // step, x // step
    in_y, in_x = y - cell_y * step, x - cell_x * step
    best, best_cost = np.int64(MASKED), np.int64(0)
    for side in range(4):
        dy, dx = (side == 1) - (side == 0), (side == 3) - (side == 2)
        if not (0 <= y + dy < height and 0 <= x + dx < width):
            continue
        slot = np.int64(slots[y + dy, x + dx])
        if slot >= _ORPHAN:
            continue
        away_y = slot // 5 - 2 + (in_y + dy == step) - (in_y + dy < 0)
        away_x = slot % 5 - 2 + (in_x + dx == step) - (in_x + dx < 0)
        if abs(away_y) > REACH or abs(away_x) > REACH:
            continue
        home = colour[cell_y + REACH + away_y, cell_x + REACH + away_x]
        cost = np.int64(0)
        for c in range(work.shape[0]):
            cost += abs(np.int64(work[c, corner[0] + y, corner[1] + x]) - home[c])
        # Ids of homes rise with their slots as seen from one pixel.
        own = 5 * (away_y + 2) + away_x + 2
        if best == MASKED or cost < best_cost or (cost == best_cost and own < best):
            best, best_cost = own, cost
    return np.uint8(best)
