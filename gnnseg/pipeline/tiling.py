"""The blocks of a phase, by number: made when they are needed, held by nobody."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeVar

from gnnseg.blocks import Block, Window, blocks
from gnnseg.superpixels import BoxBlock, VolumeLattice


class Numbered(Protocol):
    """A unit of work, and its number within the phase."""

    @property
    def index(self) -> int: ...


Unit = TypeVar("Unit", bound=Numbered)
_Unit_co = TypeVar("_Unit_co", bound=Numbered, covariant=True)


class Tiles(Protocol[_Unit_co]):
    """The blocks of a phase, whatever they are."""

    @property
    def count(self) -> int:
        """How many blocks there are."""

    @property
    def key(self) -> list[int]:
        """What the numbers of the blocks depend on; their size comes last."""

    def tasks(self, done: Container[int] = ()) -> Iterator[_Unit_co]:
        """The blocks whose numbers are not in `done`, one after the other."""


@dataclass(frozen=True)
class Task:
    """A block of one plane, and its number within the phase."""

    index: int
    plane: int
    block: Block


@dataclass(frozen=True)
class Tiling:
    """Blocks of `size` that tile `bounds` in every plane, numbered plane by plane in raster order.

    >>> tiling = Tiling(Window(0, 100, 0, 70), size=32, planes=2)
    >>> tiling.count, next(tiling.tasks(done=range(5))).block.write
    (24, Window(y0=32, y1=64, x0=64, x1=70))
    """

    bounds: Window
    size: int
    halo: int = 0
    limits: Window | None = None
    planes: int = 1

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return self.bounds.coarsen(self.size).size * self.planes if self.bounds.size else 0

    @property
    def key(self) -> list[int]:
        """What the numbers of the blocks depend on."""
        area = self.bounds
        return [self.planes, area.y0, area.y1, area.x0, area.x1, self.size]

    def tasks(self, done: Container[int] = ()) -> Iterator[Task]:
        """The blocks whose numbers are not in `done`, one after the other."""
        index = 0
        for plane in range(self.planes):
            for block in blocks(self.bounds, self.size, self.halo, self.limits):
                if index not in done:
                    yield Task(index, plane, block)
                index += 1

    def read_size(self) -> int:
        """How much all blocks read together, halos included."""
        limits = self.limits or self.bounds
        rows, cols = (
            Window(self.bounds.y0, self.bounds.y1, 0, 1),
            Window(0, 1, self.bounds.x0, self.bounds.x1),
        )
        heights = (w.grow(self.halo).clip(limits).shape[0] for w in rows.split(self.size))
        widths = (w.grow(self.halo).clip(limits).shape[1] for w in cols.split(self.size))
        return sum(heights) * sum(widths) * self.planes


def chunk_tiling(shape: tuple[int, ...], chunk: int, *, planes: int = 1) -> Tiling:
    """A block for each chunk of an array (..., Y, X)."""
    height, width = shape[-2:]
    return Tiling(Window(0, height, 0, width), chunk, planes=planes)


@dataclass(frozen=True)
class BoxTask:
    """A block of a volume, and its number within the phase."""

    index: int
    block: BoxBlock


@dataclass(frozen=True)
class BoxTiling:
    """Blocks of `size` cells (z, y, x) that tile a volume, numbered in raster order.

    `halo` is what they read around them, in cells along z, and along y and x.

    >>> from gnnseg.blocks import Lattice
    >>> tiling = BoxTiling(VolumeLattice(10, 2, Lattice(100, 70, 16)), size=(4, 4, 4), halo=(1, 1))
    >>> tiling.count, next(tiling.tasks(done=range(7))).block.write.slices
    (8, (slice(4, 5, None), slice(4, 7, None), slice(4, 5, None)))
    """

    lattice: VolumeLattice
    size: tuple[int, int, int]
    halo: tuple[int, int]

    @property
    def count(self) -> int:
        return prod(-(-n // side) for n, side in zip(self.lattice.shape, self.size, strict=True))

    @property
    def key(self) -> list[int]:
        return [*self.lattice.shape, max(self.size)]

    def tasks(self, done: Container[int] = ()) -> Iterator[BoxTask]:
        """The blocks whose numbers are not in `done`, one after the other."""
        for index, block in enumerate(self.lattice.blocks(self.size, self.halo)):
            if index not in done:
                yield BoxTask(index, block)
