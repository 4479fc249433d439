"""From pixels to slots: lattice SLIC, then one piece for each superpixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Block, Lattice, Window, blocks
from gnnseg.execution import default_workers, run_tasks
from gnnseg.kernels.arrays import copied, full, on_host
from gnnseg.kernels.connectivity import connect
from gnnseg.kernels.slic import Clustering, slic
from gnnseg.kernels.slots import MASKED
from gnnseg.superpixels.reader import BAND_MARGIN, MARGIN, PixelReader, Pixels
from gnnseg.superpixels.scaling import Scaling, fit_scaling
from gnnseg.superpixels.settings import SlicSettings

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

AT_ONCE = 1 << 22
"""Pixels of a block, where the caller does not say: about 50 MB a thread.

Arrays of colours of more are mapped anew for each block by glibc, whose pages cost more than halos.
"""

_BAND = 1 << 20
"""Pixels that are turned to channels at once: these stay in the cache until they are filtered."""


@dataclass(frozen=True)
class SlotBlock:
    """Slots (H, W) uint8 of a window of cells, and the orphans (n, 2) that are left, (y, x)."""

    cells: Window
    slots: Any
    orphans: np.ndarray

    def count_orphans(self, window: Window) -> int:
        """Orphans in a window of this block's pixels."""
        return count_inside(self.orphans, window.slices)


def count_inside(places: np.ndarray, window: tuple[slice, ...]) -> int:
    """How many of (n, D) places lie in a window."""
    first, end = zip(*((part.start, part.stop) for part in window), strict=True)
    return int(((places >= first) & (places < end)).all(axis=1).sum())


def compute_slots(
    pixels: Pixels, cells: Window, lattice: Lattice, settings: SlicSettings, scaling: Scaling
) -> SlotBlock:
    """Slots of a window of `cells`, but for `settings.slic_halo` cells on sides within the image.

    Only what lies `settings.slot_halo` cells inside the window (or at the image's border) is what
    the whole image would give.
    """
    slots = copied(pixels.slots)
    arguments, sides = _cluster_arguments(slots, cells, lattice, settings, scaling)
    slic(pixels.smooth, *arguments, (MARGIN, MARGIN), sides)
    return _connect(slots, cells, lattice, settings)


def _cluster_arguments(
    slots: Any, cells: Window, lattice: Lattice, settings: SlicSettings, scaling: Scaling
) -> tuple[tuple[int, int, int, float, Any, Any, Any], tuple[bool, bool, bool, bool]]:
    """Arguments of `slic` for a window, and the sides on which the image goes on."""
    step, bounds = settings.step, lattice.cells
    colour = full((*cells.shape, scaling.num_channels), np.int32, 0, like=slots)
    place = full((*cells.shape, 2), np.int32, 0, like=slots)
    weight = settings.compactness * scaling.top / (100 * step)
    sides = cells.y0 > 0, cells.y1 < bounds.y1, cells.x0 > 0, cells.x1 < bounds.x1
    return (step, settings.n_iter, settings.stride, weight, slots, colour, place), sides


def _connect(slots: Any, cells: Window, lattice: Lattice, settings: SlicSettings) -> SlotBlock:
    """One piece for each superpixel, of what clustering could decide of a window."""
    inner = without_halo(cells, lattice.cells, settings.slic_halo)
    if inner != cells:
        slots = copied(slots[lattice.pixels(inner).relative_to(lattice.pixels(cells)).slices])
    left = connect(slots, settings.step, settings.orphan_rounds)
    return SlotBlock(inner, slots, left)


