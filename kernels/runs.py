"""Where the home changes from pixel to pixel, told from the slots alone.

Kernels that call these have them compiled in: after a change here, touch those files too, or their
cached machine code keeps the old rules.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, loop
from gnnseg.kernels.slots import LAYER

ROW = 5
"""One home seen from two rows of cells: the slots differ by a row of slots."""
_PIECE = 32


def way_home(slot):
    """In which of the five layers, rows and columns of cells around a pixel's own its home lies.

    The slots of a plane are those of layer 0; those of a volume end with layer 4.
    """
    return slot // LAYER, slot % LAYER // ROW, slot % ROW


inlined_way_home = inlined(way_home)


@inlined
def same_home(slot, next_slot):
    """Whether the last pixel of a cell and the first of the next cell have the same home."""
    return slot == next_slot + 1 and slot % ROW != 0


@loop
def list_across(slots, step, starts):
    """List the columns of a row (W,) where a run of pixels of one home starts; return how many.

    Masked pixels make runs too; a masked run ends with its cell. `starts` has room for one more.
    """
    count = np.uint64(0)  # unsigned: no index needs a test for being negative
    for x0 in range(0, slots.size, step):
        starts[count] = x0
        count += np.uint64(x0 == 0 or not same_home(slots[x0 - 1], slots[x0]))
        cell = slots[x0 : x0 + step]
        changes = np.uint8(0)
        for x in range(1, cell.size):
            changes |= cell[x] ^ cell[x - 1]
        if changes > 0:
            for x in range(1, cell.size):
                starts[count] = x0 + x
                count += np.uint64(cell[x] != cell[x - 1])
    return np.int64(count)


@inlined
def list_down(above, here, new_cells, listed):
    """List the columns with another home in row `here` (W,) than `above`; return how many.

    `new_cells` tells that a row of cells begins here; there, masked columns are listed always.
    `listed` has room for one more.
    """
    return list_shifted(above, here, ROW if new_cells else 0, listed)


@loop
def list_shifted(above, here, shift, listed):
    """The same of a row of a plane or of a volume, and along z.

    `shift` is what the slot of one home has more, seen from above: `ROW` where a row of cells
    begins here, a layer of slots where a layer does and `above` is the same row of the plane
    before, else 0. Where it is not 0, masked columns are listed always. `listed` has room for one
    more.
    """
    shift = np.int32(shift)
    count = np.uint64(0)
    for start in range(0, here.size, _PIECE):
        a, b = above[start : start + _PIECE], here[start : start + _PIECE]
        changes = np.int32(0)
        for x in range(b.size):
            changes |= np.int32(a[x]) ^ _seen_before(b[x], shift)
        if changes != 0:
            for x in range(b.size):
                listed[count] = start + x
                count += np.uint64(np.int32(a[x]) != _seen_before(b[x], shift))
    return np.int64(count)


@inlined
def _seen_before(slot, shift):
    """The slot of a home seen from the cell before; none that there is where it lies too far."""
    # In a volume, the row after the last is the first row of the next layer.
    too_far = shift == ROW and slot // ROW % ROW == ROW - 1
    return np.int32(slot + shift + (256 if too_far else 0))
