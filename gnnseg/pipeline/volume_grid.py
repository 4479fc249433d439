"""The chunks and blocks of a volume, and the memory that its blocks take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from gnnseg.features import NUM_BINS, feature_names, planes
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io.chunks import CODED_AT_ONCE, all_touched
from gnnseg.kernels.adjacency_volume import CODES, LAYERS
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.plan import CHANNEL_BYTES, SCRATCH_BYTES, sampled_pixels
from gnnseg.pipeline.read_cost import native_bytes
from gnnseg.pipeline.tiling import BoxTiling
from gnnseg.superpixels.groups import BlockCost, Group, Groups, best_groups, possible_groups

if TYPE_CHECKING:
    from gnnseg.superpixels import VolumeReader

_SIDES = 32, 16, 8, 4, 2, 1
"""Cells on a side of a chunk: the first whose voxels are at most `_CHUNK_VOXELS`, or the last."""
_CHUNK_VOXELS = 1 << 21
_TABLE_SIDES = 16, 8
"""Cells on a side of a chunk of tables, which take 1200 bytes a cell: as of slots, or the last."""
_MOST_CELLS = 128
"""On a side of a block: beyond, the halo saves little more."""

Cells = tuple[int, int, int]


@dataclass(frozen=True)
class VolumeGrid:
    """Chunks of a volume's lattice: as many cells along each axis, so that halos cost least.

    Where the lattice has fewer cells along an axis, so do chunks. Blocks are of whole chunks.

    >>> import numpy as np
    >>> from gnnseg.superpixels.volume import read_volume
    >>> from gnnseg.io import open_image
    >>> stack = open_image(np.zeros((90, 200, 200), np.uint8), axes="ZYX")
    >>> VolumeGrid(read_volume(stack, 8, None, (1, 1, 1), None)).chunk_voxels
    (96, 128, 128)
    """

    volume: VolumeReader

    @property
    def side(self) -> int:
        """Cells on a side of a chunk of slots, where the lattice has as many."""
        most = _CHUNK_VOXELS // prod(self.volume.lattice.steps)
        return next((side for side in _SIDES if prod(self._cut(side)) <= most), _SIDES[-1])

    @property
    def chunk(self) -> Cells:
        """Cells (z, y, x) of a chunk of slots."""
        return self._cut(self.side)

    @property
    def table_side(self) -> int:
        """Cells on a side of a chunk of tables, where the lattice has as many."""
        return next((side for side in _TABLE_SIDES if side <= self.side), _TABLE_SIDES[-1])

    @property
    def table_chunk(self) -> Cells:
        """Cells (z, y, x) of a chunk of tables."""
        return self._cut(self.table_side)

    @property
    def most(self) -> int:
        """Chunks on a side of a block at most."""
        return _MOST_CELLS // self.side

    @property
    def chunk_voxels(self) -> Cells:
        step_z, step, _ = self.volume.lattice.steps
        layers, rows, columns = self.chunk
        return layers * step_z, rows * step, columns * step

    @property
    def piece_halo(self) -> tuple[int, int]:
        return self.volume.lattice.piece_halo(self.volume.planes.settings)

    def centre_tiling(self, chunks: int, group: Group) -> BoxTiling:
        """Blocks whose centres are moved by a group of rounds."""
        halo = group.halo, group.halo
        return BoxTiling(self.volume.lattice, (chunks * self.side,) * 3, halo)

    def slot_tiling(self, chunks: int) -> BoxTiling:
        """Blocks whose slots are computed, from the centres after all rounds."""
        return BoxTiling(self.volume.lattice, (chunks * self.side,) * 3, self.piece_halo)

    def count_tiling(self, chunks: int) -> BoxTiling:
        """Blocks that read all voxels of their regions."""
        halo = PAINT_HALO, PAINT_HALO
        return BoxTiling(self.volume.lattice, (chunks * self.side,) * 3, halo)

    def sum_tiling(self, chunks: int) -> BoxTiling:
        """Blocks of so many chunks of tables, whose regions are summed."""
        halo = SUM_HALO, SUM_HALO
        return BoxTiling(self.volume.lattice, (chunks * self.table_side,) * 3, halo)

    def groups(self, chunks: int, share: int | None = None) -> Groups:
        """The groups of rounds that cost blocks of so many chunks least, within `share` bytes."""
        return best_groups(
            self.volume.planes.settings.n_iter,
            self._cost(chunks).group,
            lambda group: share is None or self.centre_bytes(chunks, group) <= share,
        )

    def share(self, chunks: int, threads: int) -> float:
        """The share of the blocks that the busiest of some threads takes, all being alike."""
        number = self.slot_tiling(chunks).count
        return -(-number // threads) / number

    def voxel_cost(self, chunks: int) -> float:
        """What a voxel that a block writes costs, in all passes with their halos."""
        cost = self._cost(chunks)
        total = cost.slots(self.piece_halo) + sum(map(cost.group, self.groups(chunks)))
        return total / self._voxels(chunks * self.side)

    def _cost(self, chunks: int) -> BlockCost:
        side = chunks * self.side
        return BlockCost(self.volume.planes.image, self.volume.lattice, (side, side, side))

    def _cut(self, side: int, halo: tuple[int, int] = (0, 0)) -> Cells:
        """Cells (z, y, x) of a block of `side` cells and a halo, cut at the lattice."""
        layers, rows, columns = self.volume.lattice.shape
        deep, wide = side + 2 * halo[0], side + 2 * halo[1]
        return min(layers, deep), min(rows, wide), min(columns, wide)

    def _voxels(self, side: int, halo: tuple[int, int] = (0, 0)) -> int:
        """Voxels of such a block, cut at the volume."""
        return prod(self.volume.lattice.largest((side, side, side), halo))

    def _sides(self, side: int, halo: int, margin: int) -> tuple[int, int]:
        """Pixels (y, x) of a plane of a block that are read, with a margin."""
        height, width = self.volume.lattice.plane.bounds.shape
        wide = (side + 2 * halo) * self.volume.lattice.step + 2 * margin
        return min(height, wide), min(width, wide)

    def least_bytes(self, chunks: int) -> int:
        """Peak of one block on its way to slots, in the groups of rounds that need least."""
        need = (
            max(self.centre_bytes(chunks, group) for group in groups)
            for groups in possible_groups(self.volume.planes.settings.n_iter)
        )
        return max(self.slot_bytes(chunks), min(need))

    def centre_bytes(self, chunks: int, group: Group) -> int:
        """Peak of one block of chunks while a group of rounds moves its centres."""
        side, halo = chunks * self.side, (group.halo, group.halo)
        next_to = (group.halo + (group.before is not None),) * 2
        settings, lattice = self.volume.planes.settings, self.volume.lattice
        channels, width = self.volume.planes.scaling.num_channels, self.volume.centre_shape[-1]
        # What rounds look at; centres, their sums, and those that are read or written.
        sample = sampled_pixels(settings) / lattice.step**2 * (2 * channels + 1)
        looked = self._voxels(side, next_to) * sample if group.rounds > 0 else 0
        centres = prod(self._cut(side, next_to)) * (20 * channels + 120 + 2 * width)
        # Which voxels of a layer of cells take part, when these start.
        layer = prod(self._sides(side, halo[1], 0)) * lattice.step_z
        chunk = prod(self.chunk) * 2 * width
        coded = self._coded_bytes(self._touched(side, next_to), chunk)
        return int(looked + centres + layer + self._passing_bytes(side, halo[1]) + coded)

    def slot_bytes(self, chunks: int) -> int:
        """Peak of one block of chunks on its way to slots: while voxels join, or are connected."""
        side, (along_z, across) = chunks * self.side, self.piece_halo
        channels, width = self.volume.planes.scaling.num_channels, self.volume.centre_shape[-1]
        inner, write = self._voxels(side, self.piece_halo), self._voxels(side)
        next_to = along_z + 1, across + 1
        centres = prod(self._cut(side, next_to)) * (4 * channels + 20 + 2 * width)
        index = 4 if inner < 1 << 31 else 8
        # Slots with trees, or with a list of orphans and what they join: at most all voxels.
        moments = inner + centres, inner * (2 + index) + write
        sizes = zip(self.volume.lattice.shape, self.chunk, strict=True)
        written = prod(min(chunks, -(-cells // n)) for cells, n in sizes)
        coded = (
            self._coded_bytes(self._touched(side, next_to), prod(self.chunk) * 2 * width),
            self._coded_bytes(written, prod(self.chunk_voxels)),
        )
        return int(max(moments) + self._passing_bytes(side, across) + max(coded))

    def count_bytes(self, chunks: int) -> int:
        """Peak of one block of chunks while its regions are counted."""
        side, halo = chunks * self.side, (PAINT_HALO, PAINT_HALO)
        # Slots as they are read, in one piece, and a mark for each region.
        return 2 * self._voxels(side, halo) + prod(self._cut(side)) + self._read_bytes(side, halo)

    def sum_bytes(self, chunks: int) -> int:
        """Peak of one block of chunks of tables while its regions are summed and described."""
        side, halo = chunks * self.table_side, (SUM_HALO, SUM_HALO)
        scaling = self.volume.planes.scaling
        channels = scaling.num_channels
        num_planes = len(planes(channels, rgb=scaling.rgb))
        near, write = prod(self._cut(side, halo)), prod(self._cut(side))
        layers, _, _ = self._cut(side, halo)
        tables = 8 * (GEOMETRY + 2 * num_planes + 4) + 4 * NUM_BINS + 8 * CODES + 4
        features = 4 * len(feature_names(channels, rgb=scaling.rgb, volume=True))
        coded = min(write, CODED_AT_ONCE * prod(self.table_chunk)) * 8 * CODES
        described = write * (features + 200) + coded
        summed = near * (layers + LAYERS - 1) // layers * tables
        passing = self._passing_bytes(side, SUM_HALO) + self._read_bytes(side, halo)
        return int(self._voxels(side, halo) + summed + described + passing)

    def _passing_bytes(self, side: int, halo: int) -> int:
        """What planes take while they are read."""
        reader = self.volume.planes
        channels, sigma = reader.scaling.num_channels, reader.settings.sigma
        smoothed = 4 * channels if sigma > 0 else 0
        plane = native_bytes(reader) + 6 * channels + smoothed + 20
        margin = reader.margin
        read = self._sides(side, halo, margin)
        pixels = (read[0] + 2 * margin) * (read[1] + 2 * margin)
        sources = reader.image, reader.mask
        decoding = sum(source.read_bytes(read) for source in sources if source is not None)
        return SCRATCH_BYTES + channels * CHANNEL_BYTES + 2 * pixels * plane + decoding

    def _read_bytes(self, side: int, halo: tuple[int, int]) -> int:
        """What chunks of slots take while those of a block are read."""
        return self._coded_bytes(self._touched(side, halo), prod(self.chunk_voxels))

    def _touched(self, side: int, halo: tuple[int, int]) -> int:
        """How many chunks a block with a halo touches at most."""
        return all_touched(self.volume.lattice.shape, self.chunk, self._cut(side, halo))

    def _coded_bytes(self, number: int, size: int) -> int:
        """What so many chunks of a size take while they are coded, some at once."""
        return min(number, CODED_AT_ONCE) * size
