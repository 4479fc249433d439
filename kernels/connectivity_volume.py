"""Make every superpixel of a volume one 6-connected piece, by the rules of planes.

As in `gnnseg.kernels.connectivity`: the main piece is the largest, then the first in raster order,
and orphans join, in synchronous rounds, the main piece that they have most sides in common with,
then that of the lowest id. Pieces are trees over voxels; only the list of orphans is looked at in
the rounds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slic import LAYER, MASKED

REACH = 2
_ORPHAN = 125
"""Added to the slot of an orphan: above every slot, and below `MASKED`."""
_NONE = 255


def connect_volume(slots: np.ndarray, steps: tuple[int, int], rounds: int) -> np.ndarray:
    """Reassign orphan voxels of one window, in place.

    Parameters
    ----------
    slots : (Z, H, W) uint8
        Slots of all planes of a window that starts at a corner of a cell, changed in place.
    steps : (z, yx)
        Cell size in voxels.
    rounds : int
        How many rounds of joining at most.

    Returns
    -------
    (n, 3) int64
        The orphans (z, y, x) that found no main piece, in raster order; they keep their slots.
    """
    index = np.int32 if slots.size < 1 << 31 else np.int64
    homes = [
        -(-size // step) + 2 * REACH
        for size, step in zip(slots.shape, (steps[0], steps[1], steps[1]), strict=True)
    ]
    parents = np.empty(slots.size, index)
    _grow_trees(slots, steps, parents)
    main = np.full(homes, -1, index)
    _choose_main(slots, steps, parents, main)
    orphans = _mark_orphans(slots, steps, parents, main)
    del parents, main
    new = np.empty(len(orphans), np.uint8)
    for _ in range(rounds):
        if not _adopt(slots, steps, orphans, new):
            break
    return orphans[_release(slots, orphans)]


@njit(nogil=True, cache=True)
def _home(slots, steps, z, y, x):
    """The home of a voxel, counted from two cells before the window along each axis."""
    slot = np.int64(slots[z, y, x])
    cells = z // steps[0], y // steps[1], x // steps[1]
    return cells[0] + slot // LAYER, cells[1] + slot % LAYER // ROW, cells[2] + slot % ROW


@njit(nogil=True, cache=True)
def _same_home(slots, steps, here, there):
    """Whether two voxels have one home; not if they are masked."""
    if slots[here] == MASKED or slots[there] == MASKED:
        return False
    return _home(slots, steps, *here) == _home(slots, steps, *there)


@njit(nogil=True, cache=True)
def _root(parents, at):
    """The root of a tree; roots hold minus the size of their tree, less one."""
    while parents[at] >= 0:
        above = parents[at]
        if parents[above] >= 0:
            parents[at] = parents[above]
        at = above
    return at


@njit(nogil=True, cache=True)
def _unite(parents, a, b):
    """Join two trees under the root that comes first in raster order."""
    a, b = _root(parents, a), _root(parents, b)
    if a != b:
        first, second = min(a, b), max(a, b)
        parents[first] += parents[second]
        parents[second] = first


@njit(nogil=True, cache=True)
def _grow_trees(slots, steps, parents):
    """Write the parent of each voxel; roots hold minus the number of voxels of their piece."""
    depth, height, width = slots.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                at = (z * height + y) * width + x
                parents[at] = -1
                if x > 0 and _same_home(slots, steps, (z, y, x), (z, y, x - 1)):
                    _unite(parents, at, at - 1)
                if y > 0 and _same_home(slots, steps, (z, y, x), (z, y - 1, x)):
                    _unite(parents, at, at - width)
                if z > 0 and _same_home(slots, steps, (z, y, x), (z - 1, y, x)):
                    _unite(parents, at, at - height * width)


@njit(nogil=True, cache=True)
def _choose_main(slots, steps, parents, main):
    """Write the root of each home's largest piece, of equals the first."""
    depth, height, width = slots.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                at = (z * height + y) * width + x
                if slots[z, y, x] != MASKED and parents[at] < 0:
                    home = _home(slots, steps, z, y, x)
                    if main[home] < 0 or parents[at] < parents[main[home]]:
                        main[home] = at


@njit(nogil=True, cache=True)
def _mark_orphans(slots, steps, parents, main):
    """Mark the voxels that belong to no main piece, and list them (z, y, x)."""
    depth, height, width = slots.shape
    count = 0
    for again in range(2):
        listed = np.empty((count, 3), np.int64)
        count = 0
        for z in range(depth):
            for y in range(height):
                for x in range(width):
                    if slots[z, y, x] == MASKED:
                        continue
                    root = _root(parents, (z * height + y) * width + x)
                    if main[_home(slots, steps, z, y, x)] != root:
                        if again:
                            listed[count, 0], listed[count, 1], listed[count, 2] = z, y, x
                        count += 1
    for n in range(count):
        slots[listed[n, 0], listed[n, 1], listed[n, 2]] += _ORPHAN
    return listed


@njit(nogil=True, cache=True)
def _seen_from(slots, steps, z, y, x, side):
    """The slot of a neighbour's home, counted from the cell of a voxel; `_NONE` if it is none."""
    nz, ny, nx = z + (side == 1) - (side == 0), y + (side == 3) - (side == 2), x
    nx += (side == 5) - (side == 4)
    depth, height, width = slots.shape
    if not (0 <= nz < depth and 0 <= ny < height and 0 <= nx < width):
        return _NONE
    slot = np.int64(slots[nz, ny, nx])
    if slot >= _ORPHAN:
        return _NONE
    dz = slot // LAYER + nz // steps[0] - z // steps[0]
    dy = slot % LAYER // ROW + ny // steps[1] - y // steps[1]
    dx = slot % ROW + nx // steps[1] - x // steps[1]
    inside = 0 <= dz < ROW and 0 <= dy < ROW and 0 <= dx < ROW
    return dz * LAYER + dy * ROW + dx if inside else _NONE


@njit(nogil=True, cache=True)
def _adopt(slots, steps, orphans, new):
    """Let orphans join for a round; return whether any did."""
    seen = np.empty(6, np.int64)
    joined = False
    for n in range(len(orphans)):
        z, y, x = orphans[n]
        new[n] = slots[z, y, x]
        if slots[z, y, x] < _ORPHAN:
            continue
        for side in range(6):
            seen[side] = _seen_from(slots, steps, z, y, x, side)
        most = 0
        for slot in seen:
            same = 0
            for other in seen:
                same += slot == other
            if slot != _NONE and (same > most or (same == most and slot < new[n])):
                most, new[n] = same, slot
        joined |= most > 0
    for n in range(len(orphans)):
        slots[orphans[n, 0], orphans[n, 1], orphans[n, 2]] = new[n]
    return joined


@njit(nogil=True, cache=True)
def _release(slots, orphans):
    """Give orphans that are left their slots back; tell which those are."""
    left = np.empty(len(orphans), np.bool_)
    for n in range(len(orphans)):
        z, y, x = orphans[n]
        left[n] = slots[z, y, x] >= _ORPHAN
        if left[n]:
            slots[z, y, x] -= _ORPHAN
    return left
