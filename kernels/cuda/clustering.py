"""The steps of the clustering on a GPU, for planes and volumes: a plane has one layer of cells.

Where centres are made, a block of threads adds up voxels of one cell for each of the homes around
it, in shared memory first, then to the homes': whole numbers, so that their order does not count.
In the last assignment, a thread is a voxel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import full
from gnnseg.kernels.cuda.centres import ACTIVE, COLOUR, HEIGHT, PLACE
from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.launch import THREADS, per_item, per_pixel
from gnnseg.kernels.ruler import QUARTERS
from gnnseg.kernels.slic import update_shift
from gnnseg.kernels.slots import LAYER, MASKED

MOST_CHANNELS = 64
"""What readers let through to a GPU at most."""
_FAR = 1 << 30  # above every cost
_COUNT, _Z, _Y, _X, _CHANNELS = ACTIVE, HEIGHT, PLACE, PLACE + 1, COLOUR  # of sums, and homes
_WIDTH = _CHANNELS + MOST_CHANNELS
_NINE, _HOMES = 9, 27  # homes of a layer, and of three
_AT_ONCE = 1 << 12
"""Voxels that a block of threads adds up, or a plane of a cell if that is more: 32 bits hold it."""
Part = tuple[int, int, int, int, int, int]
"""Bounds of cells: layers, rows, columns."""


@dataclass(frozen=True)
class Clustering:
    """The cells of a window, and the centres of their homes, which change.

    Attributes
    ----------
    steps : (z, yx)
        Cell size in voxels.
    scales : (z, yx)
        Rulers.
    cells : (Z, Y, X)
        How many cells there are that voxels may have for a home.
    homes : (n, 4 + C) int32
        The centres of these cells (`gnnseg.kernels.cuda.centres`).
    first : (z, y, x)
        Which of the cells the window begins with.
    layers : tuple
        As long as there are layers of homes for a voxel, three, or one in a plane: kernels are
        compiled for their number.
    """

    steps: tuple[int, int]
    scales: tuple[Any, Any]
    cells: tuple[int, int, int]
    homes: Any
    first: tuple[int, int, int] = (0, 0, 0)
    layers: tuple[int, ...] = (0, 0, 0)

    def sums(self) -> Any:
        """Room for what voxels add to each home: zeros, as after each step below."""
        return full(self.homes.shape, np.int64, 0)

    def seed(self, soft: Any, slots: Any, stride: int, sums: Any) -> None:
        """Let a cell start with the mean of its voxels that rounds look at, or else of all of them.

        `soft` is (Z, C, H, W) uint16, `slots` (Z, H, W) uint8.
        """
        for every in dict.fromkeys((stride, 1)):
            self._add_up(soft, slots, every, None, sums)
            self._settle(sums, QUARTERS * (every - 1) // 2)

    def move(self, soft: Any, slots: Any, stride: int, part: Part, sums: Any) -> None:
        """A round: assign the voxels of some cells, and move homes to the mean of theirs."""
        self._add_up(soft, slots, stride, part, sums)
        self._settle(sums, update_shift(stride))

    def assign(self, soft: Any, taken: Any, z: int, part: Part, first: int, slots: Any) -> None:
        """Write the slots (H, W) of plane `z`, from its `soft` (C, H, W), in some cells.

        Where `taken` is `MASKED` they become so; `first` is the slot of the first home.
        """
        _assign[per_pixel(*slots.shape)](soft, taken, z, *self._lattice, part, first, slots)

    @property
    def _lattice(self) -> tuple[Any, ...]:
        return self.steps, self.scales, self.cells, self.homes, self.first, self.layers

    def _add_up(self, soft: Any, slots: Any, stride: int, part: Part | None, sums: Any) -> None:
        step_z, step = self.steps
        planes = min(step_z, max(1, _AT_ONCE // math.ceil(step / stride) ** 2))
        cells = [-(-n // s) for n, s in zip(slots.shape, (step_z, step, step), strict=True)]
        blocks = math.prod(cells) * math.ceil(step_z / planes)
        looked_at = part is None, part or (0, 0, 0, 0, 0, 0)
        _add_up[blocks, THREADS](soft, slots, *self._lattice, stride, planes, *looked_at, sums)

    def _settle(self, sums: Any, shift: int) -> None:
        _settle[per_item(sums.shape[0])](sums, self.steps[1], shift, self.homes)


@cuda.jit(device=True)
def _within(cell, part):
    z, y, x = cell
    return part[0] <= z < part[1] and part[2] <= y < part[3] and part[4] <= x < part[5]


@cuda.jit(device=True)
def _home(cells, z, y, x):
    """The place of a cell among all, or -1 if there is none."""
    inside = 0 <= z < cells[0] and 0 <= y < cells[1] and 0 <= x < cells[2]
    return (z * cells[1] + y) * cells[2] + x if inside else -1


@cuda.jit(device=True)
def _nearest(soft, y, x, cell, away, steps, scales, cells, homes, layers):
    """Which home a voxel joins, counted in raster order; `away` is its place in its cell."""
    (step_z, step), (ruler_z, ruler) = steps, scales
    at_z = int(ruler_z[QUARTERS * (2 * step_z + away[0])])
    at_y = int(ruler[QUARTERS * (2 * step + away[1])])
    at_x = int(ruler[QUARTERS * (2 * step + away[2])])
    best, nearest = _FAR, _NINE * (len(layers) // 2) + 4
    for k in range(_NINE * len(layers)):
        layer, ky, kx = k // _NINE, k // 3 % 3, k % 3
        home = _home(cells, cell[0] + layer - len(layers) // 2, cell[1] + ky - 1, cell[2] + kx - 1)
        if home >= 0 and homes[home, _COUNT] > 0:
            cost = abs(at_y - int(ruler[homes[home, _Y] + ky * QUARTERS * step]))
            cost += abs(at_x - int(ruler[homes[home, _X] + kx * QUARTERS * step]))
            if len(layers) > 1:
                cost += abs(at_z - int(ruler_z[homes[home, _Z] + layer * QUARTERS * step_z]))
            for c in range(soft.shape[0]):
                cost += abs(int(soft[c, y, x]) - int(homes[home, _CHANNELS + c]))
            if cost < best:
                best, nearest = cost, k
    return nearest


@cuda.jit
def _add_up(
    soft, slots, steps, scales, cells, homes, first, layers, stride, planes, seeding, part, sums
):  # fmt: skip
    """Add up what some planes of a cell's voxels give to each of the homes around it.

    Where it is `seeding`, they give to their own cell, if that has no centre yet.
    """
    found = cuda.shared.array((_HOMES, _WIDTH), np.int32)
    used, width = _NINE * len(layers), _CHANNELS + soft.shape[1]
    for at in range(cuda.threadIdx.x, used * width, cuda.blockDim.x):
        found[at // width, at % width] = 0
    cuda.syncthreads()
    step_z, step = steps
    corner, z0 = _corner(cuda.blockIdx.x, slots, steps, planes)
    cell = first[0] + corner[0], first[1] + corner[1], first[2] + corner[2]
    looked_at = homes[_home(cells, *cell), _COUNT] == 0 if seeding else _within(cell, part)
    size = (step + stride - 1) // stride
    depth = least(least(z0 + planes, step_z), slots.shape[0] - corner[0] * step_z) - z0
    for at in range(cuda.threadIdx.x, depth * size * size if looked_at else 0, cuda.blockDim.x):
        row = at // size
        away = z0 + row // size, row % size * stride, at % size * stride
        z, y = corner[0] * step_z + away[0], corner[1] * step + away[1]
        x = corner[2] * step + away[2]
        if y < slots.shape[1] and x < slots.shape[2] and slots[z, y, x] != MASKED:
            k = _NINE * (len(layers) // 2) + 4
            if not seeding:
                k = _nearest(soft[z], y, x, cell, away, steps, scales, cells, homes, layers)
            _add_voxel(found, k, away, soft[z], y, x, layers)
    cuda.syncthreads()
    for at in range(cuda.threadIdx.x, used * width, cuda.blockDim.x):
        k, column = at // width, at % width
        if found[k, _COUNT] > 0:
            _hand_over(found, k, column, cell, steps, cells, layers, sums)


@cuda.jit(device=True)
def _corner(block, slots, steps, planes):
    """The cell that a block of threads works on, and the first of its planes."""
    down = (slots.shape[1] + steps[1] - 1) // steps[1]
    across = (slots.shape[2] + steps[1] - 1) // steps[1]
    parts = (steps[0] + planes - 1) // planes
    row = block // across
    layer = row // down
    return (layer // parts, row % down, block % across), layer % parts * planes


@cuda.jit(device=True)
def _add_voxel(found, k, away, soft, y, x, layers):
    cuda.atomic.add(found, (k, _COUNT), 1)
    if len(layers) > 1:
        cuda.atomic.add(found, (k, _Z), away[0])
    cuda.atomic.add(found, (k, _Y), away[1])
    cuda.atomic.add(found, (k, _X), away[2])
    for c in range(soft.shape[0]):
        cuda.atomic.add(found, (k, _CHANNELS + c), int(soft[c, y, x]))


@cuda.jit(device=True)
def _hand_over(found, k, column, cell, steps, cells, layers, sums):
    """Add one of a home's sums to what it has; places count from one cell before it."""
    layer, ky, kx = k // _NINE - len(layers) // 2, k % _NINE // 3 - 1, k % 3 - 1
    value, count = int(found[k, column]), int(found[k, _COUNT])
    if column == _Z:
        value += count * (1 - layer) * steps[0]
    elif column == _Y:
        value += count * (1 - ky) * steps[1]
    elif column == _X:
        value += count * (1 - kx) * steps[1]
    home = _home(cells, cell[0] + layer, cell[1] + ky, cell[2] + kx)
    cuda.atomic.add(sums, (home, column), value)