def _compute_by_bands(reader: PixelReader, plane: int, cells: Window) -> SlotBlock:
    """The same of an image in memory: no channels of the whole window are made."""
    lattice, settings = reader.lattice, reader.settings
    window = lattice.pixels(cells)
    slots = np.empty(window.shape, np.uint8)
    arguments, sides = _cluster_arguments(slots, cells, lattice, settings, reader.scaling)
    clustering = Clustering(*arguments, sides)
    colours = reader.read_colours(window, slots, plane)
    if colours is not None:
        clustering.add_colours(*colours)
        return _connect(slots, cells, lattice, settings)
    rows = max(1, _BAND // (settings.step * slots.shape[1])) * settings.step
    for band, work in reader.read_bands(window, rows, slots, plane):
        corner = BAND_MARGIN - (band.y0 - window.y0), BAND_MARGIN
        clustering.add(work, corner, -(-(band.y1 - window.y0) // settings.step))
    return _connect(slots, cells, lattice, settings)


def without_halo(cells: Window, bounds: Window, halo: int) -> Window:
    """A window without the `halo` on those sides on which the lattice goes on."""
    return Window(
        cells.y0 + halo * (cells.y0 > bounds.y0),
        cells.y1 - halo * (cells.y1 < bounds.y1),
        cells.x0 + halo * (cells.x0 > bounds.x0),
        cells.x1 - halo * (cells.x1 < bounds.x1),
    )


@dataclass(frozen=True)
class Superpixels:
    """A slot map and the lattice it belongs to.

    `slots` is (Y, X) uint8, or (Z, Y, X) for a stack, and lies where the image does: in memory, or
    on a GPU. `num_leftover` counts the pixels outside the main piece of their superpixel.
    """

    slots: Any
    lattice: Lattice
    settings: SlicSettings
    scaling: Scaling
    num_leftover: int

    def ids(self, window: Window | None = None) -> np.ndarray:
        """Superpixel ids, int64, `cell_y * cells_x + cell_x` of the home; -1 where masked.

        Each plane of a stack numbers its superpixels after those of the planes before it. The ids
        come to memory.
        """
        window = window or self.lattice.bounds
        planes = (slice(None),) * (self.slots.ndim - 2)
        slots = on_host(self.slots[(*planes, *window.slices)]).astype(np.int64)
        cells_x = self.lattice.shape[1]
        y = np.arange(window.y0, window.y1)[:, None] // self.lattice.step
        x = np.arange(window.x0, window.x1)[None, :] // self.lattice.step
        ids = (y + slots // 5 - 2) * cells_x + x + slots % 5 - 2
        if slots.ndim > 2:
            ids += np.arange(slots.shape[0])[:, None, None] * self.lattice.num_cells
        return np.where(slots == MASKED, -1, ids)


LEAST_SIDE = 16
"""Cells on a side of a block at least, unless the caller says: fewer would be nearly all halo."""


def block_cells(
    lattice: Lattice, block: int | None, workers: int, *, depth: int = 1
) -> tuple[int, int]:
    """Cells (rows, columns) of the blocks of an image in memory, of `depth` planes at once.

    A block of `block` pixels on a side; by default as few and as large blocks as keep all workers
    busy, since each computes a halo besides.
    """
    step = lattice.step
    if block is not None:
        return max(1, block // step), max(1, block // step)
    most = max(LEAST_SIDE**2, AT_ONCE // (depth * step**2))
    height, width = lattice.shape
    across = -(-width // max(isqrt(most), most // height))
    columns = -(-width // across)
    shared = min(-(-workers // across), max(1, 2 * height // LEAST_SIDE))
    down = max(-(-height // (most // columns)), shared)
    return -(-height // down), columns


def write_slots(
    reader: PixelReader, out: Any, *, block: int | None = None, workers: int = 1
) -> int:
    """Write the slots of every plane to `out`, a (Z, Y, X) uint8 array or zarr array.

    Returns the number of orphans left over.
    """
    lattice, settings = reader.lattice, reader.settings
    planes = range(reader.image.num_planes)
    size = block_cells(lattice, block, -(-workers // len(planes)))
    left = 0

    def work(task: tuple[int, Block]) -> int:
        plane, cells = task
        part = _compute_by_bands(reader, plane, cells.read)
        write = lattice.pixels(cells.write)
        crop = write.relative_to(lattice.pixels(part.cells))
        out[(plane, *write.slices)] = part.slots[crop.slices]
        return part.count_orphans(crop)

    def done(_task: tuple[int, Block], orphans: int) -> None:
        nonlocal left
        left += orphans

    every = list(blocks(lattice.cells, size, settings.slot_halo))
    tasks = [(z, cells) for z in planes for cells in every]
    run_tasks(work, tasks, workers=workers, done=done)
    return left


def make_reader(
    image: Any, *, settings: SlicSettings, scaling: Scaling | None = None, mask: Any = None
) -> PixelReader:
    """Open an image (and mask) and fit the scaling to it where none is given."""
    from gnnseg.io import open_image

    source: ImageSource = open_image(image)
    return PixelReader(
        source,
        scaling or fit_scaling([source]),
        settings,
        None if mask is None else open_image(mask),
    )


def superpixels(
    image: Any,
    *,
    step: int | None = None,
    n_segments: int | None = None,
    compactness: float = SlicSettings.compactness,
    n_iter: int = SlicSettings.n_iter,
    sigma: float = 0.0,
    mask: Any = None,
    block: int | None = None,
    workers: int | None = None,
) -> Superpixels:
    """Divide an image into superpixels; the result does not depend on `block` or `workers`.

    Parameters
    ----------
    image : array, path or ImageSource
        Anything that `open_image` takes.
    step, n_segments : int, optional
        Cell size in pixels (default 16), or how many superpixels (the nearest lattice is taken).
    compactness, n_iter, sigma
        As in `skimage.segmentation.slic`, but for absolute differences in place of squared ones:
        compactness is what a distance of one step costs, in hundredths of the grey scale, at most
        196; sigma smooths beyond the 3 x 3 filter that is part of the clustering.
    mask : array, path or ImageSource, optional
        Zero where pixels take no part (but in the filter, of which they are neighbours).
    block, workers : int, optional
        Pixels on a side that are worked on at once, by default up to 4 million in all; threads.

    Returns
    -------
    Superpixels
        On the GPU for an image there, whole planes at once.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((32, 48), np.uint8)
    >>> image[:, 20:] = 200
    >>> regions = superpixels(image, step=16)
    >>> regions.lattice.num_cells, regions.slots.shape
    (6, (32, 48))
    """
    from gnnseg.io import open_image

    source = open_image(image)
    settings = SlicSettings.for_image(
        source.height,
        source.width,
        step=step,
        n_segments=n_segments,
        compactness=compactness,
        n_iter=n_iter,
        sigma=sigma,
    )
    reader = make_reader(source, settings=settings, mask=mask)
    return superpixel_map(reader, block=block, workers=workers or default_workers())


def superpixel_map(
    reader: PixelReader, *, block: int | None = None, workers: int = 1
) -> Superpixels:
    """The superpixels of every plane, in memory."""
    image = reader.image
    if image.is_on_device:
        return _map_there(reader)
    slots = np.empty((image.num_planes, image.height, image.width), np.uint8)
    left = write_slots(reader, slots, block=block, workers=workers)
    shaped = slots if image.is_stack else slots[0]
    return Superpixels(shaped, reader.lattice, reader.settings, reader.scaling, left)


def _map_there(reader: PixelReader) -> Superpixels:
    """The same for an image on a GPU, which is not cut into blocks."""
    from gnnseg.kernels.cuda.arrays import stacked

    image, lattice, settings = reader.image, reader.lattice, reader.settings
    planes = [
        compute_slots(
            reader.read(lattice.bounds, z), lattice.cells, lattice, settings, reader.scaling
        )
        for z in range(image.num_planes)
    ]
    slots = stacked([plane.slots for plane in planes]) if image.is_stack else planes[0].slots
    left = sum(len(plane.orphans) for plane in planes)
    return Superpixels(slots, lattice, settings, reader.scaling, left)
