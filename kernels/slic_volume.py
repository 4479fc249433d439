"""SLIC pinned to a lattice of a volume: every voxel joins one of the 3 x 3 x 3 homes around it.

The rule is that of `gnnseg.kernels.slic`, with a third position: what a voxel pays along z is
added to the distance, and each of its three layers of cells has nine homes. Planes are worked on
one after the other by the loops for planes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gnnseg.kernels.assign import assign
from gnnseg.kernels.ruler import QUARTERS, make_ruler
from gnnseg.kernels.seeds import add_cells, add_rest, mark_taken, take_sample
from gnnseg.kernels.slic import inner_cells, settle, update_shift
from gnnseg.kernels.slots import FIRST, LAYER

OWN = LAYER * 2 + 12
"""Slot of a voxel in its own cell's superpixel; slot = 25 (dz + 2) + 5 (dy + 2) + dx + 2."""
LAYERS = 3
Sides = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""Whether the volume goes on before and after a window, along z, y and x."""
_CLOSED: Sides = ((False, False), (False, False), (False, False))


class Planes(Protocol):
    """Gives a plane of a window by its number, any number of times."""

    def __call__(self, z: int) -> tuple[np.ndarray, np.ndarray]:
        """Working channels (C, H', W') int16, and (H, W) uint8: `MASKED` where no part is taken."""


@dataclass(frozen=True)
class Volume:
    """A window of a volume, and its lattice.

    Attributes
    ----------
    planes : Planes
        What the window is read from, plane by plane: never are all of its channels held.
    slots : (Z, H, W) uint8
        Written. The window starts at a corner of a cell.
    corner : (y, x)
        Where in the channels the window starts.
    steps : (z, yx)
        Cell size in voxels.
    weights : (z, yx)
        What a distance of one voxel along an axis costs.
    """

    planes: Planes
    slots: np.ndarray
    corner: tuple[int, int]
    steps: tuple[int, int]
    weights: tuple[float, float]

    @property
    def cells(self) -> tuple[int, int, int]:
        depth, height, width = self.slots.shape
        step_z, step = self.steps
        return -(-depth // step_z), -(-height // step), -(-width // step)


def slic_volume(
    volume: Volume,
    n_iter: int,
    stride: int,
    open_sides: Sides = _CLOSED,
) -> None:
    """Cluster a window of a volume; writes the slots of its voxels.

    `n_iter`, `stride` (of rows and columns; all planes are looked at) and `open_sides` (at both
    ends of each axis) are as for a plane. A cell of a volume starts with the mean of its voxels, as
    that of a plane does. Planes are read twice: what the rounds look at is kept of the first time.
    Those of a layer where a cell has voxels, but none that the rounds look at, are read once more.
    """
    stride = stride if n_iter > 0 else 1
    ruler = make_ruler(volume.steps[1], volume.weights[1])
    samples = [_take_sample(volume, z, stride) for z in range(len(volume.slots))]
    centres = _seed(volume, samples, stride)
    for round_ in range(n_iter):
        planes, part = _inner_part(volume, 2 * round_ + 1, open_sides)
        sums, depth = centres.no_sums()
        for z in planes:
            homes, layers = centres.homes_of(z)
            found = np.zeros((LAYERS, *sums.shape[1:]), np.int64)
            channels, taken = samples[z]
            plane = channels, taken, (0, 0), volume.steps[1], stride, ruler
            assign(*plane, homes, _FIRST, found, part)
            for layer, cz in enumerate(layers):
                if 0 <= cz < len(sums):
                    sums[cz] += found[layer]
                    depth[cz] += found[layer, ..., 0] * (z - (cz - 1) * volume.steps[0])
        centres.move(sums, depth, update_shift(stride))
    samples.clear()
    planes, part = _inner_part(volume, 2 * n_iter + 1, open_sides)
    nothing = np.zeros((0, 0, 0, 0), np.int64)
    for z in planes:
        homes, _ = centres.homes_of(z)
        plane = volume.planes(z)[0], volume.slots[z], volume.corner, volume.steps[1], 1, ruler
        assign(*plane, homes, _FIRST, nothing, part)


_FIRST = FIRST + LAYER


def _take_sample(volume: Volume, z: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a plane, and keep what rounds look at; of the rest only which voxels take part."""
    channels, volume.slots[z] = volume.planes(z)
    return take_sample(channels, volume.corner, volume.slots[z], volume.steps[1], stride)


