"""The region graph of a volume: supervoxels, their tables and the edges between them."""

from __future__ import annotations

from dataclasses import dataclass
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
from gnnseg.kernels.region_sums import GEOMETRY, region_sums
from gnnseg.kernels.slots import LAYER, MASKED
from gnnseg.superpixels import Box, BoxBlock, PixelReader, Pixels, SlicSettings, VolumeReader
from gnnseg.superpixels.reader import MARGIN
from gnnseg.superpixels.volume import box_cells, read_volume, supervoxel_map

_BEFORE = 2
"""The first layer of homes that a plane's voxels may have lies so many before its own."""


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
    """The region adjacency graph of a volume's supervoxels, in memory; the same for any `block`.

    Arguments are those of `supervoxels`, and nodes are numbered as its `ids()`. A graph takes some
    1500 bytes a supervoxel, those of a block 2500 while it is worked on. A face between
    voxels counts by its size in `contact`, in the edges and in the features; features of colour
    and texture look at pixels within their plane.

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
    """The table of a whole volume, in memory."""
    lattice = volume.lattice
    slots = supervoxel_map(volume, block=block, workers=workers).slots
    whole = VolumeTable.empty(lattice.cells, lattice.steps, len(volume_features(volume)))

    def done(_block: BoxBlock, part: VolumeTable) -> None:
        for name, array in whole.arrays().items():
            array[part.window.slices] = getattr(part, name)

    tasks = lattice.blocks(box_cells(lattice, block, workers), (SUM_HALO, SUM_HALO))
    run_tasks(lambda task: sum_up_volume(volume, slots, task), tasks, workers=workers, done=done)
    return whole


def sum_up_volume(volume: VolumeReader, slots: Any, block: BoxBlock) -> VolumeTable:
    """The regions of one block of cells, from `slots` (Z, Y, X) uint8 in memory or on disk.

    The block reads `SUM_HALO` cells on all sides within the volume.
    """
    near = np.ascontiguousarray(slots[volume.lattice.voxels(block.read).slices])
    return describe_volume(volume, add_up_volume(volume, near, block.read), block.write)


def add_up_volume(volume: VolumeReader, slots: np.ndarray, near: Box) -> Totals:
    """Totals of the homes in `near`, from the slots of its voxels."""
    reader, lattice = volume.planes, volume.lattice
    sums, step_z = _Sums.empty(reader, near), lattice.step_z
    voxels = lattice.voxels(near)
    within, along = lattice.face_weights
    corner, grey = (MARGIN, MARGIN), np.empty(0, np.int16)
    for n in range(len(slots)):
        pixels = reader.read(voxels.window, voxels.z0 + n)
        before, grey = grey, pixels.grey
        here = sums.around(n // step_z)
        _add_plane(volume, pixels, slots[n], here, n % step_z)
        adjacency_in_plane(grey, slots[n], lattice.step, here.sides, corner, within)
        if n > 0:
            pair, sides = (before, grey), sums.around((n - 1) // step_z).sides
            two = slots[n - 1], slots[n]
            adjacency_along_z(pair, two, lattice.step, n % step_z == 0, sides, corner, along)
    inner = slice(_BEFORE, _BEFORE + near.shape[0])
    arrays = sums.sums, sums.histogram, *sums.sides
    depth = Depth(sums.depth[inner], step_z, within)
    return Totals(near, *(array[inner] for array in arrays), depth=depth)


@dataclass(frozen=True)
class _Sums:
    """What is added up, with layers for homes before and after the window."""

    sums: np.ndarray
    histogram: np.ndarray
    depth: np.ndarray
    sides: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def empty(cls, reader: PixelReader, near: Box) -> _Sums:
        num_planes = len(planes(reader.scaling.num_channels, rgb=reader.scaling.rgb))
        shape = near.shape[0] + LAYERS - 1, *near.window.shape
        return cls(
            sums=np.zeros((*shape, GEOMETRY + 2 * num_planes), np.int64),
            histogram=np.zeros((*shape, NUM_BINS), np.int32),
            depth=np.zeros((*shape, 4), np.int64),
            sides=(
                np.zeros((*shape, CODES), np.int32),
                np.zeros((*shape, CODES), np.int32),
                np.zeros(shape, np.int32),
            ),
        )

    def around(self, layer: int) -> _Sums:
        """The layers of homes that the voxels of a layer of cells, and of the next, may have."""
        part = slice(layer, layer + LAYERS)
        contact, contrast, boundary = self.sides
        sides = contact[part], contrast[part], boundary[part]
        return _Sums(self.sums[part], self.histogram[part], self.depth[part], sides)


def _add_plane(
    volume: VolumeReader, pixels: Pixels, slots: np.ndarray, here: _Sums, z: int
) -> None:
    """Add a plane, the `z`-th of its layer of cells, to the sums of the layers around it.

    Of each layer of homes, the plane's voxels are a plane in which all others are masked.
    """
    scaling, lattice = volume.planes.scaling, volume.lattice
    rows = plane_table(planes(scaling.num_channels, rgb=scaling.rgb))
    kinds, corner = (rows, np.array(RINGS), scaling.top), (MARGIN, MARGIN)
    of_layer = slots // LAYER
    for layer in np.flatnonzero(np.bincount(of_layer.ravel(), minlength=MASKED)[:5]):
        part = np.where(of_layer == layer, slots % LAYER, np.uint8(MASKED))
        sums, depth = here.sums[layer], here.depth[layer]
        before = sums[..., :3].copy()
        tables = sums, here.histogram[layer]
        region_sums(pixels.work, pixels.grey, part, lattice.step, *kinds, *tables, corner)
        count, y, x = np.moveaxis(sums[..., :3] - before, -1, 0)
        away = z - (layer - _BEFORE) * lattice.step_z
        for column, gain in enumerate((count * away, count * away * away, y * away, x * away)):
            depth[..., column] += gain


def describe_volume(volume: VolumeReader, totals: Totals, write: Box) -> VolumeTable:
    """The table of the homes in `write`, a part of the box of their totals."""
    assert isinstance(totals.window, Box)
    assert totals.depth is not None
    part = write.relative_to(totals.window).slices
    sums = totals.sums[part]
    table = VolumeTable(
        window=write,
        cell=volume.lattice.steps,
        x=np.empty((*write.shape, len(volume_features(volume))), np.float32),
        area=sums[..., 0].copy(),
        moment=np.concatenate([totals.depth.sums[part][..., :1], sums[..., 1:3]], axis=-1),
        contact=totals.contact[part],
        contrast=totals.contrast[part],
    )
    fill_features(volume.planes, totals, part, table)
    return table


def volume_features(volume: VolumeReader) -> tuple[str, ...]:
    """Names of the features of a volume's regions."""
    scaling = volume.planes.scaling
    return feature_names(scaling.num_channels, rgb=scaling.rgb, volume=True)
