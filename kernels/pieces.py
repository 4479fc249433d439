"""The pieces of superpixels: which pixels belong to the main one, and which to others.

Pieces are found over runs, not pixels: a run is a stretch of a row with one home. Rows are turned
into bits, 64 pixels to a word (`gnnseg.kernels.bits`), from which runs and where they touch those
of the row above are read off.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.bits import WORD, count_bits, first_bit, pack
from gnnseg.kernels.runs import ROW, same_home
from gnnseg.kernels.slots import MASKED

REACH = 2
"""Cells between a pixel's own cell and the home that it may join."""
_ONE, _LAST = np.uint64(1), np.uint64(WORD - 1)


def find_orphans(slots: np.ndarray, step: int) -> np.ndarray:
    """The pixels outside the main piece of their superpixel.

    The main piece is the largest 4-connected one, of equals the first in raster order.

    Parameters
    ----------
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell. Homes may lie outside of the window.
    step : int
        Cell size in pixels.

    Returns
    -------
    (H, ceil(W / 64)) uint64
        Bits.
    """
    height, width = slots.shape
    shape = height, -(-width // WORD)
    taken, across, orphans = (np.zeros(shape, np.uint64) for _ in range(3))
    number = _link(slots, step, taken, across)
    parents = np.empty(number, np.int32 if slots.size < 1 << 31 else np.int64)
    _unite_runs(slots, step, taken, across, parents)
    homes = -(-height // step) + 2 * REACH, -(-width // step) + 2 * REACH
    main = np.full(homes, -1, parents.dtype)
    _choose_main(slots, step, taken, across, parents, main)
    _tell_others(taken, across, parents, main.ravel(), orphans)
    return orphans


@njit(nogil=True, cache=True)
def _link(slots, step, taken, across):
    """Write which pixels have a home, and which that of the pixel on their left; count the runs."""
    height, width = slots.shape
    flags = np.zeros(WORD * taken.shape[1], np.uint8)
    number = 0
    for y in range(height):
        row = slots[y]
        for x in range(width):
            flags[x] = row[x] != MASKED
        pack(flags, taken[y])
        for x in range(1, width):
            flags[x] &= np.uint8(row[x] == row[x - 1])
        for x in range(step, width, step):
            flags[x] = same_home(row[x - 1], row[x])
        flags[0] = 0
        pack(flags, across[y])
        for w in range(taken.shape[1]):
            number += count_bits(taken[y, w] & ~across[y, w])
    return number


@njit(nogil=True, cache=True)
def _link_down(above, row, new_cells, flags, down):
    """Write which pixels of a row have the home of the pixel above."""
    shift = np.uint8(ROW) if new_cells else np.uint8(0)
    for x in range(row.size):
        home = np.uint8(row[x] + shift)
        flags[x] = np.uint8(home == above[x]) & np.uint8(row[x] != MASKED)
    pack(flags, down)


@njit(nogil=True, cache=True)
def _unite_runs(slots, step, taken, across, parents):
    """Unite runs that touch: the first of a piece holds minus its pixels, the others a run before.

    Runs are numbered in raster order.
    """
    height, width = slots.shape
    words = taken.shape[1]
    flags, down = np.zeros(WORD * words, np.uint8), np.zeros(words, np.uint64)
    starts, ends = np.empty(width, np.int32), np.empty(width, np.int32)
    # Runs before each word, in the row above and in this one.
    above, here = np.zeros(words, np.int64), np.zeros(words, np.int64)
    first = 0
    for y in range(height):
        above, here = here, above
        count = _list_runs(taken[y], across[y], starts, ends)
        for k in range(count):
            parents[first + k] = starts[k] - ends[k]
        number = first
        for w in range(words):
            here[w] = number
            number += count_bits(taken[y, w] & ~across[y, w])
        first += count
        if y > 0:
            _link_down(slots[y - 1], slots[y], y % step == 0, flags, down)
            rows = taken[y - 1], across[y - 1], taken[y], across[y]
            _unite_rows(rows, down, above, here, parents)


@njit(nogil=True, cache=True)
def _unite_rows(rows, down, above, here, parents):
    """Unite the runs of two rows that touch."""
    taken_above, across_above, taken, across = rows
    carry = np.uint64(0)
    for w in range(down.size):
        # Once for two runs: where the pixels on the left belong to the same two, all is done.
        again = (down[w] << _ONE | carry) & across[w] & across_above[w]
        carry = down[w] >> _LAST
        touch = down[w] & ~again
        while touch:
            until = touch ^ (touch - _ONE)
            a = above[w] + count_bits(taken_above[w] & ~across_above[w] & until) - 1
            b = here[w] + count_bits(taken[w] & ~across[w] & until) - 1
            unite(parents, root(parents, a), root(parents, b))
            touch &= touch - _ONE


@njit(nogil=True, cache=True)
def _list_runs(taken, across, starts, ends):
    """List where the runs of a row start and end; return how many."""
    count = last = 0
    for w in range(taken.size):
        beyond = across[w + 1] << _LAST if w + 1 < taken.size else np.uint64(0)
        bits = taken[w] & ~across[w]
        while bits:
            starts[count] = WORD * w + first_bit(bits)
            count += 1
            bits &= bits - _ONE
        bits = taken[w] & ~(across[w] >> _ONE | beyond)
        while bits:
            ends[last] = WORD * w + first_bit(bits) + 1
            last += 1
            bits &= bits - _ONE
    return count


@njit(nogil=True, cache=True)
def _choose_main(slots, step, taken, across, parents, main):
    """Write the first run of each home's main piece; homes count from two cells before."""
    run = 0
    for y in range(slots.shape[0]):
        cell_y = y // step
        for w in range(taken.shape[1]):
            bits = taken[y, w] & ~across[y, w]
            while bits:
                if parents[run] < 0:
                    x = WORD * w + first_bit(bits)
                    slot = np.int64(slots[y, x])
                    home = cell_y + slot // ROW, x // step + slot % ROW
                    if main[home] < 0 or parents[run] < parents[main[home]]:
                        main[home] = run
                bits &= bits - _ONE
                run += 1


@njit(nogil=True, cache=True)
def _tell_others(taken, across, parents, main, orphans):
    """Set the bits of the runs whose piece is not the main one."""
    is_other = np.ones(parents.size, np.bool_)
    for run in main:
        if run >= 0:
            is_other[run] = False
    run = 0
    for y in range(taken.shape[0]):
        carry = np.uint64(0)
        for w in range(taken.shape[1]):
            bits, begins = taken[y, w] & ~across[y, w], np.uint64(0)
            while bits:
                if parents[run] >= 0:  # a run before, which knows
                    is_other[run] = is_other[parents[run]]
                begins |= np.uint64(is_other[run]) << np.uint64(first_bit(bits))
                bits &= bits - _ONE
                run += 1
            # A bit added to a stretch of ones clears them all: so runs are found from their first.
            goes_on = (begins << _ONE | carry) & across[y, w]
            orphans[y, w] = begins | across[y, w] & ~(across[y, w] + goes_on) | goes_on
            carry = orphans[y, w] >> _LAST


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
    """Join two pieces under the one that comes first in raster order."""
    first, second = min(a, b), max(a, b)
    if first != second:
        parents[first] += parents[second]
        parents[second] = first
