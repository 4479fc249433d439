"""SLIC pinned to a lattice of a volume: every voxel joins one of the 3 x 3 x 3 homes around it.

The rule is that of `gnnseg.kernels.slic`, with a third position: what a voxel pays along z is
added to the distance, and each of its three layers of cells has nine homes. Planes are worked on
one after the other by the loops for planes. Where the centres lie (`find_centres`) and which voxel
joins which (`assign_volume`) are two things, and the rounds of the first may be done in groups:
between any two of them there is nothing but the centres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from gnnseg.kernels.arrays import full, is_device_array
from gnnseg.kernels.assign import assign
from gnnseg.kernels.ruler import QUARTERS, make_ruler
from gnnseg.kernels.seeds import add_cells, add_rest, mark_taken, take_sample
from gnnseg.kernels.slic import inner_cells, settle, update_shift
from gnnseg.kernels.slots import FIRST, LAYER, MASKED

OWN = LAYER * 2 + 12
"""Slot of a voxel in its own cell's superpixel; slot = 25 (dz + 2) + 5 (dy + 2) + dx + 2."""
LAYERS = 3
Sides = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""Whether the volume goes on before and after a window, along z, y and x."""
CLOSED: Sides = ((False, False), (False, False), (False, False))


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
    channels : int
        How many there are.
    shape : (Z, H, W)
        Voxels of the window, which starts at a corner of a cell.
    corner : (y, x)
        Where in the channels the window starts.
    steps : (z, yx)
        Cell size in voxels.
    weights : (z, yx)
        What a distance of one voxel along an axis costs.
    open_sides : Sides
        Where the volume goes on.
    like : array, optional
        One that lies where the planes do, and centres are to: on a GPU, or in memory.
    """

    planes: Planes
    channels: int
    shape: tuple[int, int, int]
    corner: tuple[int, int]
    steps: tuple[int, int]
    weights: tuple[float, float]
    open_sides: Sides = CLOSED
    like: Any = None

    @property
    def cells(self) -> tuple[int, int, int]:
        (depth, height, width), (step_z, step) = self.shape, self.steps
        return -(-depth // step_z), -(-height // step), -(-width // step)

    @property
    def rulers(self) -> tuple[np.ndarray, np.ndarray]:
        """Along z, and along y and x."""
        (deep, wide), (step_z, step) = self.weights, self.steps
        return make_ruler(step_z, deep), make_ruler(step, wide)


@dataclass(frozen=True)
class Centres:
    """Centres of superpixels, in memory or on a GPU.

    Attributes
    ----------
    colour : (Z, Y, X, C) int32
    place : (Z, Y, X, 2) int32
        Along y and x, in quarters of a voxel from one cell before the home cell.
    height : (Z, Y, X) int32
        The same along z.
    active : (Z, Y, X) bool
        Whether there is one: a cell with no voxel that takes part has none.
    """

    colour: Any
    place: Any
    height: Any
    active: Any

    @classmethod
    def none(cls, cells: tuple[int, int, int], channels: int, *, like: Any = None) -> Centres:
        """Of so many cells, none yet; they lie where `like` does."""
        shapes = (*cells, channels), (*cells, 2), cells
        colour, place, height = (full(shape, np.int32, 0, like=like) for shape in shapes)
        return cls(colour, place, height, full(cells, np.bool_, False, like=like))

    @classmethod
    def unpacked(cls, packed: np.ndarray) -> Centres:
        """The centres that `packed` gave; no view of it."""
        return cls(
            colour=packed[..., _COLOUR:].astype(np.int32),
            place=packed[..., 2:_COLOUR].astype(np.int32),
            height=packed[..., 1].astype(np.int32),
            active=packed[..., 0] > 0,
        )

    def packed(self) -> np.ndarray:
        """All that a centre is, (Z, Y, X, `width`) uint16, to be kept."""
        numbers = self.active[..., None], self.height[..., None], self.place, self.colour
        return np.concatenate(numbers, axis=-1, dtype=np.uint16, casting="unsafe")

    @staticmethod
    def width(channels: int) -> int:
        """Numbers of a centre of so many channels; none is above `SPAN`."""
        return _COLOUR + channels

    def part(self, cells: tuple[slice, slice, slice]) -> Centres:
        """Those of some cells."""
        return Centres(
            self.colour[cells], self.place[cells], self.height[cells], self.active[cells]
        )

    def move(self, sums: _Sums, step: int, shift: int) -> None:
        """Move them, in place, to the mean of their voxels."""
        for cz in range(len(self.active)):
            settle(sums.sums[cz], step, shift, self.colour[cz], self.place[cz])
        count = sums.sums[..., 0]
        taken = count > 0
        mean = (2 * QUARTERS * sums.depth[taken] + count[taken]) // (2 * count[taken])
        self.height[taken] = mean


_COLOUR = 4
"""Where colours begin in what is packed: after whether there is a centre, its z, y and x."""
Sample = tuple[np.ndarray, np.ndarray]
"""What rounds look at of a plane: channels, filtered, and slots."""


def find_centres(
    volume: Volume, rounds: int, stride: int, before: Centres | None = None
) -> Centres:
    """The centres of the cells of a window after some more rounds of the clustering.

    Without `before`, each cell starts with the mean of its voxels, before any round. Planes are
    read once; those of a layer where a cell has voxels, but none that rounds look at, once more.

    Parameters
    ----------
    volume : Volume
    rounds : int
        How many, of assigning voxels and moving centres.
    stride : int
        Rounds look at every `stride`-th row and column of a cell, and at all planes.
    before : Centres, optional
        Those after the rounds before, of the cells of the window, and one further on its open
        sides. Changed.

    Returns
    -------
    Centres
        Of the same cells as `before`, or those of the window. On open sides each round leaves out
        the cells that it cannot compute right: `2 * rounds` cells are not what they should be.
    """
    if is_device_array(volume.like):
        from gnnseg.kernels.cuda import slic_volume as gpu

        return gpu.find_centres(volume, rounds, stride, before)
    step_z, step = volume.steps
    samples: dict[int, Sample] = {}
    if before is None:
        before = _seed(volume, stride, samples if rounds > 0 else None)
    elif rounds > 0:
        samples = _take_samples(volume, stride)
    rulers = volume.rulers
    for round_ in range(rounds):
        planes, part = _inner_part(volume, before.active.shape, 2 * round_ + 1)
        sums = _Sums.of(before.active.shape, volume.channels)
        for z in sorted(samples.keys() & planes):
            homes, layers = _homes_of(before, z, step_z, rulers[0])
            found = np.zeros((LAYERS, *sums.sums.shape[1:]), np.int64)
            plane = *samples[z], (0, 0), step, stride, rulers[1]
            assign(*plane, homes, FIRST_HOME, found, part)
            for layer, cz in enumerate(layers):
                if 0 <= cz < len(sums.sums):
                    sums.sums[cz] += found[layer]
                    sums.depth[cz] += found[layer, ..., 0] * (z - (cz - 1) * step_z)
        before.move(sums, step, update_shift(stride))
    return before


def assign_volume(volume: Volume, centres: Centres, slots: Any) -> None:
    """Write the slots (Z, H, W) uint8 of the voxels of a window.

    `centres` are those of its cells, and of one further on its open sides. Planes are read once.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import slic_volume as gpu

        gpu.assign_volume(volume, centres, slots)
        return
    step_z, step = volume.steps
    (before, _), (top, bottom), (left, right) = volume.open_sides
    depth, height, width = volume.shape
    corner = volume.corner[0] - step * top, volume.corner[1] - step * left
    wide = np.full(
        (height + step * (top + bottom), width + step * (left + right)), MASKED, np.uint8
    )
    inner = wide[step * top :, step * left :][:height, :width]
    _, part = _inner_part(volume, centres.active.shape, 1)
    nothing, rulers = np.zeros((0, 0, 0, 0), np.int64), volume.rulers
    for z in range(depth):
        homes, _ = _homes_of(centres, z + step_z * before, step_z, rulers[0])
        channels, inner[:] = volume.planes(z)
        assign(channels, wide, corner, step, 1, rulers[1], homes, FIRST_HOME, nothing, part)
        slots[z] = inner


FIRST_HOME = FIRST + LAYER
"""Slot of the first home that a voxel may join before orphans do."""


def _inner_part(
    volume: Volume, cells: tuple[int, ...], inset: int
) -> tuple[range, tuple[int, int, int, int]]:
    """The planes, and within them the cells, at least `inset` cells from every open side.

    They are counted in the box of cells whose centres there are.
    """
    first, end, top, bottom, left, right = inner_box(cells, inset, volume.open_sides)
    return range(volume.steps[0] * first, volume.steps[0] * end), (top, bottom, left, right)


def inner_box(
    cells: tuple[int, ...], inset: int, sides: Sides
) -> tuple[int, int, int, int, int, int]:
    """Bounds of the cells at least `inset` from every open side."""
    (before, after), across, along = sides
    inner = inner_cells(cells[1:], inset, (*across, *along))
    return inset * before, cells[0] - inset * after, *inner


@dataclass(frozen=True)
class _Sums:
    """What voxels add to the centres of layers of cells: count, y, x and channels; and z."""

    sums: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, cells: tuple[int, ...], channels: int) -> _Sums:
        return cls(np.zeros((*cells, 3 + channels), np.int64), np.zeros(cells, np.int64))

    def add(self, layer: int, height: int, add: Callable[[np.ndarray], None]) -> None:
        """Add voxels of one plane, `height` planes from one cell before."""
        before = self.sums[layer, ..., 0].copy()
        add(self.sums[layer])
        self.depth[layer] += (self.sums[layer, ..., 0] - before) * height


def _homes_of(
    centres: Centres, z: int, step_z: int, ruler: np.ndarray
) -> tuple[tuple[np.ndarray, ...], range]:
    """The homes that a plane's voxels compete for, and the layers of cells that these are."""
    layers, last = range(z // step_z - 1, z // step_z + 2), len(centres.active) - 1
    inside = [min(max(cz, 0), last) for cz in layers]
    there = np.array([0 <= cz <= last for cz in layers])
    here = ruler[QUARTERS * (2 * step_z + z % step_z)]
    quarters = QUARTERS * step_z * np.arange(LAYERS)[:, None, None] + centres.height[inside]
    away = np.abs(ruler[quarters] - here).astype(np.uint16)
    active = centres.active[inside] & there[:, None, None]
    return (centres.colour[inside], centres.place[inside], active, away), layers


def _take_samples(volume: Volume, stride: int) -> dict[int, Sample]:
    """What the rounds look at of each plane, among cells whose centres reach one further.

    Of the cells around the window they look at nothing.
    """
    (before, _), *across = volume.open_sides
    size = -(-volume.steps[1] // stride)
    wider = [(size * first, size * last) for first, last in across]
    samples = {}
    for z in range(volume.shape[0]):
        channels, slots = _sample(volume, volume.planes(z), stride)
        slots = np.pad(slots, wider, constant_values=MASKED)
        samples[z + volume.steps[0] * before] = np.pad(channels, [(0, 0), *wider]), slots
    return samples


def _sample(volume: Volume, plane: Sample, stride: int) -> Sample:
    return take_sample(plane[0], volume.corner, plane[1], volume.steps[1], stride)


def _seed(volume: Volume, stride: int, keep: dict[int, Sample] | None) -> Centres:
    """A cell starts with the mean of its voxels that rounds look at, or else of all of them.

    What rounds look at goes to `keep`.
    """
    centres, (step_z, step) = Centres.none(volume.cells, volume.channels), volume.steps
    for cz in range(len(centres.active)):
        layer, taken = centres.part((slice(cz, cz + 1), slice(None), slice(None))), {}
        sums = _Sums.of(layer.active.shape, volume.channels)
        for z in range(cz * step_z, min(cz * step_z + step_z, volume.shape[0])):
            channels, taken[z] = volume.planes(z)
            sample = _sample(volume, (channels, taken[z]), stride)
            sums.add(0, step_z + z % step_z, partial(add_cells, *sample, step, stride))
            if keep is not None:
                keep[z] = sample
        layer.move(sums, step, QUARTERS * (stride - 1) // 2)
        rest = _without_sample(volume, sums, taken)
        if rest.any():
            more = _Sums.of(layer.active.shape, volume.channels)
            for z, slots in taken.items():
                view = volume.planes(z)[0], volume.corner, slots, step, 0, ~rest
                more.add(0, step_z + z % step_z, partial(add_rest, *view))
            layer.move(more, step, 0)
        layer.active[:] = (sums.sums[..., 0] > 0) | rest
    return centres


def _without_sample(volume: Volume, sums: _Sums, taken: dict[int, np.ndarray]) -> np.ndarray:
    """The cells of a layer with voxels that take part, of which rounds look at none."""
    none = sums.sums[0, ..., 0] == 0
    found = np.zeros(none.shape, np.bool_)
    if none.any():
        for slots in taken.values():
            mark_taken(slots, volume.steps[1], found)
    return none & found
