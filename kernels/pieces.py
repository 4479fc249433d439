"""The pieces of superpixels: which pixels belong to the main one, and which to others.

Pieces are found over runs, not pixels: a run is a stretch of a row with one home. Rows are turned
into bits, 64 pixels to a word (`gnnseg.kernels.bits`), from which runs and where they touch those
of the row above are read off.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.bits import WORD, count_bits, first_bit, pack
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.runs import ROW, same_home
from gnnseg.kernels.slots import MASKED, REACH

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
    words = -(-width // WORD)
    # Arrays are made here: in a compiled loop, each kind of them takes a while to compile.
    taken, across, orphans = (np.zeros((height, words), np.uint64) for _ in range(3))
    flags = np.zeros(WORD * words, np.uint8)
    number = _link(slots, step, taken, across, flags)
    parents = np.empty(number + 1, np.int32 if slots.size < 1 << 31 else np.int64)
    before, down = np.zeros((2, words), np.int64), np.zeros(words, np.uint64)
    fresh = orphans  # is read before it is written anew
    _unite_runs(slots, step, taken, across, flags, before, down, parents, fresh)
    homes = -(-height // step) + 2 * REACH, -(-width // step) + 2 * REACH
    main = np.full(homes, -1, parents.dtype)
    largest, found = np.zeros(main.size, parents.dtype), np.empty((2, width + 1), parents.dtype)
    cells = np.arange(width, dtype=np.int32) // step
    _choose_main(slots, step, taken, across, fresh, parents, cells, found, largest, main)
    is_other = np.ones(parents.size, np.uint8)
    is_other[main[main >= 0]] = 0
    _tell_others(taken, across, parents, is_other, orphans)
    return orphans


@loop
def _link(slots, step, taken, across, flags):
    """Write which pixels have a home, and which that of the pixel on their left; count the runs."""
    height, width = slots.shape
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


@inlined
def _link_down(above, row, new_cells, flags, down):
    """Write which pixels of a row have the home of the pixel above."""
    shift = np.uint8(ROW) if new_cells else np.uint8(0)
    for x in range(row.size):
        home = np.uint8(row[x] + shift)
        flags[x] = np.uint8(home == above[x]) & np.uint8(row[x] != MASKED)
    pack(flags, down)


@loop
def _unite_runs(slots, step, taken, across, flags, before, down, parents, fresh):
    """Unite runs that touch: the first of a piece holds minus its pixels, the others a run before.

    Runs are numbered in raster order. `before` counts those before each word, in the row above and
    in this one. `fresh` gets the last pixel of each run that touches none above: one of them is the
    first of each piece.
    """
    height, words = taken.shape
    number = np.int64(0)  # a plain 0 would be a kind of its own to compile for
    for y in range(height):
        above, here = before[1 - y % 2], before[y % 2]
        _size_runs(taken[y], across[y], number, parents)
        for w in range(words):
            here[w] = number
            number += count_bits(taken[y, w] & ~across[y, w])
        if y > 0:
            _link_down(slots[y - 1], slots[y], y % step == 0, flags, down)
        # The first row touches none: `down` is zero.
        rows = taken[max(y - 1, 0)], across[max(y - 1, 0)], taken[y], across[y]
        _unite_rows(rows, down, above, here, parents, fresh[y])


@inlined
def _size_runs(taken, across, first, parents):
    """Write minus the pixels of each run of a row, from that of number `first` on.

    What does not continue a run ends the one before, a masked pixel too; then its size is written
    once more, by the next run. `parents` has room for one more than there are.
    """
    number, begin, is_run = np.uint64(first), 0, np.uint64(0)
    for w in range(taken.size):
        bits = ~across[w]
        while bits:
            bit = first_bit(bits)
            x = WORD * w + bit
            parents[number] = begin - x
            number += is_run
            begin, is_run = x, taken[w] >> np.uint64(bit) & _ONE
            bits &= bits - _ONE
    parents[number] = begin - WORD * taken.size


@inlined
def _unite_rows(rows, down, above, here, parents, fresh):
    """Unite the runs of two rows that touch; write the ends of those that do not."""
    taken_above, across_above, taken, across = rows
    carry = seen = np.uint64(0)
    for w in range(down.size):
        # Once for two runs: where the pixels on the left belong to the same two, all is done.
        again = (down[w] << _ONE | carry) & across[w] & across_above[w]
        carry = down[w] >> _LAST
        touch = down[w] & ~again
        first_above, first = taken_above[w] & ~across_above[w], taken[w] & ~across[w]
        # Those that touch a run above on their left, too (see `_fill`).
        more = _fill((touch << _ONE | seen) & across[w], across[w])
        seen = (touch | more) >> _LAST
        after = across[w + 1] << _LAST if w + 1 < down.size else np.uint64(0)
        fresh[w] = taken[w] & ~(across[w] >> _ONE | after | touch | more)
        bits = touch & ~more
        while bits:
            until = bits ^ (bits - _ONE)
            a = np.uint64(above[w] + count_bits(first_above & until) - 1)
            _hang(parents, a, np.uint64(here[w] + count_bits(first & until) - 1))
            bits &= bits - _ONE
        bits = touch & more
        while bits:
            until = bits ^ (bits - _ONE)
            a = above[w] + count_bits(first_above & until) - 1
            b = here[w] + count_bits(first & until) - 1
            unite(parents, root(parents, a), root(parents, b))
            bits &= bits - _ONE


@inlined
def _fill(bits, across):
    """Set all bits from given ones to the end of their stretch of ones in `across`.

    A bit added to a stretch of ones clears them from there on.
    """
    return bits | across & ~(across + bits)


@inlined
def _hang(parents, a, b):
    """Let a run that belongs to nothing yet belong to the piece of one above.

    Most runs point to the first of their piece: without a branch for those that are the first.
    """
    above = parents[a]
    piece = a if above < 0 else np.uint64(above)
    while parents[piece] >= 0:
        piece = np.uint64(parents[piece])
    parents[piece] += parents[b]
    parents[b] = piece


@loop
def _choose_main(slots, step, taken, across, fresh, parents, cells, found, largest, main):
    """Write the first run of each home's main piece; homes count from two cells before.

    `cells` are those of the columns, `largest` starts with zeros, and `found` is room for a row.
    """
    across_homes, chosen = np.uint64(main.shape[1]), main.reshape(-1)
    pieces, columns = found
    number = np.uint64(0)
    for y in range(slots.shape[0]):
        count = np.uint64(0)
        for w in range(taken.shape[1]):
            begins, bits = taken[y, w] & ~across[y, w], fresh[y, w]
            while bits:
                run = number + np.uint64(count_bits(begins & (bits ^ (bits - _ONE))) - 1)
                pieces[count], columns[count] = run, WORD * w + first_bit(bits)
                count += np.uint64(parents[run] < 0)
                bits &= bits - _ONE
            number += np.uint64(count_bits(begins))
        first = np.uint64(y // step) * across_homes
        for k in range(count):
            x, size = np.uint64(columns[k]), parents[np.uint64(pieces[k])]
            slot = np.uint32(slots[y, x])
            row = np.uint32(slot // np.uint32(ROW))
            column = np.uint64(cells[x]) + np.uint64(slot - row * np.uint32(ROW))
            home = first + np.uint64(row) * across_homes + column
            chosen[home] = pieces[k] if size < largest[home] else chosen[home]
            largest[home] = min(size, largest[home])


@loop
def _tell_others(taken, across, parents, is_other, orphans):
    """Set the bits of the runs whose piece is not the main one; their first run is known."""
    run = np.uint64(0)
    for y in range(taken.shape[0]):
        carry = np.uint64(0)
        for w in range(taken.shape[1]):
            bits, begins = taken[y, w] & ~across[y, w], np.uint64(0)
            while bits:
                # That of a run before, which knows, or its own.
                other = is_other[run if parents[run] < 0 else np.uint64(parents[run])]
                is_other[run] = other
                begins |= np.uint64(other) << np.uint64(first_bit(bits))
                bits &= bits - _ONE
                run += _ONE
            orphans[y, w] = begins | _fill((begins << _ONE | carry) & across[y, w], across[y, w])
            carry = orphans[y, w] >> _LAST


@part
def root(parents, piece):
    """The root of a tree of pieces, which holds minus its size; the way there is shortened."""
    while parents[piece] >= 0:
        above = parents[piece]
        if parents[above] >= 0:
            parents[piece] = parents[above]
        piece = above
    return piece


@part
def unite(parents, a, b):
    """Join two pieces under the one that comes first in raster order."""
    first, second = min(a, b), max(a, b)
    if first != second:
        parents[first] += parents[second]
        parents[second] = first
