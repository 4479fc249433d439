"""Which part of each lattice level a result depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gnnseg.blocks import Lattice, Window, chunk_cells
from gnnseg.models.group import STEM
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.tiling import Tiling

if TYPE_CHECKING:
    from gnnseg.models.group import NodeClassifier

MIN_COARSE_CELLS = 32
"""Smaller chunks of coarse levels would only make more files."""


@dataclass(frozen=True)
class Grid:
    """The levels of a lattice and the chunks of what is stored on them."""

    lattice: Lattice

    @property
    def chunk(self) -> int:
        """Cells on a side of a chunk of the finest level."""
        return chunk_cells(self.lattice.step)

    def chunk_at(self, level: int) -> int:
        """Cells on a side of a chunk of a level: the same pixels, down to `MIN_COARSE_CELLS`.

        Of level 1 always the same pixels: a block of level 0 writes both.
        """
        least = 1 if level <= 1 else min(self.chunk, MIN_COARSE_CELLS)
        return max(least, self.chunk >> level)

    def cells(self, level: int) -> Window:
        """All cells of a level."""
        return self.lattice.cells.coarsen(1 << level)

    def chunks_of(self, window: Window, level: int) -> Window:
        """The whole chunks that a window touches, cut at the lattice."""
        return window.align(self.chunk_at(level)).clip(self.cells(level))

    def tiling(
        self, window: Window, level: int, *, chunks: int, halo: int = 0, planes: int = 1
    ) -> Tiling:
        """Blocks of `chunks` x `chunks` chunks that cover a window's chunks in every plane."""
        return Tiling(
            self.chunks_of(window, level),
            chunks * self.chunk_at(level),
            halo,
            self.cells(level),
            planes,
        )


@dataclass(frozen=True)
class Required:
    """What must be computed for some pixels: windows of states by name, and of tables by level."""

    states: dict[str, Window]
    tables: dict[int, Window]


def required(network: NodeClassifier, grid: Grid, pixels: Window) -> Required:
    """Walk the groups backwards from the homes around `pixels`."""
    groups = network.groups
    lattice = grid.lattice
    homes = pixels.coarsen(lattice.step).grow(PAINT_HALO).clip(lattice.cells)
    states: dict[str, Window] = {groups[-1].output: homes}
    tables: dict[int, Window] = {}
    for group in reversed(groups):
        write = grid.chunks_of(states[group.output], group.level)
        states[group.output] = write
        read = write.grow(group.halo).clip(grid.cells(group.level))
        tables[group.level] = _union(tables.get(group.level), read)
        for name, level in group.inputs:
            window = between(read, group.level, level, grid)
            states[name] = _union(states.get(name), window)
            tables[level] = _union(tables.get(level), window)
    if network.stem is not None:
        tables[0] = _union(tables[0], network.stem.window(grid.chunks_of(states[STEM], 0), lattice))
    for level in sorted(tables, reverse=True):
        tables[level] = grid.chunks_of(tables[level], level)
        if level > 0:
            finer = between(tables[level], level, level - 1, grid)
            tables[level - 1] = _union(tables.get(level - 1), finer)
    tables[0] = grid.chunks_of(_union(tables[0], homes), 0)
    return Required(states, tables)


def between(window: Window, level: int, other: int, grid: Grid) -> Window:
    """A window of one level in the cells of the same, the next finer or the next coarser level."""
    if other < level:
        return window.scale(1 << (level - other)).clip(grid.cells(other))
    return window.coarsen(1 << (other - level))


def _union(a: Window | None, b: Window) -> Window:
    if a is None:
        return b
    return Window(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))
