"""Make every superpixel of a volume one 6-connected piece, by the rules of planes.

As in `gnnseg.kernels.connectivity`: the main piece is the largest, then the first in raster order,
and orphans join, in synchronous rounds, the main piece that they have most sides in common with
(sides along z count by their size), then that of the lowest id. They look along z only as often as
takes them across a cell in the same rounds along every axis. Pieces are trees over voxels; only the
list of orphans is looked at in the rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop
from gnnseg.kernels.pieces import root, unite
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER, MASKED, REACH

ORPHAN = 125
"""Added to the slot of an orphan: above every slot, and below `MASKED`."""
NONE = 255
"""In place of a slot where there is nothing to join."""


def planes_seen(rounds: int, steps: tuple[int, int]) -> int:
    """How many planes away an orphan looks in so many rounds; `steps` are (z, yx)."""
    return min(rounds, rounds * steps[0] // steps[1])


def connect_volume(
    slots: Any, steps: tuple[int, int], rounds: int, faces: tuple[int, int] = (1, 1)
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
    if is_device_array(slots):
        from gnnseg.kernels.cuda import connectivity_volume as gpu

        return gpu.connect_volume(slots, steps, rounds, faces)
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
    seen = _neighbours(slots.shape, steps), _tables(), faces
    for round_ in range(rounds):
        along_z = planes_seen(round_ + 1, steps) > planes_seen(round_, steps)
        left = _adopt(slots, *seen, along_z, waiting, new)
        if left == len(waiting) and along_z:
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
            above = behind = False
            piece = np.int64(0)  # the root of the voxel before
            for x in range(width):
                at = (z * height + y) * width + x
                if slots[z, y, x] == MASKED:
                    parents[at] = -1
                    above = behind = False
                    continue
                here = np.int64(slots[z, y, x])
                left = x > 0 and _same_home(slots[z, y, x - 1], here, across[x])
                if left:
                    parents[at] = piece
                    parents[piece] -= 1
                else:
                    parents[at] = -1
                    piece = at
                # Through the voxel before, one is often joined with the one above already.
                joined = left and above
                above = y > 0 and _same_home(slots[z, y - 1, x], here, down)
                if above and not joined:
                    piece = _join(parents, piece, at - width)
                joined = left and behind
                behind = z > 0 and _same_home(slots[z - 1, y, x], here, deep)
                if behind and not joined:
                    piece = _join(parents, piece, at - height * width)


@inlined
def _join(parents, piece, other):
    """Unite a piece, told by its root, with that of another voxel; return the root of both."""
    other = np.int64(root(parents, other))
    unite(parents, piece, other)
    return min(piece, other)


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
                    slots[z, y, x] += ORPHAN
                    count += 1
    return count


@loop
def _list_orphans(slots, listed):
    """List the places of the orphans in raster order, counted through the window."""
    count, flat = 0, slots.reshape(-1)
    for at in range(flat.size):
        if ORPHAN <= flat[at] < MASKED:
            listed[count] = at
            count += 1


@loop
def _release(slots, waiting):
    """Give the orphans that are left their slots back."""
    flat = slots.reshape(-1)
    for at in waiting:
        flat[at] -= ORPHAN


def _neighbours(shape: tuple[int, ...], steps: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """What is seen before and after each place along each axis: a row of `_tables`.

    That is (size, 2): 0, 1 or 2 where the neighbour lies in the cell before, the same or the next;
    3 where there is none.
    """
    found = []
    for size, step in zip(shape, (steps[0], steps[1], steps[1]), strict=True):
        places = np.arange(size)[:, None]
        there = places + np.array([-1, 1])
        way = there // step - places // step + 1
        found.append(np.where((there >= 0) & (there < size), way, 3).astype(np.uint8))
    return tuple(found)


def _tables() -> np.ndarray:
    """The slot of a neighbour's home, counted from a voxel's own cell; `NONE` if it is none.

    By axis, where the neighbour lies (`_neighbours`), and its slot: (3, 4, 256) uint8.
    """
    tables = np.full((3, 4, 256), NONE, np.uint8)
    slots = np.arange(ORPHAN)
    for axis, unit in enumerate((LAYER, ROW, 1)):
        for way in (-1, 0, 1):
            digit = slots // unit % ROW + way
            seen = np.where((digit >= 0) & (digit < ROW), slots + way * unit, NONE)
            tables[axis, way + 1, :ORPHAN] = seen
    return tables


@inlined
def _score(slot, same):
    """Rises with what the sides that have a slot count, then with how low it is; 0 for none."""
    return (same << 8) - slot if slot != NONE else 0


@inlined
def _look(flat, at, stride, table, ways):
    """What is seen before and after a voxel along an axis."""
    before = flat[at - stride * np.int64(ways[0] < 3)]
    after = flat[at + stride * np.int64(ways[1] < 3)]
    return np.int32(table[ways[0], before]), np.int32(table[ways[1], after])


@inlined
def _vote(a, b, c, d, e, f, faces):
    """The highest score of what is seen on both sides along z (a, b), y (c, d) and x (e, f).

    Written out, without branches: which slot wins is noise that no processor foresees.
    """
    across, along = faces
    best = _score(a, along * (1 + (a == b)) + across * ((a == c) + (a == d) + (a == e) + (a == f)))
    other = along * (1 + (a == b)) + across * ((b == c) + (b == d) + (b == e) + (b == f))
    best = max(best, _score(b, other))
    other = across * (1 + (c == d) + (c == e) + (c == f)) + along * ((a == c) + (b == c))
    best = max(best, _score(c, other))
    other = across * (1 + (c == d) + (d == e) + (d == f)) + along * ((a == d) + (b == d))
    best = max(best, _score(d, other))
    other = across * (1 + (c == e) + (d == e) + (e == f)) + along * ((a == e) + (b == e))
    best = max(best, _score(e, other))
    other = across * (1 + (c == f) + (d == f) + (e == f)) + along * ((a == f) + (b == f))
    return max(best, _score(f, other))


@loop
def _adopt(slots, neighbours, tables, faces, along_z, waiting, new):
    """Let orphans join for a round; those that wait on come first in the list. Return how many.

    They are listed in raster order.
    """
    flat, (_, height, width) = slots.reshape(-1), slots.shape
    z = y = start = 0
    for n in range(len(waiting)):
        at = np.int64(waiting[n])
        while at - start >= width:
            start += width
            y += 1
            if y == height:
                z, y = z + 1, 0
        c, d = _look(flat, at, width, tables[1], neighbours[1][y])
        e, f = _look(flat, at, 1, tables[2], neighbours[2][at - start])
        if along_z:
            a, b = _look(flat, at, height * width, tables[0], neighbours[0][z])
            best = _vote(a, b, c, d, e, f, faces)
        else:
            best = _vote(NONE, NONE, c, d, e, f, faces)
        new[n] = -best & 255 if best > 0 else flat[at]
    left = 0
    for n in range(len(waiting)):
        flat[waiting[n]] = new[n]
        waiting[left] = waiting[n]
        left += int(new[n] >= ORPHAN)
    return left
