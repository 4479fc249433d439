"""Superpixels of a volume: supervoxels on a lattice of cells with a depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Block, Lattice, Window, blocks
from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.kernels.connectivity_volume import connect_volume
from gnnseg.kernels.slic import HEAVIEST, LAYER, MASKED
from gnnseg.kernels.slic_volume import Volume, slic_volume
from gnnseg.superpixels.reader import MARGIN, PixelReader
from gnnseg.superpixels.scaling import Scaling
from gnnseg.superpixels.settings import SlicSettings
from gnnseg.superpixels.stage import SlotBlock, block_cells, make_reader, without_halo

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

_LONGEST = 1000
"""A voxel is no longer than this along one axis than along another."""
_SQUARE = 1.05
"""Pixels longer than this along one axis than along the other are no squares."""


@dataclass(frozen=True)
class VolumeLattice:
    """Home cells of `step_z` planes and `step` x `step` pixels over a volume.

    >>> lattice = VolumeLattice(10, 2, Lattice(100, 70, 16))
    >>> lattice.shape, lattice.num_cells
    ((5, 7, 5), 175)
    """

    depth: int
    step_z: int
    plane: Lattice

    @property
    def step(self) -> int:
        return self.plane.step

    @property
    def shape(self) -> tuple[int, int, int]:
        return -(-self.depth // self.step_z), *self.plane.shape

    @property
    def num_cells(self) -> int:
        return self.shape[0] * self.plane.num_cells


@dataclass(frozen=True)
class Supervoxels:
    """Slots (Z, Y, X) uint8 of a volume, and the lattice that they belong to.

    A slot is `25 (dz + 2) + 5 (dy + 2) + dx + 2`, the way from a voxel's own cell to the home cell
    of its superpixel; 254 is masked. `num_leftover` counts the voxels outside the main piece of
    their superpixel.
    """

    slots: np.ndarray
    lattice: VolumeLattice
    settings: SlicSettings
    scaling: Scaling
    num_leftover: int

    def ids(self) -> np.ndarray:
        """Ids, int64: the place of the home cell in raster order (z, y, x); -1 where masked."""
        slots, shape = self.slots.astype(np.int64), self.lattice.shape
        depth, height, width = slots.shape
        z = np.arange(depth)[:, None, None] // self.lattice.step_z + slots // LAYER - 2
        y = np.arange(height)[:, None] // self.lattice.step + slots % LAYER // 5 - 2
        x = np.arange(width) // self.lattice.step + slots % 5 - 2
        return np.where(self.slots == MASKED, -1, (z * shape[1] + y) * shape[2] + x)


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
    block: int | None = None,
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
    block, workers : int, optional
        Pixels on a side that are worked on at once, in all planes: some 20 bytes a voxel; threads.

    Returns
    -------
    Supervoxels

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
    from gnnseg.io import open_image, require_memory

    source = open_image(image)
    require_memory(source)
    ratio = _ratio(source, spacing)
    if step is not None and n_segments is not None:
        raise UsageError("give step or n_segments, not both")
    if n_segments is not None:
        step = _step_for(n_segments, source, ratio)
    settings = SlicSettings(
        step=16 if step is None else step, compactness=compactness, n_iter=n_iter, sigma=sigma
    )
    reader = make_reader(source, settings=settings, mask=mask)
    depth = source.num_planes
    lattice = VolumeLattice(depth, _planes(settings.step, ratio), reader.lattice)
    slots = np.empty((depth, source.height, source.width), np.uint8)
    left = 0

    def work(task: Block) -> int:
        part = _compute(reader, lattice, ratio, task.read)
        write = lattice.plane.pixels(task.write)
        crop = write.relative_to(lattice.plane.pixels(part.cells))
        slots[(slice(None), *write.slices)] = part.slots[(slice(None), *crop.slices)]
        return part.count_orphans(crop)

    def done(_task: Block, orphans: int) -> None:
        nonlocal left
        left += orphans

    threads = workers or default_workers()
    size = block_cells(lattice.plane, block, threads, depth=depth)
    tasks = blocks(lattice.plane.cells, size, settings.slot_halo)
    run_tasks(work, tasks, workers=threads, done=done)
    return Supervoxels(slots, lattice, settings, reader.scaling, left)


def _compute(reader: PixelReader, lattice: VolumeLattice, ratio: float, cells: Window) -> SlotBlock:
    """Slots (Z, H, W) of a window of cells but for its halo, and the orphans left in any plane."""
    settings, plane = reader.settings, lattice.plane
    window = plane.pixels(cells)
    height, width = window.grow(MARGIN).shape
    work = np.empty((lattice.depth, reader.scaling.num_channels, height, width), np.int16)
    taken = np.empty((lattice.depth, *window.shape), np.uint8)
    for z in range(lattice.depth):
        pixels = reader.read(window, z)
        work[z], taken[z] = pixels.smooth, pixels.slots
    weight = settings.compactness * reader.scaling.top / (100 * settings.step)
    volume = Volume(
        work=work,
        slots=taken,
        corner=(MARGIN, MARGIN),
        steps=(lattice.step_z, settings.step),
        weights=(min(weight * ratio, HEAVIEST / lattice.step_z), weight),
    )
    bounds = plane.cells
    sides = cells.y0 > 0, cells.y1 < bounds.y1, cells.x0 > 0, cells.x1 < bounds.x1
    slic_volume(volume, settings.n_iter, settings.stride, sides)
    inner = without_halo(cells, bounds, settings.slic_halo)
    part = plane.pixels(inner).relative_to(plane.pixels(cells))
    slots = volume.slots[(slice(None), *part.slices)].copy()
    left = connect_volume(slots, volume.steps, settings.orphan_rounds)
    return SlotBlock(inner, slots, left[:, 1:])


def _ratio(source: ImageSource, spacing: tuple[float, float, float] | None) -> float:
    """How much longer a voxel is along z than within its plane."""
    if spacing is None:
        size = source.pixel_size or (1.0, 1.0)
        spacing = (source.plane_spacing or size[0], *size)
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
