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

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.bits import WORD, add_where
from gnnseg.kernels.compiled import inlined, loop, part
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
_EIGHT = np.uint64(0x8080808080808080)  # `_WAITS` in each byte
_GAP = 2


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
    height, width = slots.shape
    codes = np.full((height + 2, WORD * (width // WORD + 1)), _NOTHING)
    _encode(slots, orphans, codes)
    ends = np.zeros((2, codes.shape[1]), np.uint8)
    ends[0, ::step], ends[1, step - 1 :: step] = 1, 1
    # Arrays are made here: in a compiled loop, each kind of them takes a while to compile.
    new, stretches = np.empty_like(ends), np.empty((2, waiting.shape[1], 2), np.int64)
    for _ in range(rounds):
        if not _adopt(codes, step, ends, waiting, new, stretches):
            break
    left = np.empty((_count_left(codes, waiting), 2), np.int64)
    _list_left(codes, waiting, left)
    _decode(codes, slots)
    return left


@loop
def _encode(slots, orphans, codes):
    """Write slots as codes, and mark those of orphans.

    Before the first row, after the last, and after each row is nothing: there is a pixel on every
    side of a pixel, and none needs a test for the border.
    """
    for y in range(slots.shape[0]):
        row, out = slots[y], codes[y + 1]
        for x in range(row.size):
            out[x] = row[x] + 3 * _row_of(row[x]) if row[x] != MASKED else _NOTHING
        add_where(orphans[y], _WAITS, out[: WORD * orphans.shape[1]])


@inlined
def _row_of(slot):
    """The row of a slot, without a division."""
    first = np.uint8(slot >= ROW) + np.uint8(slot >= 2 * ROW)
    return np.uint8(first + np.uint8(slot >= 3 * ROW) + np.uint8(slot >= 4 * ROW))


@loop
def _decode(codes, slots):
    """Turn codes into slots again; orphans that are left keep what they had."""
    for y in range(slots.shape[0]):
        row, out = codes[y + 1], slots[y]
        for x in range(out.size):
            code = np.uint8(row[x] & np.uint8(_WAITS - 1))
            slot = np.uint8(code - np.uint8(3) * np.uint8(code >> 3))
            out[x] = slot if row[x] != _NOTHING else MASKED


@loop
def _adopt(codes, step, ends, waiting, new, stretches):
    """Let orphans join for a round; return whether any did.

    `ends` tell of the columns that are the first of a cell, and of the last. A row is written once
    the next is done, which looks at it as it was: `new` has room for two, and so has `stretches`.
    """
    height, stride, flat = waiting.shape[0], codes.shape[1], codes.reshape(-1)
    joined, before = False, 0
    for y in range(height + 1):
        turn = y % 2
        count = _list_stretches(waiting[y], stretches[turn]) if y < height else 0
        if count > 0:
            up = _DOWN if y % step == 0 else np.uint8(0)
            down = _DOWN if (y + 1) % step == 0 else np.uint8(0)
            at, row = (y + 1) * stride, new[turn]
            around = codes[y], flat[at - 1 :], codes[y + 1], flat[at + 1 :], codes[y + 2]
            for k in range(count):
                begin, end = stretches[turn, k]
                joined |= _join(around, (up, down, ends[0], ends[1]), begin, end, row)
            _tell(row, stretches[turn, :count], waiting[y])
        for k in range(before):
            begin, end = stretches[1 - turn, k]
            _copy(new[1 - turn], codes[y], begin, end)
        before = count
    return joined


@part
def _list_stretches(waiting, stretches):
    """List where words wait (begin, end), in pixels; those between them are taken along if few.

    Each stretch costs as much as several words.
    """
    count, end = 0, -_GAP - 1
    if not _any(waiting):
        return count
    for word in range(waiting.size):
        if waiting[word]:
            if word - end > _GAP:
                stretches[count, 0] = WORD * word
                count += 1
            end = word + 1
            stretches[count - 1, 1] = WORD * end
    return count


@part
def _any(flags):
    """Whether any of them is set; without a branch for each."""
    found = False
    for flag in flags:
        found |= flag
    return found


@part
def _copy(source, target, begin, end):
    for x in range(np.uint64(begin), np.uint64(end)):
        target[x] = source[x]


@part
def _join(around, shifts, begin, end, new):
    """Write what pixels of a row become: orphans the code that most sides have, then the lowest.

    `around` are the pixels above, left, themselves, right and below; those in another cell are
    counted from there: `shifts` tell so of the rows above and below, and, for each column, of the
    pixels on the left and right. Returns whether any pixel joined.
    """
    above, left, here, right, below = around
    up, down, first, last = shifts
    changes = np.uint8(0)
    for x in range(np.uint64(begin), np.uint64(end)):
        a, b = np.uint8(above[x] - up), np.uint8(below[x] + down)
        c, d = np.uint8(left[x] - first[x]), np.uint8(right[x] + last[x])
        c = c if np.uint8(c & _COLUMN) < ROW else _NONE
        d = d if np.uint8(d & _COLUMN) < ROW else _NONE
        a, b, c, d = min(a, b), max(a, b), min(c, d), max(c, d)
        a, b, c, d = min(a, c), max(a, c), min(b, d), max(b, d)
        b, c = min(b, c), max(b, c)
        # In order now: of two pairs the lower, of one pair or three that, else the lowest.
        best = c if (c == d) & (c < _END) else a
        best = b if (b == c) & (b < _END) else best
        best = a if a == b else best
        code = best if (here[x] >= _WAITS) & (best < _END) else here[x]
        new[x] = code
        changes = np.uint8(changes | np.uint8(code ^ here[x]))
    return changes != 0


@part
def _tell(new, stretches, waiting):
    """Write which words still wait."""
    eights, number = new.view(np.uint64), np.uint64(WORD // 8)
    for k in range(stretches.shape[0]):
        for word in range(stretches[k, 0] // WORD, stretches[k, 1] // WORD):
            bits = np.uint64(0)
            for eight in range(number):
                bits |= eights[np.uint64(word) * number + eight]
            waiting[word] = bits & _EIGHT != 0


@loop
def _count_left(codes, waiting):
    count = 0
    for y in range(waiting.shape[0]):
        if _any(waiting[y]):
            for code in codes[y + 1]:
                count += code >= _WAITS
    return count


@loop
def _list_left(codes, waiting, left):
    """List the orphans (y, x) that are left."""
    count = 0
    for y in range(waiting.shape[0]):
        if _any(waiting[y]):
            for x in range(codes.shape[1]):
                if codes[y + 1, x] >= _WAITS:
                    left[count, 0], left[count, 1] = y, x
                    count += 1
