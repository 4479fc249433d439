"""Where a region lies in the image: its pixels, and one of them to name it by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.kernels.slots import MASKED
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.candidates import homes_of

if TYPE_CHECKING:
    from gnnseg.pipeline.windows import Grid

Place = tuple[int, int, int]
"""Plane, and row and column of the home cell."""


@dataclass(frozen=True)
class Outline:
    """A region's id, its pixel (y, x) nearest to its centroid, and its bits in a window."""

    home: int
    y: int
    x: int
    window: Window
    bits: bytes

    def mask(self) -> np.ndarray:
        """The region's pixels of the window, bool."""
        size = self.window.size
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=size)
        return flat.reshape(self.window.shape).astype(np.bool_)


def outlines(
    slots: Any, grid: Grid, places: Iterable[Place], *, keep: bool
) -> dict[Place, Outline]:
    """The outlines of regions that have pixels, from slots (Z, Y, X); unless `keep` without bits.

    Each chunk of the slots is read once.
    """
    lattice, found = grid.lattice, {}
    in_chunks = sorted(places, key=lambda p: (p[0], p[1] // grid.chunk, p[2] // grid.chunk, p))
    groups = groupby(in_chunks, key=lambda p: (p[0], p[1] // grid.chunk, p[2] // grid.chunk))
    for (plane, row, column), those in groups:
        chunk = Window(row, row + 1, column, column + 1).scale(grid.chunk)
        pixels = lattice.pixels(chunk.grow(PAINT_HALO).clip(lattice.cells))
        part = slots[(plane, *pixels.slices)]
        for place in those:
            found[place] = _outline(part, pixels, lattice, place, keep=keep)
    return found


def _outline(
    slots: np.ndarray, window: Window, lattice: Lattice, place: Place, *, keep: bool
) -> Outline:
    """The outline of one region, from the slots of a window around it."""
    _, row, column = place
    cells = Window(row, row + 1, column, column + 1).grow(PAINT_HALO).clip(lattice.cells)
    pixels = lattice.pixels(cells)
    part = slots[pixels.relative_to(window).slices]
    y, x = np.ogrid[pixels.slices]
    home_y, home_x = homes_of(part, y, x, lattice.step)
    ys, xs = np.nonzero((home_y == row) & (home_x == column) & (part != MASKED))
    middle = int(((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2).argmin())
    ys, xs = ys + pixels.y0, xs + pixels.x0
    box = Window(int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1)
    mask = np.zeros(box.shape, np.bool_)
    mask[ys - box.y0, xs - box.x0] = True
    return Outline(
        home=row * lattice.shape[1] + column,
        y=int(ys[middle]),
        x=int(xs[middle]),
        window=box,
        bits=np.packbits(mask).tobytes() if keep else b"",
    )
