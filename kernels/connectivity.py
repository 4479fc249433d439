"""Make every superpixel one 4-connected piece, by rules that look a few cells far only.

The main piece of a superpixel is its largest, then its first in raster order. Pixels of the other
pieces are orphans: in synchronous rounds each joins the main piece that it has most sides in common
with (then that of the lowest id), if its home lies within two cells.

While orphans wait, slots are written as codes in which rows and columns of homes have bits of their
own, so that what a neighbour's slot is from here, and whether there is such a slot, takes no
division. Rounds look at 64 pixels at a time, without branches.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.bits import WORD, add_where
from gnnseg.kernels.pieces import find_orphans
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import MASKED

ORPHAN = 40
"""Added to the slot of an orphan: above every slot, below `MASKED`, and whole rows of slots."""
_DOWN = np.uint8(8)
"""One row of homes further, in codes: 8 rows + columns."""
_COLUMN, _END = np.uint8(7), np.uint8(5 * 8)
"""The bits of the column; above all codes."""
_WAITS = np.uint8(128)
"""Added to the code of an orphan."""
_NOTHING = np.uint8(64)
"""In place of a code where nothing can be joined: above all codes, also from a row further."""
_NONE = np.uint8(255)


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
    orphans = find_orphans(slots, step)
    waiting = orphans != 0
    _encode(slots, orphans)
    for _ in range(rounds):
        if not _adopt(slots, step, waiting):
            break
    left = np.empty((_count_left(slots, waiting), 2), np.int64)
    _list_left(slots, waiting, left)
    _decode(slots)
    return left


@njit(nogil=True, cache=True)
def _encode(slots, orphans):
    """Turn slots into codes, and mark those of orphans."""
    width = slots.shape[1]
    codes = np.empty(WORD * orphans.shape[1], np.uint8)
    for y in range(slots.shape[0]):
        row = slots[y]
        for x in range(width):
            codes[x] = row[x] + 3 * _row_of(row[x]) if row[x] != MASKED else _NOTHING
        add_where(orphans[y], _WAITS, codes)
        for x in range(width):
            row[x] = codes[x]


@njit(nogil=True, cache=True)
def _row_of(slot):
    """The row of a slot, without a division."""
    first = np.uint8(slot >= ROW) + np.uint8(slot >= 2 * ROW)
    return np.uint8(first + np.uint8(slot >= 3 * ROW) + np.uint8(slot >= 4 * ROW))


@njit(nogil=True, cache=True)
def _decode(slots):
    """Turn codes into slots again; orphans that are left keep what they had."""
    for y in range(slots.shape[0]):
        row = slots[y]
        for x in range(row.size):
            code = np.uint8(row[x] & np.uint8(_WAITS - 1))
            slot = np.uint8(code - np.uint8(3) * np.uint8(code >> 3))
            row[x] = slot if row[x] != _NOTHING else MASKED


@njit(nogil=True, cache=True)
def _adopt(slots, step, waiting):
    """Let orphans join for a round; return whether any did."""
    height, width = slots.shape
    wide = WORD * waiting.shape[1]
    # Rows as they were before the round, with nothing at both ends; and which rows they are.
    rows, held = np.full((3, wide + 2), _NOTHING), np.full(3, -2)
    first, last, new = np.zeros(wide, np.uint8), np.zeros(wide, np.uint8), np.empty(wide, np.uint8)
    first[::step], last[step - 1 :: step] = 1, 1
    joined = False
    for y in range(height):
        if not waiting[y].any():
            continue
        for near in range(y - 1, y + 2):
            _hold(slots, near, rows, held)
        around = rows[(y - 1) % 3], rows[y % 3], rows[(y + 1) % 3]
        up = _DOWN if y % step == 0 else np.uint8(0)
        down = _DOWN if (y + 1) % step == 0 else np.uint8(0)
        _copy(around[1][1:], new[:width])
        if _join_row(around, (up, down, first, last), waiting[y], new):
            joined = True
            _copy(new, slots[y])
    return joined


@njit(nogil=True, cache=True)
def _hold(slots, y, rows, held):
    """Keep a row as it is now, if that is not done; beyond the window there is nothing."""
    if held[y % 3] != y:
        held[y % 3] = y
        kept = rows[y % 3][1 : 1 + slots.shape[1]]
        if 0 <= y < slots.shape[0]:
            _copy(slots[y], kept)
        else:
            kept[:] = _NOTHING


@njit(nogil=True, cache=True)
def _copy(source, target):
    for x in range(target.size):
        target[x] = source[x]


@njit(nogil=True, cache=True)
def _join_row(around, shifts, waiting, new):
    """Write what the orphans of a row become; return whether any joined."""
    joined = False
    for word in range(waiting.size):
        if waiting[word]:
            x0 = np.uint64(WORD * word)
            _join(around, shifts, x0, new)
            changes, codes = _sum_up(around[1], new, x0)
            joined |= changes != 0
            waiting[word] = codes >= _WAITS
    return joined


@njit(nogil=True, cache=True)
def _join(around, shifts, x0, new):
    """Write what 64 pixels become: orphans the code that most sides have, then the lowest.

    The rows above, of the pixels and below begin one pixel before the window. Neighbours in another
    cell are counted from there: `shifts` tell so of the rows above and below, and of the pixels on
    the left and on the right.
    """
    above, here, below = around
    up, down, first, last = shifts
    one, two = np.uint64(1), np.uint64(2)
    for k in range(WORD):
        x = x0 + np.uint64(k)
        a, b = np.uint8(above[x + one] - up), np.uint8(below[x + one] + down)
        c, d = np.uint8(here[x] - first[x]), np.uint8(here[x + two] + last[x])
        a, b = a if a < _END else _NONE, b if b < _END else _NONE
        c = c if (c < _END) & (np.uint8(c & _COLUMN) < ROW) else _NONE
        d = d if (d < _END) & (np.uint8(d & _COLUMN) < ROW) else _NONE
        a, b, c, d = min(a, b), max(a, b), min(c, d), max(c, d)
        a, b, c, d = min(a, c), max(a, c), min(b, d), max(b, d)
        b, c = min(b, c), max(b, c)
        # In order now: of two pairs the lower, of one pair or three that, else the lowest.
        best = c if (c == d) & (c != _NONE) else a
        best = b if (b == c) & (b != _NONE) else best
        best = a if a == b else best
        own = here[x + one]
        new[x] = best if (own >= _WAITS) & (best != _NONE) else own


@njit(nogil=True, cache=True)
def _sum_up(here, new, x0):
    """Bits that 64 pixels changed, and those of all their codes."""
    changes, codes = np.uint8(0), np.uint8(0)
    for k in range(WORD):
        x = x0 + np.uint64(k)
        changes |= new[x] ^ here[x + np.uint64(1)]
        codes |= new[x]
    return changes, codes


@njit(nogil=True, cache=True)
def _count_left(slots, waiting):
    count = 0
    for y in range(slots.shape[0]):
        if waiting[y].any():
            for code in slots[y]:
                count += code >= _WAITS
    return count


@njit(nogil=True, cache=True)
def _list_left(slots, waiting, left):
    """List the orphans (y, x) that are left."""
    count = 0
    for y in range(slots.shape[0]):
        if waiting[y].any():
            for x in range(slots.shape[1]):
                if slots[y, x] >= _WAITS:
                    left[count, 0], left[count, 1] = y, x
                    count += 1