@cuda.jit(device=True)
def _mean(total, count):
    return (2 * total + count) // (2 * count)


@cuda.jit
def _settle(sums, step, shift, homes):
    """Move homes to the mean of their voxels; one that has none stays where it was."""
    home = cuda.grid(1)
    if home < homes.shape[0] and sums[home, _COUNT] > 0:
        count, last = sums[home, _COUNT], QUARTERS * (3 * step - 1)
        homes[home, _COUNT] = 1
        homes[home, _Z] = _mean(QUARTERS * sums[home, _Z], count)
        homes[home, _Y] = least(_mean(QUARTERS * sums[home, _Y], count) + shift, last)
        homes[home, _X] = least(_mean(QUARTERS * sums[home, _X], count) + shift, last)
        for c in range(_CHANNELS, homes.shape[1]):
            homes[home, c] = _mean(sums[home, c], count)
        for column in range(sums.shape[1]):
            sums[home, column] = 0


@cuda.jit
def _assign(
    soft, taken, z, steps, scales, cells, homes, first, layers, part, first_slot, slots
):  # fmt: skip
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        step_z, step = steps
        cell = first[0] + z // step_z, first[1] + y // step, first[2] + x // step
        if taken[y, x] == MASKED:
            slots[y, x] = MASKED
        elif _within(cell, part):
            away = z % step_z, y % step, x % step
            k = _nearest(soft, y, x, cell, away, steps, scales, cells, homes, layers)
            slots[y, x] = first_slot + LAYER * (k // _NINE) + 5 * (k % _NINE // 3) + k % 3
