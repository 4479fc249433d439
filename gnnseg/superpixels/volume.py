"""Superpixels of a volume: supervoxels on a lattice of cells with a depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Lattice
from gnnseg.errors import StateError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.kernels.arrays import on_host
from gnnseg.kernels.connectivity_volume import connect_volume, count_in_box
from gnnseg.kernels.ruler import HEAVIEST
from gnnseg.kernels.slic_volume import Centres, Volume, assign_volume, find_centres
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.superpixels.box import Box, BoxBlock, VolumeLattice
from gnnseg.superpixels.groups import BlockCost, Group, best_groups
from gnnseg.superpixels.reader import MARGIN, PixelReader
from gnnseg.superpixels.scaling import Scaling
from gnnseg.superpixels.settings import SlicSettings
from gnnseg.superpixels.stage import (
    AT_ONCE,
    LEAST_SIDE,
    block_cells,
    make_reader,
)

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

_LONGEST = 1000
"""A voxel is no longer than this along one axis than along another."""
_SQUARE = 1.05
"""Pixels longer than this along one axis than along the other are no squares."""


@dataclass(frozen=True)
class VolumeReader:
    """A stack as supervoxels are made of it; a voxel is `ratio` times as long along z as across."""

    planes: PixelReader
    lattice: VolumeLattice
    ratio: float

    @property
    def centre_shape(self) -> tuple[int, int, int, int]:
        """Shape of the array of the centres of all cells: (Z, Y, X, numbers of a centre)."""
        return *self.lattice.shape, Centres.width(self.planes.scaling.num_channels)


@dataclass(frozen=True)
class SlotBox:
    """Slots (Z, H, W) uint8 of a box of cells, and the orphans (n,) that are left.

    These are counted through the slots in raster order.
    """

    cells: Box
    slots: np.ndarray
    orphans: np.ndarray


@dataclass(frozen=True)
class Supervoxels:
    """Slots (Z, Y, X) uint8 of a volume, and the lattice that they belong to.

    They lie where the volume does: in memory, or on a GPU.
    A slot is `25 (dz + 2) + 5 (dy + 2) + dx + 2`, the way from a voxel's own cell to the home cell
    of its superpixel; 254 is masked. `num_leftover` counts the voxels outside the main piece of
    their superpixel.
    """

    slots: Any
    lattice: VolumeLattice
    settings: SlicSettings
    scaling: Scaling
    num_leftover: int

    def ids(self) -> np.ndarray:
        """Ids, int64: the place of the home cell in raster order (z, y, x); -1 where masked.

        They come to memory.
        """
        slots, shape = on_host(self.slots).astype(np.int64), self.lattice.shape
        depth, height, width = slots.shape
        z = np.arange(depth)[:, None, None] // self.lattice.step_z + slots // LAYER - 2
        y = np.arange(height)[:, None] // self.lattice.step + slots % LAYER // 5 - 2
        x = np.arange(width) // self.lattice.step + slots % 5 - 2
        return np.where(slots == MASKED, -1, (z * shape[1] + y) * shape[2] + x)


def supervoxels(
    image: Any,
    *,
    step: int | None = None,
    n_segments: int | None = None,
    spacing: tuple[float, float, float] | None = None,
    compactness: float = SlicSettings.compactness,
    n_iter: int = SlicSettings.n_iter,
    sigma: float = 0.0,
    mask: Any = None,
    block: int | tuple[int, int] | None = None,
    workers: int | None = None,
) -> Supervoxels:
    """Divide a volume into supervoxels, each one 6-connected piece; the same for any `block`.

    Parameters
    ----------
    image : array, path or ImageSource
        A stack (Z, Y, X) or (Z, C, Y, X); arrays need `open_image(..., axes="ZYX")`.
    step, n_segments : int, optional
        Cell size in pixels within a plane (default 16), or about how many supervoxels.
    spacing : (z, y, x), optional
        Size of a voxel, in any unit; default: the file's, else all equal. A cell has as many planes
        as make it as deep as it is wide, at least one. Pixels must be squares.
    compactness, n_iter, sigma, mask
        As for `superpixels`; a distance along z counts by its length in `spacing`, and filters
        work within planes.
    block : int or (z, yx), optional
        Pixels on a side that are worked on at once, in all planes or in so many: 5 to 9 bytes a
        voxel. By default all planes, unless they are too many. Besides, up to `2 n_iter` cells are
        worked on before and after along each axis that is cut, and 3 to make each one piece.
    workers : int, optional
        Threads.

    Returns
    -------
    Supervoxels
        On the GPU for a volume there, all of it at once.

    Raises
    ------
    UsageError
        `spacing` is no three positive numbers, or pixels are no squares.

    Examples
    --------
    >>> import gnnseg
    >>> volume = gnnseg.open_image(np.zeros((6, 32, 48), np.uint8), axes="ZYX")
    >>> regions = supervoxels(volume, step=16, spacing=(8, 1, 1))
    >>> regions.lattice.shape, regions.lattice.step_z
    ((3, 2, 3), 2)
    """
    settings = {"compactness": compactness, "n_iter": n_iter, "sigma": sigma}
    volume = read_volume(image, step, n_segments, spacing, mask, **settings)
    return supervoxel_map(volume, block=block, workers=workers or default_workers())


def supervoxel_map(
    volume: VolumeReader, *, block: int | tuple[int, int] | None = None, workers: int = 1
) -> Supervoxels:
    """The supervoxels of a whole volume, where it lies."""
    if volume.planes.image.is_on_device:
        return _map_there(volume)
    lattice, settings = volume.lattice, volume.planes.settings
    slots = np.empty((lattice.depth, *lattice.plane.bounds.shape), np.uint8)
    size, left = box_cells(lattice, block, workers), 0
    centres = _all_centres(volume, size, workers)

    def done(_task: BoxBlock, orphans: int) -> None:
        nonlocal left
        left += orphans

    tasks = lattice.blocks(size, lattice.piece_halo(settings))
    run_tasks(
        lambda task: write_slots(volume, task, centres, slots), tasks, workers=workers, done=done
    )
    return Supervoxels(slots, lattice, settings, volume.planes.scaling, left)


def _map_there(volume: VolumeReader) -> Supervoxels:
    """The same for a volume on a GPU, which is not cut into blocks."""
    from gnnseg.kernels.cuda.arrays import empty

    lattice, settings = volume.lattice, volume.planes.settings
    slots = empty((lattice.depth, *lattice.plane.bounds.shape), np.uint8)
    part = replace(_open_box(volume, lattice.cells), like=slots)
    assign_volume(part, find_centres(part, settings.n_iter, settings.looked_at), slots)
    left = connect_volume(slots, part.steps, settings.orphan_rounds, lattice.face_weights)
    return Supervoxels(slots, lattice, settings, volume.planes.scaling, len(left))


def _all_centres(volume: VolumeReader, size: tuple[int, int, int], workers: int) -> np.ndarray:
    """The centres of a whole volume, in memory, from blocks of `size` cells."""
    lattice = volume.lattice
    centres = np.empty((0, 0, 0, 0), np.uint16)
    cost = BlockCost(volume.planes.image, lattice, size)
    for group in best_groups(volume.planes.settings.n_iter, cost.group):
        found = np.empty(volume.centre_shape, np.uint16)
        work = partial(write_centres, volume, group=group, before=centres, out=found)
        run_tasks(work, lattice.blocks(size, (group.halo, group.halo)), workers=workers)
        centres = found
    return centres


def write_centres(
    volume: VolumeReader, block: BoxBlock, *, group: Group, before: Any, out: Any
) -> None:
    """Write the centres of one block after a group of rounds to `out`.

    `before`, which the first group does not look at, and `out` are (Z, Y, X, numbers) uint16 in
    memory or on disk, for all cells (`VolumeReader.centre_shape`).
    """
    lattice, settings = volume.lattice, volume.planes.settings
    cells, start = block.read, None
    if group.before is not None:
        cells = lattice.with_next(block.read)
        start = _read_centres(before, cells)
    part = _open_box(volume, block.read)
    centres = find_centres(part, group.rounds, settings.looked_at, start)
    crop = block.write.relative_to(cells).slices
    out[block.write.slices] = centres.part(crop).packed()


NOT_COMPUTED = 65535
"""What an array of centres holds where nothing was written."""


def _read_centres(centres: Any, cells: Box) -> Centres:
    packed = np.asarray(centres[cells.slices])
    if (packed[..., 0] == NOT_COMPUTED).any():  # a voxel without a home would join one outside
        raise StateError("some centres of an earlier phase are gone: use --overwrite to start anew")
    return Centres.unpacked(packed)


def write_slots(volume: VolumeReader, block: BoxBlock, centres: Any, out: Any) -> int:
    """Write the slots of one block to `out`, (Z, Y, X) uint8 in memory or on disk.

    `centres` are those after all rounds, as `write_centres` writes them. The block reads
    `piece_halo` cells on all sides within the volume. Returns the number of orphans left over.
    """
    lattice = volume.lattice
    part = compute_slots(volume, block, centres)
    write = lattice.voxels(block.write)
    crop = write.relative_to(lattice.voxels(part.cells))
    out[write.slices] = part.slots[crop.slices]
    return count_in_box(part.orphans, part.slots.shape, crop.corner, crop.shape)


def read_volume(
    image: Any,
    step: int | None = None,
    n_segments: int | None = None,
    spacing: tuple[float, float, float] | None = None,
    mask: Any = None,
    **settings: Any,
) -> VolumeReader:
    """Open a stack, and choose the lattice that suits its voxels."""
    from gnnseg.io import open_image
    from gnnseg.io.slabs import in_slabs

    source = in_slabs(open_image(image))
    ratio = _ratio(source, spacing)
    if step is not None and n_segments is not None:
        raise UsageError("give step or n_segments, not both")
    if n_segments is not None:
        step = _step_for(n_segments, source, ratio)
    made = SlicSettings(step=16 if step is None else step, **settings)
    taken = None if mask is None else in_slabs(open_image(mask))
    reader = make_reader(source, settings=made, mask=taken)
    lattice = VolumeLattice(source.num_planes, _planes(made.step, ratio), reader.lattice)
    return VolumeReader(reader, lattice, ratio)


def box_cells(
    lattice: VolumeLattice, block: int | tuple[int, int] | None, workers: int
) -> tuple[int, int, int]:
    """Cells (layers, rows, columns) of the blocks of a volume.

    By default all layers, unless blocks of the least side would then be too large.
    """
    layers = lattice.shape[0]
    if block is None:
        least = lattice.step_z * (LEAST_SIDE * lattice.step) ** 2
        parts = -(-layers // max(LEAST_SIDE, AT_ONCE // least))
        layers = -(-layers // parts)
    elif isinstance(block, tuple):
        deep, block = block
        layers = min(layers, max(1, deep // lattice.step_z))
    depth = min(lattice.depth, layers * lattice.step_z)
    return layers, *block_cells(lattice.plane, block, workers, depth=depth)


def compute_slots(volume: VolumeReader, block: BoxBlock, centres: Any) -> SlotBox:
    """Slots of a block, and of the cells around it on which its pieces and orphans depend."""
    lattice, settings = volume.lattice, volume.planes.settings
    part = _open_box(volume, block.read)
    slots = np.empty(part.shape, np.uint8)
    assign_volume(part, _read_centres(centres, lattice.with_next(block.read)), slots)
    left = connect_volume(slots, part.steps, settings.orphan_rounds, lattice.face_weights)
    return SlotBox(block.read, slots, left)


def _open_box(volume: VolumeReader, cells: Box) -> Volume:
    """A box of cells, smoothed, as the clustering takes it."""
    reader, lattice = volume.planes, volume.lattice
    voxels = lattice.voxels(cells)

    def read(z: int) -> tuple[np.ndarray, np.ndarray]:
        pixels = reader.read(voxels.window, voxels.z0 + z)
        return pixels.smooth, pixels.slots

    weight = reader.settings.compactness * reader.scaling.top / (100 * lattice.step)
    return Volume(
        planes=read,
        channels=reader.scaling.num_channels,
        shape=voxels.shape,
        corner=(MARGIN, MARGIN),
        steps=(lattice.step_z, lattice.step),
        weights=(min(weight * volume.ratio, HEAVIEST / lattice.step_z), weight),
        open_sides=cells.open_sides(lattice.cells),
    )


def _ratio(source: ImageSource, spacing: tuple[float, float, float] | None) -> float:
    """How much longer a voxel is along z than within its plane."""
    if spacing is None:
        size = source.pixel_size or (1.0, 1.0)
        deep = source.plane_spacing if source.pixel_size else None
        spacing = (deep or size[0], *size)
    try:
        z, y, x = (float(length) for length in spacing)
    except (TypeError, ValueError):
        z = y = x = np.nan
    if not (0 < z < np.inf and 0 < y < np.inf and 0 < x < np.inf):
        raise UsageError(f"spacing must be three positive numbers (z, y, x), got {spacing}")
    if not 1 / _LONGEST <= z / y <= _LONGEST:
        raise UsageError(f"spacing must be in one unit, got {spacing}: z is {z / y:g} times y")
    if max(y, x) > _SQUARE * min(y, x):
        raise UsageError(
            f"supervoxels need square pixels, got spacing {spacing}: resample the planes first"
        )
    return 2 * z / (y + x)


def _planes(step: int, ratio: float) -> int:
    """Planes of a cell as deep as it is wide, at most as many as a cell may have pixels."""
    return min(256, max(1, round(step / ratio)))


def _step_for(number: int, source: ImageSource, ratio: float) -> int:
    """The step whose lattice has nearly so many cells."""
    if number < 1:
        raise UsageError(f"n_segments must be at least 1, got {number}")

    def cells(step: int) -> int:
        plane = Lattice(source.height, source.width, step)
        return VolumeLattice(source.num_planes, _planes(step, ratio), plane).num_cells

    return min(range(2, 257), key=lambda step: abs(cells(step) - number))
