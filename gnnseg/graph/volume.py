"""The region graph of a volume: supervoxels, their tables and the edges between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnnseg.execution import default_workers, run_tasks
from gnnseg.features import NUM_BINS, RINGS, Depth, feature_names, plane_table, planes
from gnnseg.graph.region_graph import RegionGraph
from gnnseg.graph.stage import SUM_HALO, Totals, fill_features
from gnnseg.graph.table import VolumeTable
from gnnseg.kernels.adjacency_volume import (
    CODES,
    LAYERS,
    adjacency_along_z,
    adjacency_in_plane,
)
from gnnseg.kernels.arrays import contiguous, copied, copy_to, cut, empty, full
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.kernels.region_sums_volume import DEPTH, region_sums_in_plane
from gnnseg.kernels.slots import REACH
from gnnseg.superpixels import Box, BoxBlock, PixelReader, Pixels, SlicSettings, VolumeReader
from gnnseg.superpixels.reader import MARGIN
from gnnseg.superpixels.volume import box_cells, read_volume, supervoxel_map

_NEAR = 2 * REACH + 1
"""Layers of homes that the voxels of a plane may have, from `REACH` before its own on."""


def supervoxel_graph(
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
) -> RegionGraph:
    """The region adjacency graph of a volume's supervoxels; the same for any `block`.

    It lies in memory, or on the GPU where the volume is. Arguments are those of `supervoxels`, and
    nodes are numbered as its `ids()`. A graph takes some 1500 bytes a supervoxel, those of a block
    2500 while it is worked on. A face between voxels counts by its size in `contact`, in the edges
    and in the features; features of colour and texture look at pixels within their plane.

    Returns
    -------
    RegionGraph
        `edge_attr` has seven columns (`VOLUME_EDGE_NAMES`), `pos` is (z, y, x) in voxels.

    Raises
    ------
    UsageError
        `spacing` is no three positive numbers, or pixels are no squares.

    Examples
    --------
    >>> import gnnseg
    >>> volume = gnnseg.open_image(np.zeros((6, 32, 48), np.uint8), axes="ZYX")
    >>> graph = supervoxel_graph(volume, step=16, spacing=(8, 1, 1))
    >>> graph.num_nodes, graph.num_edges, graph.pos[0]
    (18, 66, array([0.5, 7.5, 7.5]))
    """
    settings = {"compactness": compactness, "n_iter": n_iter, "sigma": sigma}
    volume = read_volume(image, step, n_segments, spacing, mask, **settings)
    table = whole_volume_table(volume, block=block, workers=workers or default_workers())
    scaling = volume.planes.scaling
    return RegionGraph.from_table(
        table, contrast_top=scaling.top, feature_names=volume_features(volume)
    )


def whole_volume_table(
    volume: VolumeReader, *, block: int | tuple[int, int] | None = None, workers: int = 1
) -> VolumeTable:
    """The table of a whole volume, in memory or on the GPU where the volume is.

    A volume on a GPU is not cut into blocks.
    """
    lattice = volume.lattice
    slots = supervoxel_map(volume, block=block, workers=workers).slots
    size = box_cells(lattice, block, workers)
    if volume.planes.image.is_on_device:
        size, workers = lattice.shape, 1
    tasks = list(lattice.blocks(size, (SUM_HALO, SUM_HALO)))
    if len(tasks) == 1:
        table = sum_up_volume(volume, slots, tasks[0])
        # Copies: totals have layers more, which would stay as long as the table.
        sides = {"contact": copied(table.contact), "contrast": copied(table.contrast)}
        return replace(table, **sides)
    whole = VolumeTable.empty(lattice.cells, lattice.steps, len(volume_features(volume)))

    def done(_block: BoxBlock, part: VolumeTable) -> None:
        for name, array in whole.arrays().items():
            array[part.window.slices] = getattr(part, name)

    run_tasks(lambda task: sum_up_volume(volume, slots, task), tasks, workers=workers, done=done)
    return whole


def sum_up_volume(volume: VolumeReader, slots: Any, block: BoxBlock) -> VolumeTable:
    """The regions of one block of cells, from `slots` (Z, Y, X) uint8.

    These lie in memory, on disk, or on the GPU where the volume is. The block reads `SUM_HALO`
    cells on all sides within the volume.
    """
    near = contiguous(slots[volume.lattice.voxels(block.read).slices])
    return describe_volume(volume, add_up_volume(volume, near, block.read), block.write)


def add_up_volume(volume: VolumeReader, slots: Any, near: Box) -> Totals:
    """Totals of the homes in `near`, from the slots of its voxels."""
    reader, lattice = volume.planes, volume.lattice
    sums, step_z = _Sums.empty(reader, near, like=slots), lattice.step_z
    voxels = lattice.voxels(near)
    within, along = lattice.face_weights
    corner, grey = (MARGIN, MARGIN), np.empty(0, np.int16)
    for n in range(voxels.shape[0]):
        pixels = reader.read(voxels.window, voxels.z0 + n)
        before, grey = grey, pixels.grey
        here = sums.around(n // step_z)
        _add_plane(volume, pixels, slots[n], here, n % step_z)
        adjacency_in_plane(grey, slots[n], lattice.step, here.sides, corner, within)
        if n > 0:
            pair, sides = (before, grey), sums.around((n - 1) // step_z).sides
            two = slots[n - 1], slots[n]
            adjacency_along_z(pair, two, lattice.step, n % step_z == 0, sides, corner, along)
    inner = slice(REACH, REACH + near.shape[0])
    arrays = sums.sums, sums.histogram, *sums.sides
    depth = Depth(sums.depth[inner], step_z, within)
    return Totals(near, *(array[inner] for array in arrays), depth=depth)


@dataclass(frozen=True)
class _Sums:
    """What is added up, with layers for homes before and after the window."""

    sums: Any
    histogram: Any
    depth: Any
    sides: tuple[Any, Any, Any]

    @classmethod
    def empty(cls, reader: PixelReader, near: Box, like: Any) -> _Sums:
        num_planes = len(planes(reader.scaling.num_channels, rgb=reader.scaling.rgb))
        shape = near.shape[0] + LAYERS - 1, *near.window.shape

        def zeros(dtype: type, *columns: int) -> Any:
            return full((*shape, *columns), dtype, 0, like=like)

        return cls(
            sums=zeros(np.int64, GEOMETRY + 2 * num_planes),
            histogram=zeros(np.int32, NUM_BINS),
            depth=zeros(np.int64, DEPTH),
            sides=(zeros(np.int32, CODES), zeros(np.int32, CODES), zeros(np.int32)),
        )

    def around(self, layer: int) -> _Sums:
        """The layers of homes that the voxels of a layer of cells, and of the next, may have."""
        part = slice(layer, layer + LAYERS)
        contact, contrast, boundary = self.sides
        sides = contact[part], contrast[part], boundary[part]
        return _Sums(self.sums[part], self.histogram[part], self.depth[part], sides)


def _add_plane(volume: VolumeReader, pixels: Pixels, slots: Any, here: _Sums, z: int) -> None:
    """Add a plane, the `z`-th of its layer of cells, to the sums of the layers around it."""
    scaling, steps = volume.planes.scaling, volume.lattice.steps[:2]
    rows = plane_table(planes(scaling.num_channels, rgb=scaling.rgb))
    kinds, corner = (rows, np.array(RINGS), scaling.top), (MARGIN, MARGIN)
    tables = here.sums[:_NEAR], here.histogram[:_NEAR], here.depth[:_NEAR]
    region_sums_in_plane(pixels.work, pixels.grey, slots, steps, z, *kinds, tables, corner)


def describe_volume(volume: VolumeReader, totals: Totals, write: Box) -> VolumeTable:
    """The table of the homes in `write`, a part of the box of their totals."""
    assert isinstance(totals.window, Box)
    assert totals.depth is not None
    part = write.relative_to(totals.window).slices
    sums = totals.sums[part]
    moment = empty((*write.shape, 3), np.int64, like=sums)
    copy_to(cut(totals.depth.sums[part], np.s_[:, :, :, :1]), cut(moment, np.s_[:, :, :, :1]))
    copy_to(cut(sums, np.s_[:, :, :, 1:3]), cut(moment, np.s_[:, :, :, 1:]))
    table = VolumeTable(
        window=write,
        cell=volume.lattice.steps,
        x=empty((*write.shape, len(volume_features(volume))), np.float32, like=sums),
        area=copied(cut(sums, np.s_[:, :, :, 0])),
        moment=moment,
        contact=totals.contact[part],
        contrast=totals.contrast[part],
    )
    fill_features(volume.planes, totals, part, table)
    return table


def volume_features(volume: VolumeReader) -> tuple[str, ...]:
    """Names of the features of a volume's regions."""
    scaling = volume.planes.scaling
    return feature_names(scaling.num_channels, rgb=scaling.rgb, volume=True)
