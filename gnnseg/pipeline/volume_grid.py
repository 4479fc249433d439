"""The chunks and blocks of a volume, and the memory that its blocks take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from gnnseg.features import NUM_BINS, feature_names, planes
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io.slabs import slab_bytes
from gnnseg.kernels.adjacency_volume import CODES, LAYERS
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.plan import CHANNEL_BYTES, SCRATCH_BYTES, native_bytes, sampled_pixels
from gnnseg.pipeline.tiling import BoxTiling
from gnnseg.superpixels.reader import MARGIN

if TYPE_CHECKING:
    from gnnseg.superpixels import VolumeReader

_SIDES = 32, 16, 8
"""Cells on a side of a chunk: the first whose voxels are at most `_CHUNK_VOXELS`, or the last."""
_CHUNK_VOXELS = 1 << 21
_TABLE_SIDE = 16
"""Cells on a side of a chunk of tables at most, which take 1200 bytes a cell."""
_MOST_CELLS = 128
"""On a side of a block: beyond, the halo saves little more."""
_CODED_AT_ONCE = 10
"""Chunks that zarr works on at once (its `async.concurrency`)."""


@dataclass(frozen=True)
class VolumeGrid:
    """Chunks of a volume's lattice: as many cells along each axis, so that halos cost least.

    >>> import numpy as np
    >>> from gnnseg.superpixels.volume import read_volume
    >>> from gnnseg.io import open_image
    >>> stack = open_image(np.zeros((90, 200, 200), np.uint8), axes="ZYX")
    >>> VolumeGrid(read_volume(stack, 8, None, (1, 1, 1), None)).chunk_voxels
    (128, 128, 128)
    """

    volume: VolumeReader

    @property
    def chunk(self) -> int:
        """Cells on a side of a chunk of slots."""
        most = _CHUNK_VOXELS // prod(self.volume.lattice.steps)
        return next((side for side in _SIDES if side**3 <= most), _SIDES[-1])

    @property
    def table_chunk(self) -> int:
        """Cells on a side of a chunk of tables, which chunks of slots hold whole."""
        return min(self.chunk, _TABLE_SIDE)

    @property
    def most(self) -> int:
        """Chunks on a side of a block at most."""
        return _MOST_CELLS // self.chunk

    @property
    def chunk_voxels(self) -> tuple[int, int, int]:
        step_z, step, _ = self.volume.lattice.steps
        return self.chunk * step_z, self.chunk * step, self.chunk * step

    @property
    def slot_halo(self) -> tuple[int, int]:
        return self.volume.lattice.slot_halo(self.volume.planes.settings)

    def slot_tiling(self, chunks: int) -> BoxTiling:
        """Blocks whose slots are computed."""
        return BoxTiling(self.volume.lattice, chunks * self.chunk, self.slot_halo)

    def count_tiling(self, chunks: int) -> BoxTiling:
        """Blocks that read all voxels of their regions."""
        return BoxTiling(self.volume.lattice, chunks * self.chunk, (PAINT_HALO, PAINT_HALO))

    def sum_tiling(self, chunks: int) -> BoxTiling:
        """Blocks of so many chunks of tables, whose regions are summed."""
        return BoxTiling(self.volume.lattice, chunks * self.table_chunk, (SUM_HALO, SUM_HALO))

    def kept(self, chunks: int) -> float:
        """Share of the voxels read for slots that a block keeps."""
        side = chunks * self.chunk
        return self._cells(side) / self._cells(side, self.slot_halo)

    def _cells(self, side: int, halo: tuple[int, int] = (0, 0)) -> int:
        """Cells of a block of `side` cells and a halo, cut at the lattice."""
        margins = halo[0], halo[1], halo[1]
        sizes = zip(self.volume.lattice.shape, margins, strict=True)
        return prod(min(cells, side + 2 * margin) for cells, margin in sizes)

    def _plane_pixels(self, side: int, halo: int) -> int:
        """Pixels of a plane of a block, with the margin of its channels."""
        sides = (
            min(size, (side + 2 * halo) * self.volume.lattice.step) + 2 * MARGIN
            for size in self.volume.lattice.plane.bounds.shape
        )
        return prod(sides)

    def slot_bytes(self, chunks: int) -> int:
        """Peak of one block of chunks on its way to slots: while it is clustered, or connected."""
        side = chunks * self.chunk
        settings, lattice = self.volume.planes.settings, self.volume.lattice
        channels, voxels = self.volume.planes.scaling.num_channels, prod(lattice.steps)
        along_z, across = self.slot_halo
        near = along_z - settings.slic_halo, across - settings.slic_halo
        read, inner, write = (self._cells(side, halo) for halo in (self.slot_halo, near, (0, 0)))
        sample = lattice.step_z * sampled_pixels(settings) * (2 * channels + 1)
        centres = 20 * channels + 120
        index = 4 if inner * voxels < 1 << 31 else 8
        # What the rounds look at, centres and their sums, and which voxels take part.
        clustered = read * (voxels + sample + centres)
        # Slots with trees, or with a list of orphans and what they join: at most all voxels.
        connected = inner * voxels * (2 + index) + write * voxels
        # Of what the clustering frees, the allocator finds no use for about a half.
        moments = clustered + inner * voxels, connected + clustered // 2
        coded = min(chunks**3, _CODED_AT_ONCE)
        return int(max(moments) + self._passing_bytes(side, across, coded))

    def sum_bytes(self, chunks: int) -> int:
        """Peak of one block of chunks of tables while its regions are summed and described."""
        side = chunks * self.table_chunk
        scaling, voxels = self.volume.planes.scaling, prod(self.volume.lattice.steps)
        channels = scaling.num_channels
        num_planes = len(planes(channels, rgb=scaling.rgb))
        near, write = self._cells(side, (SUM_HALO, SUM_HALO)), self._cells(side)
        layers = min(self.volume.lattice.shape[0], side + 2 * SUM_HALO)
        tables = 8 * (GEOMETRY + 2 * num_planes + 4) + 4 * NUM_BINS + 8 * CODES + 4
        features = 4 * len(feature_names(channels, rgb=scaling.rgb, volume=True))
        described = (
            write * (features + 200) + min(write, _CODED_AT_ONCE * self.table_chunk**3) * 8 * CODES
        )
        summed = near * (layers + LAYERS - 1) // layers * tables
        return int(
            near * voxels + summed + described + self._passing_bytes(side, SUM_HALO, _CODED_AT_ONCE)
        )

    def _passing_bytes(self, side: int, halo: int, coded: int) -> int:
        """What planes take while they are read, and chunks of slots, `coded` at once."""
        channels = self.volume.planes.scaling.num_channels
        smoothed = 4 * channels if self.volume.planes.settings.sigma > 0 else 0
        plane = native_bytes(self.volume.planes) + 6 * channels + smoothed + 20
        pixels = self._plane_pixels(side, halo)
        sources = self.volume.planes.image, self.volume.planes.mask
        slabs = sum(slab_bytes(source, pixels) for source in sources if source is not None)
        chunks = coded * prod(self.chunk_voxels)
        return SCRATCH_BYTES + channels * CHANNEL_BYTES + 2 * pixels * plane + slabs + chunks
