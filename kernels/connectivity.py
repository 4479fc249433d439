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
_ONE, _EIGHTH = np.uint64(1), np.uint64(WORD // 8)


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
    new, listed = np.empty_like(ends), np.empty((2, waiting.shape[1] + 1), np.int64)
    marks, number = np.empty(WORD, np.uint8), waiting.sum(axis=1)
    for _ in range(rounds):
        if not _adopt(codes, step, ends, waiting, number, new, listed, marks):
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
def _adopt(codes, step, ends, waiting, number, new, listed, marks):
    """Let orphans join for a round; return whether any did.

    `ends` tell of the columns that are the first of a cell, and of the last. A row is written once
    the next is done, which looks at it as it was: `new` has room for two, and `listed` for the
    words that wait in each, of which there are `number`. `marks` have room for a word.
    """
    height, stride, flat = waiting.shape[0], codes.shape[1], codes.reshape(-1)
    eights, sides, news = flat.view(np.uint64), ends.reshape(-1), new.view(np.uint64)
    before, changes = np.uint64(0), np.uint8(0)
    marks[:] = 0
    for y in range(height + 1):
        turn = y % 2
        count = np.uint64(0)
        if y < height and number[y] > 0:
            count = _list_waiting(waiting[y], listed[turn])
            up = _DOWN if y % step == 0 else np.uint8(0)
            down = _DOWN if (y + 1) % step == 0 else np.uint8(0)
            words = listed[turn, :count]
            around = np.uint64((y + 1) * stride), np.uint64(stride), up, down
            if 2 * words.size > waiting.shape[1]:
                width = np.uint64(WORD * waiting.shape[1])
                changes |= _join_row(flat, around, sides, width, new[turn])
            else:
                _join_words(flat, around, sides, words, new[turn], marks)
            number[y] = _tell(news[turn], words, waiting[y])
        if before > 0:
            _copy(news[1 - turn], eights, y * stride // WORD, listed[1 - turn, :before])
        before = count
    return changes > 0 or _any(marks)


@part
def _list_waiting(waiting, listed):
    """List the words that wait; return how many."""
    count = np.uint64(0)
    for word in range(waiting.size):
        listed[count] = word
        count += np.uint64(waiting[word])
    return count


@part
def _any(flags):
    """Whether any of them is not zero; without a branch for each."""
    found = np.uint8(0)
    for flag in flags:
        found = np.uint8(found | np.uint8(flag))
    return found > 0


@part
def _copy(source, target, at, words):
    """Copy words of 64 pixels, as integers of eight, to a row that begins with word `at`."""
    for word in words:
        first, there = np.uint64(word) * _EIGHTH, np.uint64(at + word) * _EIGHTH
        for k in range(_EIGHTH):
            target[there + k] = source[first + k]


@part
def _join_row(codes, around, ends, width, new):
    """Write what the pixels of a row become (`_choose`); return a number if any changes.

    `around` are where the row begins in `codes`, how far those above and below are from there, and
    what their homes are more from here, where they lie in another cell; `ends` tell so, for each
    column, of the pixels on the left, then on the right.
    """
    at, stride, up, down = around
    changes = np.uint8(0)
    for x in range(width):
        above, below = (
            np.uint8(codes[at - stride + x] - up),
            np.uint8(codes[at + stride + x] + down),
        )
        left = np.uint8(codes[at - _ONE + x] - ends[x])
        right = np.uint8(codes[at + _ONE + x] + ends[stride + x])
        here = codes[at + x]
        code = _choose(here, above, below, left, right)
        new[x] = code
        changes = np.uint8(changes | np.uint8(code ^ here))
    return changes


@part
def _join_words(codes, around, ends, words, new, marks):
    """The same for some words of a row; marks the pixels of a word that change in any.

    A loop over a word is a vector long, and all of it is done at once.
    """
    at, stride, up, down = around
    for word in words:
        for k in range(np.uint64(WORD)):
            x = np.uint64(word) * np.uint64(WORD) + k
            above = np.uint8(codes[at - stride + x] - up)
            below = np.uint8(codes[at + stride + x] + down)
            left = np.uint8(codes[at - _ONE + x] - ends[x])
            right = np.uint8(codes[at + _ONE + x] + ends[stride + x])
            here = codes[at + x]
            code = _choose(here, above, below, left, right)
            new[x] = code
            marks[k] = np.uint8(marks[k] | np.uint8(code ^ here))


@part
def _choose(here, a, b, c, d):
    """The code that most of four neighbours have, then the lowest, for an orphan; else its own."""
    c = c if np.uint8(c & _COLUMN) < ROW else _NONE
    d = d if np.uint8(d & _COLUMN) < ROW else _NONE
    a, b, c, d = min(a, b), max(a, b), min(c, d), max(c, d)
    a, b, c, d = min(a, c), max(a, c), min(b, d), max(b, d)
    b, c = min(b, c), max(b, c)
    # In order now: of two pairs the lower, of one pair or three that, else the lowest.
    best = c if (c == d) & (c < _END) else a
    best = b if (b == c) & (b < _END) else best
    best = a if a == b else best
    return best if (here >= _WAITS) & (best < _END) else here


@part
def _tell(new, words, waiting):
    """Write which of some words still wait; return how many."""
    number = 0
    for word in words:
        first, bits = np.uint64(word) * _EIGHTH, np.uint64(0)
        for k in range(_EIGHTH):
            bits |= new[first + k]
        waiting[word] = bits & _EIGHT != 0
        number += waiting[word]
    return number


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
