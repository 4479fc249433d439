"""From pixels to slots and region tables, block by block, in one read of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gnnseg.blocks import Block, Lattice, Window, blocks
from gnnseg.execution import default_workers, run_tasks
from gnnseg.features import NUM_BINS, RINGS, Depth, derive, feature_names, plane_table, planes
from gnnseg.graph.region_graph import RegionGraph
from gnnseg.graph.table import FINE_REACH, RegionTable, VolumeTable
from gnnseg.kernels.adjacency import CODES, adjacency
from gnnseg.kernels.arrays import as_rows, copied, cut, empty, full, is_device_array
from gnnseg.kernels.region_sums import GEOMETRY, region_sums
from gnnseg.superpixels import PixelReader, Pixels, SlicSettings, compute_slots, make_reader
from gnnseg.superpixels.box import Box
from gnnseg.superpixels.reader import MARGIN
from gnnseg.superpixels.stage import block_cells

SUM_HALO = 3
"""Cells around a home that hold its pixels (two) and the neighbours these touch (one more)."""
_DERIVED_AT_ONCE = 2048
"""Regions whose features are computed at once: what that takes stays in the cache."""


@dataclass(frozen=True)
class RegionBlock:
    """What one block yields: its slots, its regions, and how many orphans were left over."""

    cells: Window
    pixels: Window
    slots: np.ndarray
    table: RegionTable
    num_leftover: int


def region_blocks(
    lattice: Lattice, settings: SlicSettings, cells: Window, size: int | tuple[int, int]
) -> list[Block]:
    """Blocks of `size` cells (y, x) that tile `cells`, each with the halo of its slots and sums."""
    halo = settings.slot_halo + SUM_HALO
    return list(blocks(cells, size, halo, lattice.cells))


def compute_regions(reader: PixelReader, plane: int, block: Block) -> RegionBlock:
    """Slots and regions of one block of cells."""
    lattice = reader.lattice
    read, write = lattice.pixels(block.read), lattice.pixels(block.write)
    near = block.write.grow(SUM_HALO).clip(lattice.cells)
    part = lattice.pixels(near)
    pixels = reader.read(read, plane)
    made = compute_slots(pixels, block.read, lattice, reader.settings, reader.scaling)
    inner = lattice.pixels(made.cells)
    slots = copied(made.slots[part.relative_to(inner).slices])
    corner = MARGIN + part.y0 - read.y0, MARGIN + part.x0 - read.x0
    totals = add_up(reader, replace(pixels, slots=slots), near, corner)
    del pixels  # most of a block's memory; the tables come on top of the rest only
    crop = write.relative_to(inner)
    table = describe(reader, totals, block.write)
    return RegionBlock(block.write, write, made.slots[crop.slices], table, made.count_orphans(crop))


@dataclass(frozen=True)
class Totals:
    """What is added up over the regions whose homes lie in a window, as the kernels give it.

    `depth` is there for a volume, whose arrays have an axis of layers first.
    """

    window: Window | Box
    sums: np.ndarray
    histogram: np.ndarray
    contact: np.ndarray
    contrast: np.ndarray
    boundary: np.ndarray
    depth: Depth | None = field(default=None, kw_only=True)


def add_up(
    reader: PixelReader, pixels: Pixels, near: Window, corner: tuple[int, int] = (MARGIN, MARGIN)
) -> Totals:
    """Totals of the homes in `near`, from the slots of its pixels.

    `corner` (y, x) is where in the channels and in the grey of `pixels` these begin.
    """
    step, scaling = reader.settings.step, reader.scaling
    rows = plane_table(planes(scaling.num_channels, rgb=scaling.rgb))
    work, grey, slots = pixels.work, pixels.grey, pixels.slots

    def zeros(dtype: type, *columns: int) -> Any:
        return full((*near.shape, *columns), dtype, 0, like=slots)

    sums = zeros(np.int64, GEOMETRY + 2 * len(rows)), zeros(np.int32, NUM_BINS)
    sides = zeros(np.int32, CODES), zeros(np.int32, CODES), zeros(np.int32)
    kinds = rows, np.array(RINGS), scaling.top
    region_sums(work, grey, slots, step, *kinds, *sums, corner)
    adjacency(grey, slots, step, *sides, corner)
    return Totals(near, *sums, *sides)


def describe(reader: PixelReader, totals: Totals, write: Window) -> RegionTable:
    """The table of the homes in `write`, a part of the window of their totals."""
    scaling = reader.scaling
    assert isinstance(totals.window, Window)
    part = write.relative_to(totals.window).slices
    names, sums = feature_names(scaling.num_channels, rgb=scaling.rgb), totals.sums[part]
    table = RegionTable(
        window=write,
        cell=reader.settings.step,
        x=empty((*write.shape, len(names)), np.float32, like=sums),
        area=copied(cut(sums, np.s_[:, :, 0])),
        moment=copied(cut(sums, np.s_[:, :, 1:3])),
        contact=totals.contact[part],
        contrast=totals.contrast[part],
    )
    fill_features(reader, totals, part, table)
    return table


def fill_features(
    reader: PixelReader, totals: Totals, part: tuple[slice, ...], table: RegionTable | VolumeTable
) -> None:
    """Derive the features of a table, whose `x` is in one piece, from a part of the totals."""
    scaling, image, depth = reader.scaling, reader.image, totals.depth
    extent = (image.num_planes, image.height, image.width)[-table.area.ndim :]
    pos = table.pos()
    arrays = totals.sums, totals.histogram, totals.boundary, totals.contrast
    for some in _pieces(table.area):
        sums, histogram, boundary, contrast = (as_rows(array[part][some], 2) for array in arrays)
        derive(
            *(sums, histogram, boundary, contrast, as_rows(pos[some], 2)),
            out=as_rows(table.x[some], 2),
            step=reader.settings.step,
            top=scaling.top,
            extent=extent,
            depth=depth and replace(depth, sums=as_rows(depth.sums[part][some], 2)),
        )


def _pieces(area: Any) -> Iterator[tuple[int | slice, ...]]:
    """Rows of a lattice, as many as are worked on at once, a layer after the other.

    On a GPU those of a layer at once.
    """
    *layers, height, width = area.shape
    rows = max(1, height if is_device_array(area) else _DERIVED_AT_ONCE // max(1, width))
    for layer in np.ndindex(*layers):
        for y in range(0, height, rows):
            yield *layer, slice(y, y + rows)


def region_graph(
    image: Any,
    *,
    settings: SlicSettings | None = None,
    mask: Any = None,
    plane: int = 0,
    block: int | None = None,
    workers: int | None = None,
) -> RegionGraph:
    """The region adjacency graph of an image (of one plane of a stack).

    It lies in memory, or on the GPU where the image is.

    Parameters
    ----------
    image : array, path or ImageSource
    settings : SlicSettings, optional
        How superpixels are made.
    mask : array, path or ImageSource, optional
        Zero where pixels take no part.
    plane : int
        Plane of a stack.
    block, workers : int, optional
        Pixels on a side that are worked on at once, by default up to 4 million in all; threads.
        They never change the result.

    Examples
    --------
    >>> import numpy as np
    >>> graph = region_graph(np.zeros((32, 48), np.uint8))
    >>> graph.num_nodes, graph.num_edges
    (6, 14)
    """
    reader = make_reader(image, settings=settings or SlicSettings(), mask=mask)
    _, table = whole_table(reader, plane, block=block, workers=workers or default_workers())
    scaling = reader.scaling
    return RegionGraph.from_table(
        table,
        contrast_top=scaling.top,
        feature_names=feature_names(scaling.num_channels, rgb=scaling.rgb),
    )


def whole_table(
    reader: PixelReader, plane: int = 0, *, block: int | None = None, workers: int = 1
) -> tuple[np.ndarray, RegionTable]:
    """Slots (Y, X) and the table of a whole plane, in memory or on the GPU where the image is.

    An image on a GPU is not cut into blocks.
    """
    lattice, scaling = reader.lattice, reader.scaling
    size = block_cells(lattice, block, workers)
    if reader.image.is_on_device:
        size, workers = lattice.shape, 1
    tasks = region_blocks(lattice, reader.settings, lattice.cells, size)
    if len(tasks) == 1:
        part = compute_regions(reader, plane, tasks[0])
        return part.slots, part.table
    num_features = len(feature_names(scaling.num_channels, rgb=scaling.rgb))
    slots = np.empty((lattice.height, lattice.width), np.uint8)
    whole = RegionTable.empty(lattice.cells, lattice.step, num_features, FINE_REACH)

    def done(_block: Block, part: RegionBlock) -> None:
        slots[part.pixels.slices] = part.slots
        for name, array in whole.arrays().items():
            array[part.cells.slices] = getattr(part.table, name)

    run_tasks(lambda task: compute_regions(reader, plane, task), tasks, workers=workers, done=done)
    return slots, whole
