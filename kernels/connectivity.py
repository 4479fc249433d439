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
"""Added to the slot of an orphan, and once more while it waits in the queue; whole rows of slots,
and below `MASKED`."""
_SCRATCH = 4
"""Bytes a pixel that the runs may take; where there are more, they are found in several bands."""


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
    (n, 2) int32
        The orphans (y, x) that found no main piece, in raster order; they keep their slots.
    """
    index = np.int32 if slots.size < 1 << 31 else np.int64
    rows = np.zeros(slots.shape[0] + 1, np.int64)
    _count_runs(slots, step, rows)
    # Of each run its start and its piece, of each piece its parent and home.
    scratch = int(rows[-1]) * (4 + 3 * np.dtype(index).itemsize)
    bands = ceil(scratch / (_SCRATCH * slots.size))
    size = -(-colour.shape[0] // bands)
    orphans = [
        _mark_orphans(slots, step, colour.shape[1], rows, first, first + size, index)
        for first in range(0, colour.shape[0], size)
    ]
    left = _adopt(work, corner, step, rounds, colour, slots, np.concatenate(orphans))
    return left[np.lexsort(left.T[::-1])]


def _mark_orphans(
    slots: np.ndarray,
    step: int,
    cells_x: int,
    rows: np.ndarray,
    first: int,
    last: int,
    index: type[np.signedinteger],
) -> np.ndarray:
    """Mark and list the orphans of the homes in the rows `first` to `last`; others are left out."""
    y0 = max(first - 2 * REACH, 0) * step
    y1 = min(last * step, slots.shape[0])
    if y0 >= y1:
        return np.empty((0, 2), np.int32)
    rows = rows[y0 : y1 + 1] - rows[y0]
    starts = np.empty(rows[-1] + 1, np.int32)
    pieces, parents, homes = (np.empty(rows[-1], index) for _ in range(3))
    band = np.array([y0, first, last])
    num = _find_pieces(slots, step, cells_x, band, rows, starts, pieces, parents, homes)
    main = np.full((last - first) * cells_x, -1, index)
    orphans = np.empty((_choose_main(parents[:num], homes, main), 2), np.int32)
    _mark_others(slots, y0, rows, starts, pieces, parents, orphans)
    return orphans


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
def _list_homes(cells_x, band):
    """The number of each slot's home, seen from a cell whose number is 0."""
    seen = np.full(256, -1, np.int64)
    for slot in range(5 * 5):
        seen[slot] = (slot // 5 + REACH - 2 - band[1]) * cells_x + slot % 5 + REACH - 2
        seen[slot + _ORPHAN] = seen[slot]
    return seen


@njit(nogil=True, cache=True)
def _find_pieces(slots, step, cells_x, band, rows, starts, pieces, parents, homes):
    """Write the runs, and the piece that each belongs to; return how many pieces.

    A run that touches one of its home in the row above belongs to that one's piece. Pieces that
    turn out to be one have the first of them for a parent; the others hold minus their size. Runs
    whose homes lie outside the band have no piece (-1).
    """
    width = slots.shape[1]
    seen, num_homes = _list_homes(cells_x, band), (band[2] - band[1]) * cells_x
    cells = (np.arange(width) // step).astype(np.int32)
    here, above = np.empty(width, np.int64), np.empty(width, np.int64)
    count = 0
    for n in range(rows.size - 1):
        y = band[0] + n
        first, last = rows[n], rows[n + 1]
        # The next row overwrites the one start too many.
        list_across(slots[y], step, starts[first : last + 1])
        starts[last] = width
        row, corner = slots[y], y // step * cells_x
        i = rows[n - 1] if n > 0 else 0
        for run in range(first, last):
            x, end = starts[run], starts[run + 1]
            slot = row[x]
            home = corner + cells[x] + seen[slot] if slot != MASKED else -1
            home = home if 0 <= home < num_homes else -1
            here[run - first] = home
            piece = -1
            if home >= 0 and n > 0:
                # From the run above this one's first pixel on.
                while (starts[i + 1] if i + 1 < first else width) <= x:
                    i += 1
                j = i
                while j < first and (j == i or starts[j] < end):
                    if above[j - rows[n - 1]] == home:
                        other = _root(parents, pieces[j])
                        piece = other if piece < 0 else _unite(parents, piece, other)
                    j += 1
            if home >= 0 and piece < 0:
                piece = count
                parents[piece], homes[piece] = 0, home
                count += 1
            if piece >= 0:
                parents[piece] -= end - x
            pieces[run] = piece
        here, above = above, here
    return count


@njit(nogil=True, cache=True)
def _root(parents, piece):
    while parents[piece] >= 0:
        above = parents[piece]
        if parents[above] >= 0:
            parents[piece] = parents[above]
        piece = above
    return piece


@njit(nogil=True, cache=True)
def _unite(parents, a, b):
    """Join two pieces under the one that comes first in raster order, and return that."""
    first, second = min(a, b), max(a, b)
    if first != second:
        parents[first] += parents[second]
        parents[second] = first
    return first


@njit(nogil=True, cache=True)
def _choose_main(parents, homes, main):
    """Turn `parents` into whether a piece belongs to a main one; return the others' pixels.

    `main` is a scratch, a piece for each home.
    """
    total = 0
    for piece in range(parents.size):
        if parents[piece] < 0:
            total -= parents[piece]
            home = homes[piece]
            if main[home] < 0 or parents[piece] < parents[main[home]]:
                main[home] = piece
    for piece in main:
        total += parents[piece] if piece >= 0 else 0
    for piece in range(parents.size):  # parents come first
        if parents[piece] < 0:
            parents[piece] = main[homes[piece]] == piece
        else:
            parents[piece] = parents[parents[piece]]
    return total


@njit(nogil=True, cache=True)
def _mark_others(slots, y0, rows, starts, pieces, parents, orphans):
    """Mark and list the pixels of runs that belong to no main piece."""
    width = slots.shape[1]
    count = 0
    for n in range(rows.size - 1):
        for run in range(rows[n], rows[n + 1]):
            if pieces[run] >= 0 and not parents[pieces[run]]:
                end = starts[run + 1] if run + 1 < rows[n + 1] else width
                for x in range(starts[run], end):
                    slots[y0 + n, x] += _ORPHAN
                    orphans[count] = y0 + n, x
                    count += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _adopt(work, corner, step, rounds, colour, slots, orphans):
    """Let the orphans join, a synchronous round at a time; return those that are left.

    After the first round, only neighbours of those that have just joined can have a new choice.
    """
    queue, waiting = orphans.copy(), np.empty_like(orphans)
    chosen = np.empty(len(orphans), np.uint8)
    num = len(orphans)
    for _ in range(rounds):
        joined = 0
        for n in range(num):
            y, x = queue[n]
            slot = _choose(work, corner, step, colour, slots, y, x)
            if slot != MASKED:
                queue[joined, 0], queue[joined, 1], chosen[joined] = y, x, slot
                joined += 1
            elif slots[y, x] >= 2 * _ORPHAN:
                slots[y, x] -= _ORPHAN
        for n in range(joined):
            slots[queue[n, 0], queue[n, 1]] = chosen[n]
        num = _queue_neighbours(slots, queue[:joined], waiting)
        queue, waiting = waiting, queue
        if num == 0:
            break
    num = 0
    for n in range(len(orphans)):
        y, x = orphans[n]
        if _ORPHAN <= slots[y, x] < MASKED:
            slots[y, x] %= _ORPHAN
            waiting[num, 0], waiting[num, 1] = y, x
            num += 1
    return waiting[:num]


@njit(nogil=True, cache=True)
def _queue_neighbours(slots, joined, queue):
    """List the orphans beside pixels that have just joined, each once; return how many."""
    height, width = slots.shape
    count = 0
    for n in range(len(joined)):
        y, x = joined[n]
        for side in range(4):
            ny, nx = y + (side == 1) - (side == 0), x + (side == 3) - (side == 2)
            if 0 <= ny < height and 0 <= nx < width:
                if _ORPHAN <= slots[ny, nx] < 2 * _ORPHAN:
                    slots[ny, nx] += _ORPHAN
                    queue[count, 0], queue[count, 1] = ny, nx
                    count += 1
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def _choose(work, corner, step, colour, slots, y, x):
    """Slot of the touching main piece nearest in colour, then lowest in id; `MASKED` if none."""
    height, width = slots.shape
    cell_y, cell_x = np.uint32(y) // np.uint32(step), np.uint32(x) // np.uint32(step)
    best, best_cost = np.int64(MASKED), np.int64(-1)
    for side in range(4):
        ny, nx = y + (side == 1) - (side == 0), x + (side == 3) - (side == 2)
        if not (0 <= ny < height and 0 <= nx < width) or slots[ny, nx] >= _ORPHAN:
            continue
        # Ids of homes rise with their slots as seen from one pixel.
        slot = _seen_from(slots[ny, nx], ny - cell_y * step, nx - cell_x * step, step)
        if slot == best or slot == MASKED:
            continue
        if best == MASKED:
            best = slot
            continue
        if best_cost < 0:
            best_cost = _distance(work, corner, colour, (y, x), (cell_y, cell_x), best)
        cost = _distance(work, corner, colour, (y, x), (cell_y, cell_x), slot)
        if cost < best_cost or (cost == best_cost and slot < best):
            best, best_cost = slot, cost
    return np.uint8(best)


@njit(nogil=True, cache=True)
def _seen_from(slot, in_y, in_x, step):
    """A pixel's slot counted from the cell that (in_y, in_x) is relative to; `MASKED` if too far."""
    slot = np.int64(slot)
    if 0 <= in_y < step and 0 <= in_x < step:
        return slot
    away_y = slot // 5 - 2 + (in_y == step) - (in_y < 0)
    away_x = slot % 5 - 2 + (in_x == step) - (in_x < 0)
    if abs(away_y) > REACH or abs(away_x) > REACH:
        return np.int64(MASKED)
    return 5 * (away_y + 2) + away_x + 2


@njit(nogil=True, cache=True)
def _distance(work, corner, colour, pixel, cell, slot):
    """How far a pixel is in colour from the superpixel at a slot."""
    home = colour[cell[0] + REACH + slot // 5 - 2, cell[1] + REACH + slot % 5 - 2]
    cost = np.int64(0)
    for c in range(work.shape[0]):
        cost += abs(np.int64(work[c, corner[0] + pixel[0], corner[1] + pixel[1]]) - home[c])
    return cost
