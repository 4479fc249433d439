"""Boxes of a volume, its lattice, and the blocks that it is worked on in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gnnseg.blocks import Lattice, Window
from gnnseg.kernels.connectivity_volume import planes_seen
from gnnseg.kernels.slic_volume import Sides
from gnnseg.superpixels.settings import SlicSettings

_FINEST = 8
"""Faces of the smaller kind count at most so much, those of the larger as much as a cell has pixels
on a side: what regions share then fits int32, and contrasts stop at its end."""


@dataclass(frozen=True)
class Box:
    """Layers `z0` to `z1` (excluded) of a window, in cells; or planes of it, in voxels."""

    z0: int
    z1: int
    window: Window

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.z1 - self.z0, *self.window.shape

    @property
    def size(self) -> int:
        return (self.z1 - self.z0) * self.window.size

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        return slice(self.z0, self.z1), *self.window.slices

    @property
    def corner(self) -> tuple[int, int, int]:
        """Where the box begins, (z, y, x)."""
        return self.z0, self.window.y0, self.window.x0

    def grow(self, halo: tuple[int, int]) -> Box:
        """The same with a margin along z, and one along y and x."""
        return Box(self.z0 - halo[0], self.z1 + halo[0], self.window.grow(halo[1]))

    def clip(self, bounds: Box) -> Box:
        """The part of this box that lies inside `bounds`, which it touches."""
        z0, z1 = max(self.z0, bounds.z0), min(self.z1, bounds.z1)
        return Box(z0, z1, self.window.clip(bounds.window))

    def coarsen(self, layers: int) -> Box:
        """The smallest box of cells of 2 x 2 in `layers` layers that covers this one."""
        return Box(self.z0 // layers, -(-self.z1 // layers), self.window.coarsen(2))

    def align(self, layers: int) -> Box:
        """The smallest box of whole such cells that covers this one."""
        box = self.coarsen(layers)
        return Box(box.z0 * layers, box.z1 * layers, box.window.scale(2))

    def relative_to(self, outer: Box) -> Box:
        """The same box in the coordinates of `outer`'s first corner."""
        window = self.window.relative_to(outer.window)
        return Box(self.z0 - outer.z0, self.z1 - outer.z0, window)

    def open_sides(self, bounds: Box) -> Sides:
        """Whether `bounds` go on before and after this box, along z, y and x."""
        (z, y, x), (whole_z, whole_y, whole_x) = self.slices, bounds.slices
        return _goes_on(z, whole_z), _goes_on(y, whole_y), _goes_on(x, whole_x)


def _goes_on(part: slice, whole: slice) -> tuple[bool, bool]:
    return part.start > whole.start, part.stop < whole.stop


@dataclass(frozen=True)
class BoxBlock:
    """One unit of work: write `write`, from what lies in `read`."""

    write: Box
    read: Box


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
    def steps(self) -> tuple[int, int, int]:
        """Size of a cell along z, y and x."""
        return self.step_z, self.step, self.step

    @property
    def shape(self) -> tuple[int, int, int]:
        return -(-self.depth // self.step_z), *self.plane.shape

    @property
    def num_cells(self) -> int:
        return self.shape[0] * self.plane.num_cells

    @property
    def cells(self) -> Box:
        """All cells, in cells."""
        return Box(0, self.shape[0], self.plane.cells)

    @property
    def face_weights(self) -> tuple[int, int]:
        """What a face between voxels counts, within a plane and along z: their sizes, in whole.

        With them, all six faces of a cell count the same, as those of a cube do.

        >>> VolumeLattice(10, 2, Lattice(100, 70, 16)).face_weights
        (8, 1)
        """
        low, high = sorted((self.step_z, self.step))
        ratio = Fraction(high, low).limit_denominator(_FINEST)
        weights = ratio.numerator, ratio.denominator
        return weights if self.step >= self.step_z else weights[::-1]

    def voxels(self, cells: Box) -> Box:
        """The voxels of a box of cells."""
        z1 = min(cells.z1 * self.step_z, self.depth)
        return Box(cells.z0 * self.step_z, z1, self.plane.pixels(cells.window))

    def piece_halo(self, settings: SlicSettings) -> tuple[int, int]:
        """Cells along z, and along y and x, whose voxels decide pieces and orphans."""
        planes = planes_seen(settings.orphan_rounds, (self.step_z, self.step))
        orphans = -(-planes // self.step_z), settings.orphan_halo
        return settings.piece_halo + orphans[0], settings.piece_halo + orphans[1]

    def largest(self, size: tuple[int, int, int], halo: tuple[int, int]) -> tuple[int, int, int]:
        """Shape in voxels of the largest block of `size` cells with a halo (z, yx)."""
        (depth, height, width), (z, y, x) = self.voxels(self.cells).shape, size
        deep, tall, wide = z + 2 * halo[0], y + 2 * halo[1], x + 2 * halo[1]
        return (
            min(depth, deep * self.step_z),
            min(height, tall * self.step),
            min(width, wide * self.step),
        )

    def with_next(self, cells: Box) -> Box:
        """A box of cells, and the next ones around it: its voxels may join any of them."""
        return cells.grow((1, 1)).clip(self.cells)

    def blocks(self, size: tuple[int, int, int], halo: tuple[int, int]) -> Iterator[BoxBlock]:
        """Blocks of `size` cells that tile the lattice, each reading a halo (z, yx) besides."""
        for z0 in range(0, self.shape[0], size[0]):
            z1 = min(z0 + size[0], self.shape[0])
            for window in self.plane.cells.split(size[1:]):
                write = Box(z0, z1, window)
                yield BoxBlock(write, write.grow(halo).clip(self.cells))
