"""The pieces of superpixels, on a GPU: which voxels belong to the main one, and which to others.

Pieces are trees over voxels, united by atomic minima, so that the root of each is its first voxel
in raster order; after Playne and Hawick, "A new algorithm for parallel connected-component
labelling on GPUs", IEEE TPDS 29(6), 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.connectivity_volume import ORPHAN
from gnnseg.kernels.cuda.arrays import full
from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_item, per_voxel
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER, MASKED, REACH


def mark_orphans(slots: Any, steps: tuple[int, int], index: Any) -> int:
    """Add `ORPHAN` to the slots of voxels that belong to no main piece; return how many there are.

    `index` is the type of the places of voxels, counted through the window.
    """
    grid = per_voxel(*slots.shape)
    homes = tuple(
        -(-size // step) + 2 * REACH
        for size, step in zip(slots.shape, (steps[0], steps[1], steps[1]), strict=True)
    )
    parents, sizes = cuda.device_array(slots.size, index), full((slots.size,), np.int32, 0)
    _begin[grid](slots, parents)
    _join_neighbours[grid](slots, steps, parents)
    _measure[per_item(slots.size)](parents, sizes)
    largest, main = full(homes, np.int32, 0), full(homes, np.int64, slots.size)
    _find_largest[grid](slots, steps, parents, sizes, largest)
    _find_first[grid](slots, steps, parents, sizes, largest, main)
    count = full((1,), np.int64, 0)
    _mark_orphans[grid](slots, steps, parents, main, count)
    return int(count.copy_to_host()[0])


@cuda.jit(device=True)
def inside(slots, z, y, x):
    """Whether there is such a voxel."""
    depth, height, width = slots.shape
    return 0 <= z < depth and 0 <= y < height and 0 <= x < width


@cuda.jit(device=True)
def place_of(slots, z, y, x):
    """The place of a voxel, counted through the window."""
    return (z * slots.shape[1] + y) * slots.shape[2] + x


@cuda.jit(device=True)
def _home(slots, steps, z, y, x):
    """The home of a voxel, counted from two cells before the window along each axis."""
    slot, step = int(slots[z, y, x]), steps[1]
    row, column = y // step + slot % LAYER // ROW, x // step + slot % ROW
    return z // steps[0] + slot // LAYER, row, column


@cuda.jit(device=True)
def _same_home(before, here, unit, is_next):
    """Whether two slots stand for one home; it has `unit` less seen from here, the next cell."""
    if is_next:
        return int(before) == here + unit and here // unit % ROW != ROW - 1
    return int(before) == here


@cuda.jit
def _begin(slots, parents):
    """Every voxel is a piece of its own; masked ones are none."""
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x):
        at = place_of(slots, z, y, x)
        parents[at] = -1 if slots[z, y, x] == MASKED else at


@cuda.jit
def _join_neighbours(slots, steps, parents):
    """Join a voxel with its neighbours, but not where a third voxel joins both of them."""
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x) and slots[z, y, x] != MASKED:
        here, at = int(slots[z, y, x]), place_of(slots, z, y, x)
        across, down = x % steps[1] == 0, y % steps[1] == 0
        left = x > 0 and _same_home(slots[z, y, x - 1], here, 1, across)
        above = y > 0 and _same_home(slots[z, y - 1, x], here, ROW, down)
        before = z > 0 and _same_home(slots[z - 1, y, x], here, LAYER, z % steps[0] == 0)
        if left:
            _unite(parents, at, at - 1)
        if above:
            there = int(slots[z, y - 1, x])
            if not (left and _same_home(slots[z, y - 1, x - 1], there, 1, across)):
                _unite(parents, at, at - slots.shape[2])
        if before:
            there = int(slots[z - 1, y, x])
            by_left = left and _same_home(slots[z - 1, y, x - 1], there, 1, across)
            if not (by_left or (above and _same_home(slots[z - 1, y - 1, x], there, ROW, down))):
                _unite(parents, at, at - slots.shape[1] * slots.shape[2])


@cuda.jit(device=True)
def _root(parents, at):
    while parents[at] != at:
        at = parents[at]
    return at


@cuda.jit(device=True)
def _unite(parents, a, b):
    """Join two pieces: the higher root gets the lower one for a parent."""
    a, b = _root(parents, a), _root(parents, b)
    while a != b:
        low, high = least(a, b), most(a, b)
        before = cuda.atomic.min(parents, high, low)
        if before == high:
            break
        # Another thread gave it a parent first: that one's piece is to be joined as well.
        a, b = _root(parents, before), low


@cuda.jit
def _measure(parents, sizes):
    """Point every voxel to its root, and count the voxels there."""
    at = cuda.grid(1)
    if at < parents.size and parents[at] >= 0:
        root = _root(parents, at)
        parents[at] = root
        cuda.atomic.add(sizes, root, 1)


@cuda.jit
def _find_largest(slots, steps, parents, sizes, largest):
    """Write how large the largest piece of each home is."""
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x):
        at = place_of(slots, z, y, x)
        if parents[at] == at:
            cuda.atomic.max(largest, _home(slots, steps, z, y, x), sizes[at])


@cuda.jit
def _find_first(slots, steps, parents, sizes, largest, main):
    """Write the root of each home's main piece: of the largest, the first in raster order."""
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x):
        at = place_of(slots, z, y, x)
        if parents[at] == at:
            home = _home(slots, steps, z, y, x)
            if sizes[at] == largest[home]:
                cuda.atomic.min(main, home, at)


@cuda.jit
def _mark_orphans(slots, steps, parents, main, count):
    x, y, z = cuda.grid(3)
    if inside(slots, z, y, x) and slots[z, y, x] != MASKED:
        root = parents[place_of(slots, z, y, x)]
        if root != main[_home(slots, steps, z, y, x)]:
            slots[z, y, x] += ORPHAN
            cuda.atomic.add(count, 0, 1)
