"""Make every superpixel one 4-connected piece, by rules that look a few cells far only.

The main piece of a superpixel is its largest, then its first in raster order. Pixels of the other
pieces are orphans: in synchronous rounds each joins the main piece that it has most sides in common
with (then that of the lowest id), if its home lies within two cells.

Pieces are found over runs, not pixels: a run is a stretch of a row with one home. While orphans
wait, their slots carry a mark; rounds look at stretches of pixels, without branches.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.runs import ROW, list_across, same_home
from gnnseg.kernels.slic import MASKED

REACH = 2
"""Cells between a pixel's own cell and the home that it may join."""
ORPHAN = 40
"""Added to the slot of an orphan: above every slot, below `MASKED`, and whole rows of slots."""
_ORPHAN = np.uint8(ORPHAN)
_NONE = np.uint8(255)
"""In place of a slot where there is nothing to join."""
_RANKS = 32
"""More than there are slots."""
_STRETCH = 128
"""Pixels of a row that a round looks at in one go, if an orphan is left among them."""
_SCRATCH = 4
"""Bytes a pixel that the runs may take, about; where there are more, they are found in bands."""


def connect(slots: np.ndarray, step: int, rounds: int) -> np.ndarray:
    """Reassign orphan pixels of one window, in place.

    Parameters
    ----------
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell, changed in place. Homes may lie outside
        of the window.
    step, rounds : int
        Cell size in pixels; how many rounds of joining at most.

    Returns
    -------
    (n, 2) int64
        The orphans (y, x) that found no main piece, in raster order; they keep their slots.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import connectivity as gpu

        return gpu.connect(slots, step, rounds)
    height, width = slots.shape
    index = np.int32 if slots.size < 1 << 31 else np.int64
    rows = np.zeros(height + 1, np.int64)
    _count_runs(slots, step, rows)
    # Of each run its start and its piece, of each piece its parent and home.
    scratch = int(rows[-1]) * (4 + 3 * np.dtype(index).itemsize)
    bands = ceil(scratch / (_SCRATCH * slots.size))
    cells = -(-height // step) + 2 * REACH, -(-width // step) + 2 * REACH
    size = -(-cells[0] // bands)
    waiting = np.zeros((height, -(-width // _STRETCH)), np.bool_)
    for first in range(0, cells[0], size):
        _mark_orphans(slots, step, cells[1], rows, first, first + size, index, waiting)
    for _ in range(rounds):
        if not _adopt(slots, step, waiting):
            break
    left = np.empty((_count_left(slots, waiting), 2), np.int64)
    _take_marks_off(slots, waiting, left)
    return left


def _mark_orphans(
    slots: np.ndarray,
    step: int,
    cells_x: int,
    rows: np.ndarray,
    first: int,
    last: int,
    index: type[np.signedinteger],
    waiting: np.ndarray,
) -> None:
    """Mark the orphans of the homes in the rows `first` to `last`; other homes are left out.

    `cells_x` homes lie in a row, from two cells before the window on.
    """
    y0 = max(first - 2 * REACH, 0) * step
    y1 = min(last * step, slots.shape[0])
    if y0 >= y1:
        return
    rows = rows[y0 : y1 + 1] - rows[y0]
    starts = np.empty(rows[-1] + 1, np.int32)
    pieces, parents, homes = (np.empty(rows[-1], index) for _ in range(3))
    band = np.array([y0, first, last])
    num = _find_pieces(slots, step, cells_x, band, rows, starts, pieces, parents, homes)
    main = np.full((last - first) * cells_x, -1, index)
    _choose_main(parents[:num], homes, main)
    _mark_others(slots, y0, rows, starts, pieces, parents, waiting)


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
    """The number of each slot's home, seen from a cell whose number is 0.

    Homes are counted from two cells before the window, as slots are from the pixel's cell.
    """
    seen = np.full(256, -1, np.int64)
    for slot in range(ROW * ROW):
        seen[slot] = (slot // ROW - band[1]) * cells_x + slot % ROW
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
                # The run above this one's first pixel.
                while (starts[i + 1] if i + 1 < first else width) <= x:
                    i += 1
                touched = above[i - rows[n - 1] : first - rows[n - 1]]
                piece = _join_above(touched, home, starts[i:first], end, pieces[i:first], parents)
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
def _join_above(homes, home, starts, end, pieces, parents):
    """Unite the pieces of a home's runs that begin before `end`; return the one, -1 for none.

    `homes`, `starts` and `pieces` are those of a row, from the first run that is touched on.
    """
    piece = -1
    for run in range(starts.size):
        if run > 0 and starts[run] >= end:
            break
        if homes[run] == home:
            other = root(parents, pieces[run])
            piece = other if piece < 0 else unite(parents, piece, other)
    return piece


@njit(nogil=True, cache=True)
def root(parents, piece):
    """The root of a tree of pieces, which holds minus its size; the way there is shortened."""
    while parents[piece] >= 0:
        above = parents[piece]
        if parents[above] >= 0:
            parents[piece] = parents[above]
        piece = above
    return piece


@njit(nogil=True, cache=True)
def unite(parents, a, b):
    """Join two pieces under the one that comes first in raster order, and return that."""
    first, second = min(a, b), max(a, b)
    if first != second:
        parents[first] += parents[second]
        parents[second] = first
    return first


@njit(nogil=True, cache=True)
def _choose_main(parents, homes, main):
    """Turn `parents` into whether a piece belongs to a main one.

    `main` is a scratch, a piece for each home.
    """
    for piece in range(parents.size):
        if parents[piece] < 0:
            home = homes[piece]
            if main[home] < 0 or parents[piece] < parents[main[home]]:
                main[home] = piece
    for piece in range(parents.size):  # parents come first
        if parents[piece] < 0:
            parents[piece] = main[homes[piece]] == piece
        else:
            parents[piece] = parents[parents[piece]]


@njit(nogil=True, cache=True)
def _mark_others(slots, y0, rows, starts, pieces, parents, waiting):
    """Mark the pixels of runs that belong to no main piece, and the stretches where they wait."""
    width = slots.shape[1]
    for n in range(rows.size - 1):
        for run in range(rows[n], rows[n + 1]):
            if pieces[run] >= 0 and not parents[pieces[run]]:
                end = starts[run + 1] if run + 1 < rows[n + 1] else width
                for x in range(starts[run], end):
                    slots[y0 + n, x] += _ORPHAN
                    waiting[y0 + n, x // _STRETCH] = True


@njit(nogil=True, cache=True)
def _adopt(slots, step, waiting):
    """Let orphans join for a round; return whether any did."""
    height, width = slots.shape
    joined = False
    rows = np.array([row.any() for row in waiting])
    # What the last two rows were before they changed, with nothing at both ends; and no row at all.
    old, nothing = np.full((2, width + 2), _NONE), np.full(width, _NONE)
    new = np.empty(_STRETCH, np.uint8)
    first = (np.arange(width) % step == 0).astype(np.uint8)
    last = (np.arange(width) % step == step - 1).astype(np.uint8)
    for y in range(height):
        if rows[y] or (y + 1 < height and rows[y + 1]):
            old[y % 2, 1:-1] = slots[y]
        if not rows[y]:
            continue
        above = old[(y + 1) % 2, 1:] if y > 0 else nothing
        below = slots[y + 1] if y + 1 < height else nothing
        shifts = np.uint8(ROW * (y % step == 0)), np.uint8(ROW * ((y + 1) % step == 0))
        for stretch in range(waiting.shape[1]):
            if waiting[y, stretch]:
                x0 = stretch * _STRETCH
                row = slots[y, x0 : x0 + _STRETCH]
                aside = old[y % 2, x0:], old[y % 2, x0 + 2 :]
                _join(row, above[x0:], below[x0:], shifts, aside, (first[x0:], last[x0:]), new)
                changed, left = _replace(new, row)
                joined = joined or changed
                waiting[y, stretch] = left
    return joined


@njit(nogil=True, cache=True)
def _join(row, above, below, shifts, aside, edges, new):
    """Write what orphans become: the slot that most sides have, then the lowest.

    Neighbours in another cell are counted from there: `shifts` tells so of the rows above and
    below (a row of slots, or 0), `edges` of the pixels on the left and on the right (1, or 0).
    """
    left, right = aside
    first, last = edges
    limit = _ORPHAN if shifts[1] == 0 else np.uint8(4 * ROW)
    for x in range(row.size):
        slot = above[x]
        a = np.uint8(slot - shifts[0]) if shifts[0] <= slot < _ORPHAN else _NONE
        slot = below[x]
        b = np.uint8(slot + shifts[1]) if slot < limit else _NONE
        slot = left[x]
        c = np.uint8(slot - first[x]) if slot < _ORPHAN and first[x] <= _column(slot) else _NONE
        slot = right[x]
        beyond = np.uint8(last[x] + _column(slot)) >= np.uint8(ROW)
        d = np.uint8(slot + last[x]) if slot < _ORPHAN and not beyond else _NONE
        best = max(_votes(a, b, c, d), _votes(b, a, c, d))
        best = max(best, _votes(c, a, b, d), _votes(d, a, b, c))
        slot = np.uint8(np.uint8(_RANKS - 1) - (best & np.uint8(_RANKS - 1)))
        new[x] = slot if best > 0 and _ORPHAN <= row[x] < MASKED else row[x]


@njit(nogil=True, cache=True)
def _column(slot):
    """`slot % 5`, by a product that vectorises; right below 64."""
    fifth = np.uint16(np.uint16(slot) * np.uint16(205)) >> np.uint16(10)
    return np.uint8(np.uint16(slot) - np.uint16(5) * fifth)


@njit(nogil=True, cache=True)
def _votes(slot, other, another, last):
    """A number that rises with the sides that have a slot, then with how low it is; 0 for none."""
    same = np.uint8(np.uint8(slot == other) + np.uint8(slot == another) + np.uint8(slot == last))
    return np.uint8(_RANKS * same + 2 * _RANKS - 1 - slot) if slot != _NONE else np.uint8(0)


@njit(nogil=True, cache=True)
def _replace(new, row):
    """Write new slots; return whether any changed, and whether orphans are left."""
    changes, left = np.uint8(0), np.uint8(0)
    for x in range(row.size):
        changes = max(changes, np.uint8(new[x] ^ row[x]))
        left = max(left, np.uint8(new[x] if new[x] < MASKED else 0))
        row[x] = new[x]
    return changes > 0, left >= _ORPHAN


@njit(nogil=True, cache=True)
def _count_left(slots, waiting):
    count = 0
    for y in range(slots.shape[0]):
        if waiting[y].any():
            for slot in slots[y]:
                count += _ORPHAN <= slot < MASKED
    return count


@njit(nogil=True, cache=True)
def _take_marks_off(slots, waiting, left):
    """List the orphans that are left, and give them their slots back."""
    count = 0
    for y in range(slots.shape[0]):
        if waiting[y].any():
            for x in range(slots.shape[1]):
                if _ORPHAN <= slots[y, x] < MASKED:
                    slots[y, x] -= _ORPHAN
                    left[count, 0], left[count, 1] = y, x
                    count += 1
