"""The blocks of a phase, by number: made when they are needed, held by nobody."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from itertools import product
from math import prod
from typing import Protocol, TypeVar

from gnnseg.blocks import Block, Window, blocks
from gnnseg.superpixels import BoxBlock, VolumeLattice

MANY = 64
"""Blocks a thread from which on it hardly matters who takes the last ones."""


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

    def busiest(self, threads: int) -> float:
        """How much the busiest of some threads reads, halos included; about, of many blocks."""


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

    def busiest(self, threads: int) -> float:
        """How much the busiest of some threads reads, halos included; about, of many blocks.

        >>> tiling = Tiling(Window(0, 100, 0, 70), size=64)
        >>> [tiling.busiest(threads) for threads in (1, 2, 4)]
        [7000, 4096, 4096]
        """
        return _most_read(self._reads, threads)

    @property
    def _reads(self) -> tuple[list[int], list[int], list[int]]:
        """How far blocks read along each axis: planes, rows, columns."""
        area, limits = self.bounds, self.limits or self.bounds
        return (
            [1] * self.planes,
            _reads_along((area.y0, area.y1), self.size, self.halo, (limits.y0, limits.y1)),
            _reads_along((area.x0, area.x1), self.size, self.halo, (limits.x0, limits.x1)),
        )


def _reads_along(span: tuple[int, int], size: int, halo: int, limits: tuple[int, int]) -> list[int]:
    """How far the blocks that tile a span of an axis read along it."""
    (start, stop), (low, high) = span, limits
    firsts = range(start // size * size, stop, size)
    return [
        min(high, min(stop, first + size) + halo) - max(low, max(start, first) - halo)
        for first in firsts
    ]


def _most_read(reads: Sequence[Sequence[int]], threads: int) -> float:
    """The most that one of some threads reads, each of which takes the next block when it is free.

    Blocks read as far along each axis as `reads` says; an even share where there are many.
    """
    if prod(map(len, reads)) > MANY * threads:
        return prod(map(sum, reads)) / threads
    loads = [0] * threads
    for sides in product(*reads):
        heapreplace(loads, loads[0] + prod(sides))
    return max(loads)


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

    def busiest(self, threads: int) -> float:
        """How many cells the busiest of some threads reads, halos included."""
        halos = self.halo[0], self.halo[1], self.halo[1]
        axes = zip(self.lattice.shape, self.size, halos, strict=True)
        reads = [_reads_along((0, n), size, halo, (0, n)) for n, size, halo in axes]
        return _most_read(reads, threads)

    def tasks(self, done: Container[int] = ()) -> Iterator[BoxTask]:
        """The blocks whose numbers are not in `done`, one after the other."""
        for index, block in enumerate(self.lattice.blocks(self.size, self.halo)):
            if index not in done:
                yield BoxTask(index, block)