def _inner_part(
    volume: Volume, inset: int, sides: Sides
) -> tuple[range, tuple[int, int, int, int]]:
    """The planes, and within them the cells, at least `inset` cells from every open side."""
    (depth, step_z), (before, after) = (len(volume.slots), volume.steps[0]), sides[0]
    last = step_z * (volume.cells[0] - inset) if after else depth
    cells = inner_cells(volume.cells[1:], inset, sides[1] + sides[2])
    return range(step_z * inset * before, last), cells


@dataclass
class _Centres:
    """Centres of superpixels: colour, place (y, x), height (z) in quarters from a cell before."""

    steps: tuple[int, int]
    colour: np.ndarray
    place: np.ndarray
    height: np.ndarray
    active: np.ndarray
    ruler: np.ndarray

    def no_sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Zeros to add voxels to: count, y, x and channels; and z."""
        cells = self.active.shape
        return np.zeros((*cells, self.colour.shape[3] + 3), np.int64), np.zeros(cells, np.int64)

    def move(self, sums: np.ndarray, depth: np.ndarray, shift: int) -> None:
        """Move centres to the mean of their voxels."""
        for cz in range(len(sums)):
            settle(sums[cz], self.steps[1], shift, self.colour[cz], self.place[cz])
        count = sums[..., 0]
        taken = count > 0
        mean = (2 * QUARTERS * depth[taken] + count[taken]) // (2 * count[taken])
        self.height[taken] = mean

    def homes_of(self, z: int) -> tuple[tuple[np.ndarray, ...], range]:
        """The homes that a plane's voxels compete for, and the layers of cells that these are."""
        step_z = self.steps[0]
        layers = range(z // step_z - 1, z // step_z + 2)
        inside = [min(max(cz, 0), len(self.active) - 1) for cz in layers]
        there = np.array([0 <= cz < len(self.active) for cz in layers])
        here = self.ruler[QUARTERS * (2 * step_z + z % step_z)]
        quarters = QUARTERS * step_z * np.arange(LAYERS)[:, None, None] + self.height[inside]
        away = np.abs(self.ruler[quarters] - here).astype(np.uint16)
        active = self.active[inside] & there[:, None, None]
        return (self.colour[inside], self.place[inside], active, away), layers


def _without_sample(volume: Volume, sums: np.ndarray) -> np.ndarray:
    """The cells with voxels that take part, of which rounds look at none."""
    none, step_z = sums[..., 0] == 0, volume.steps[0]
    found = np.zeros(none.shape, np.bool_)
    for z, slots in enumerate(volume.slots):
        if none[z // step_z].any():
            mark_taken(slots, volume.steps[1], found[z // step_z])
    return none & found


def _seed(volume: Volume, samples: list[tuple[np.ndarray, np.ndarray]], stride: int) -> _Centres:
    """A cell starts with the mean of its voxels that rounds look at, or else of all of them."""
    cells, (step_z, step) = volume.cells, volume.steps
    centres = _Centres(
        steps=volume.steps,
        colour=np.zeros((*cells, len(samples[0][0])), np.int32),
        place=np.zeros((*cells, 2), np.int32),
        height=np.zeros(cells, np.int32),
        active=np.zeros(cells, np.bool_),
        ruler=make_ruler(step_z, volume.weights[0]),
    )
    sums, depth = centres.no_sums()
    for z, sample in enumerate(samples):
        before = sums[z // step_z, ..., 0].copy()
        add_cells(*sample, step, stride, sums[z // step_z])
        depth[z // step_z] += (sums[z // step_z, ..., 0] - before) * (step_z + z % step_z)
    centres.move(sums, depth, QUARTERS * (stride - 1) // 2)
    rest = _without_sample(volume, sums)
    if rest.any():
        more, depth = centres.no_sums()
        for z, slots in enumerate(volume.slots):
            cz = z // step_z
            if not rest[cz].any():
                continue
            before = more[cz, ..., 0].copy()
            add_rest(volume.planes(z)[0], volume.corner, slots, step, 0, ~rest[cz], more[cz])
            depth[cz] += (more[cz, ..., 0] - before) * (step_z + z % step_z)
        centres.move(more, depth, 0)
        sums += more
    centres.active[:] = sums[..., 0] > 0
    return centres
