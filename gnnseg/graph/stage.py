"""From pixels to slots and region tables, block by block, in one read of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnnseg.blocks import Block, Lattice, Window, blocks
from gnnseg.execution import default_workers, run_tasks
from gnnseg.features import derive, feature_names, plane_table, planes
from gnnseg.graph.region_graph import RegionGraph
from gnnseg.graph.table import FINE_REACH, RegionTable
from gnnseg.kernels.adjacency import adjacency
from gnnseg.kernels.region_sums import GEOMETRY, HISTOGRAM_BINS, region_sums
from gnnseg.superpixels import PixelReader, Pixels, SlicSettings, compute_slots, make_reader
from gnnseg.superpixels.reader import TEXTURE_MARGIN
from gnnseg.superpixels.stage import DEFAULT_BLOCK

SUM_HALO = 3
"""Cells around a home that hold its pixels (two) and the neighbours these touch (one more)."""


@dataclass(frozen=True)
class RegionBlock:
    """What one block yields: its slots, its regions, and how many orphans were left over."""

    cells: Window
    pixels: Window
    slots: np.ndarray
    table: RegionTable
    num_leftover: int


def region_blocks(
    lattice: Lattice, settings: SlicSettings, cells: Window, size: int
) -> list[Block]:
    """Blocks of `size` cells that tile `cells`, each with the halo of its slots and sums."""
    halo = settings.slot_halo + SUM_HALO
    return list(blocks(cells, size, halo, lattice.cells))


def compute_regions(reader: PixelReader, plane: int, block: Block) -> RegionBlock:
    """Slots and regions of one block of cells."""
    lattice = reader.lattice
    read, write = lattice.pixels(block.read), lattice.pixels(block.write)
    near = block.write.grow(SUM_HALO).clip(lattice.cells)
    pixels = reader.read(read, plane)
    made = compute_slots(pixels, block.read, lattice, reader.settings, reader.scaling)
    inner = lattice.pixels(made.cells)
    part = lattice.pixels(near).relative_to(read)
    margin = (
        slice(part.y0, part.y1 + 2 * TEXTURE_MARGIN),
        slice(part.x0, part.x1 + 2 * TEXTURE_MARGIN),
    )
    cropped = Pixels(
        np.ascontiguousarray(pixels.work[(slice(None), *part.slices)]),
        pixels.smooth,
        np.ascontiguousarray(pixels.grey[margin]),
        np.ascontiguousarray(made.slots[lattice.pixels(near).relative_to(inner).slices]),
    )
    table = summarise(reader, cropped, near, block.write)
    crop = write.relative_to(inner)
    return RegionBlock(block.write, write, made.slots[crop.slices], table, made.count_orphans(crop))


def summarise(reader: PixelReader, pixels: Pixels, near: Window, write: Window) -> RegionTable:
    """The table of the homes in `write`, from the pixels of the cells in `near` around it."""
    settings, scaling = reader.settings, reader.scaling
    step = settings.step
    rows = planes(scaling.num_channels, lab=scaling.lab)
    sums = np.zeros((*near.shape, GEOMETRY + 2 * len(rows)), np.int64)
    histogram = np.zeros((*near.shape, HISTOGRAM_BINS), np.int32)
    table = plane_table(rows)
    region_sums(pixels.work, pixels.grey, pixels.slots, step, table, scaling.top, sums, histogram)
    names = feature_names(scaling.num_channels, lab=scaling.lab)
    result = RegionTable.empty(near, step, 0, FINE_REACH)
    boundary = np.zeros(near.shape, np.int32)
    m = TEXTURE_MARGIN
    grey = np.ascontiguousarray(pixels.grey[m:-m, m:-m])
    adjacency(grey, pixels.slots, step, result.contact, result.contrast, boundary)
    result.area[:] = sums[..., 0]
    result.moment[:] = sums[..., 1:3]
    result = result.crop(write)
    part = write.relative_to(near).slices
    size = np.array([reader.image.height, reader.image.width], np.float64)
    x = derive(
        sums[part].reshape(write.size, -1),
        histogram[part].reshape(write.size, -1),
        boundary[part].reshape(-1),
        result.contrast.sum(axis=-1, dtype=np.int64).reshape(-1),
        result.pos().reshape(-1, 2) / size,
        rows=rows,
        step=step,
        unit=scaling.unit,
    )
    return replace(result, x=x.reshape(*write.shape, len(names)))


def region_graph(
    image: Any,
    *,
    settings: SlicSettings | None = None,
    mask: Any = None,
    plane: int = 0,
    block: int = DEFAULT_BLOCK,
    workers: int | None = None,
) -> RegionGraph:
    """The region adjacency graph of an image (of one plane of a stack), in memory.

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
        Pixels on a side that are worked on at once; threads. They never change the result.

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
        feature_names=feature_names(scaling.num_channels, lab=scaling.lab),
    )


def whole_table(
    reader: PixelReader, plane: int = 0, *, block: int = DEFAULT_BLOCK, workers: int = 1
) -> tuple[np.ndarray, RegionTable]:
    """Slots (Y, X) and the table of a whole plane, in memory."""
    lattice, scaling = reader.lattice, reader.scaling
    num_features = len(feature_names(scaling.num_channels, lab=scaling.lab))
    slots = np.empty((lattice.height, lattice.width), np.uint8)
    whole = RegionTable.empty(lattice.cells, lattice.step, num_features, FINE_REACH)

    def done(_block: Block, part: RegionBlock) -> None:
        slots[part.pixels.slices] = part.slots
        for name, array in whole.arrays().items():
            array[part.cells.slices] = getattr(part.table, name)

    size = max(1, block // lattice.step)
    tasks = region_blocks(lattice, reader.settings, lattice.cells, size)
    run_tasks(lambda task: compute_regions(reader, plane, task), tasks, workers=workers, done=done)
    return slots, whole
