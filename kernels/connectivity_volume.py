"""Make every superpixel of a volume one 6-connected piece, by the rules of planes.

As in `gnnseg.kernels.connectivity`: the main piece is the largest, then the first in raster order,
and orphans join, in synchronous rounds, the main piece that they have most sides in common with
(sides along z count by their size), then that of the lowest id. They look along z only as often as
takes them across a cell in the same rounds along every axis. Pieces are trees over voxels; only the
list of orphans is looked at in the rounds.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, loop
from gnnseg.kernels.pieces import root, unite
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER, MASKED, REACH

_ORPHAN = 125
"""Added to the slot of an orphan: above every slot, and below `MASKED`."""
_NONE = 255
_IN_PLANE = 2
"""The first of the sides of a voxel that lead not along z."""


def planes_seen(rounds: int, steps: tuple[int, int]) -> int:
    """How many planes away an orphan looks in so many rounds; `steps` are (z, yx)."""
    return min(rounds, rounds * steps[0] // steps[1])


def connect_volume(
    slots: np.ndarray, steps: tuple[int, int], rounds: int, faces: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Reassign orphan voxels of one window, in place.

    Parameters
    ----------
    slots : (Z, H, W) uint8
        Slots of all planes of a window that starts at a corner of a cell, changed in place.
    steps : (z, yx)
        Cell size in voxels.
    rounds : int
        How many rounds of joining at most.
    faces : (within a plane, along z) int
        What a side between voxels counts.

    Returns
    -------
    (n,) int32, or int64 where `slots` has 2^31 voxels or more
        The orphans that found no main piece, counted through the window in raster order; they keep
        their slots.
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
    number = _mark_orphans(slots, steps, parents, main)
    del parents, main  # most of what this takes: the list comes in its place
    waiting = np.empty(number, index)
    _list_orphans(slots, waiting)
    new = np.empty(len(waiting), np.uint8)
    for round_ in range(rounds):
        first = 0 if planes_seen(round_ + 1, steps) > planes_seen(round_, steps) else _IN_PLANE
        left = _adopt(slots, steps, faces, first, waiting, new)
        if left == len(waiting) and first == 0:
            break
        waiting = waiting[:left]
    _release(slots, waiting)
    return waiting


@loop
def count_in_box(places, shape, corner, size):
    """Count the places, counted through a window of `shape`, that lie in a box of it."""
    height, width = shape[1:]
    count = 0
    for at in places:
        row, x = divmod(np.int64(at), width)
        z, y = divmod(row, height)
        inside = 0 <= z - corner[0] < size[0] and 0 <= y - corner[1] < size[1]
        count += int(inside and 0 <= x - corner[2] < size[2])
    return count


@inlined
def _home(slots, steps, z, y, x):
    """The home of a voxel, counted from two cells before the window along each axis."""
    slot = np.int64(slots[z, y, x])
    cells = z // steps[0], y // steps[1], x // steps[1]
    return cells[0] + slot // LAYER, cells[1] + slot % LAYER // ROW, cells[2] + slot % ROW


@inlined
def _same_home(before, here, less):
    """Whether two slots stand for one home, which has `less` (0, 1, 5 or 25) seen from here."""
    return before == here + less and (less == 0 or here // less % ROW != ROW - 1)


@loop
def _grow_trees(slots, steps, parents):
    """Write the parent of each voxel; roots hold minus the number of voxels of their piece."""
    depth, height, width = slots.shape
    # What one home has less, seen from here, than from the voxel before.
    across = np.array([int(x % steps[1] == 0) for x in range(width)])
    for z in range(depth):
        deep = LAYER * int(z % steps[0] == 0)
        for y in range(height):
            down = ROW * int(y % steps[1] == 0)
            for x in range(width):
                at = (z * height + y) * width + x
                parents[at] = -1
                if slots[z, y, x] == MASKED:
                    continue
                here = np.int64(slots[z, y, x])
                if x > 0 and _same_home(slots[z, y, x - 1], here, across[x]):
                    unite(parents, root(parents, at), root(parents, at - 1))
                if y > 0 and _same_home(slots[z, y - 1, x], here, down):
                    unite(parents, root(parents, at), root(parents, at - width))
                if z > 0 and _same_home(slots[z - 1, y, x], here, deep):
                    unite(parents, root(parents, at), root(parents, at - height * width))


@loop
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


@loop
def _mark_orphans(slots, steps, parents, main):
    """Mark the voxels that belong to no main piece; return how many.

    `parents` become whether a voxel belongs to one: a parent comes before its children.
    """
    depth, height, width = slots.shape
    count = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if slots[z, y, x] == MASKED:
                    continue
                at = (z * height + y) * width + x
                if parents[at] < 0:
                    parents[at] = main[_home(slots, steps, z, y, x)] == at
                else:
                    parents[at] = parents[parents[at]]
                if not parents[at]:
                    slots[z, y, x] += _ORPHAN
                    count += 1
    return count


@loop
def _list_orphans(slots, listed):
    """List the places of the orphans in raster order, counted through the window."""
    count, flat = 0, slots.reshape(-1)
    for at in range(flat.size):
        if _ORPHAN <= flat[at] < MASKED:
            listed[count] = at
            count += 1


@loop
def _release(slots, waiting):
    """Give the orphans that are left their slots back."""
    flat = slots.reshape(-1)
    for at in waiting:
        flat[at] -= _ORPHAN


@inlined
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


@loop
def _adopt(slots, steps, faces, first, waiting, new):
    """Let orphans join for a round; those that wait on come first in the list. Return how many.

    Sides before `first` are not looked at.
    """
    seen = np.full(6, _NONE)
    height, width = slots.shape[1:]
    for n in range(len(waiting)):
        row, x = divmod(waiting[n], width)
        z, y = divmod(row, height)
        for side in range(first, 6):
            seen[side] = _seen_from(slots, steps, z, y, x, side)
        most = 0
        new[n] = slots[z, y, x]
        for slot in seen:
            same = 0
            for side in range(6):
                if slot == seen[side]:
                    same += faces[int(side < _IN_PLANE)]
            if slot != _NONE and (same > most or (same == most and slot < new[n])):
                most, new[n] = same, slot
    left, flat = 0, slots.reshape(-1)
    for n in range(len(waiting)):
        flat[waiting[n]] = new[n]
        if new[n] >= _ORPHAN:
            waiting[left] = waiting[n]
            left += 1
    return left
