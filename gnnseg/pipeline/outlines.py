"""Where a region lies in the image: its pixels, and one of them to name it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.kernels.slic import MASKED
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.candidates import homes_of


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


def outline(
    slots: Any, lattice: Lattice, plane: int, row: int, column: int, *, keep: bool = True
) -> Outline:
    """The outline of a region that has pixels, from slots (Z, Y, X); without `keep` no bits."""
    cells = Window(row, row + 1, column, column + 1).grow(PAINT_HALO).clip(lattice.cells)
    pixels = lattice.pixels(cells)
    part = np.asarray(slots[(plane, *pixels.slices)])
    y, x = np.ogrid[pixels.slices]
    home_y, home_x = homes_of(part, y, x, lattice.step)
    ys, xs = np.nonzero((home_y == row) & (home_x == column) & (part != MASKED))
    away = (ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2
    middle = int(away.argmin())
    box = Window(int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1)
    mask = np.zeros(box.shape, np.bool_)
    mask[ys - box.y0, xs - box.x0] = True
    return Outline(
        home=row * lattice.shape[1] + column,
        y=int(ys[middle]) + pixels.y0,
        x=int(xs[middle]) + pixels.x0,
        window=Window(
            box.y0 + pixels.y0, box.y1 + pixels.y0, box.x0 + pixels.x0, box.x1 + pixels.x0
        ),
        bits=np.packbits(mask).tobytes() if keep else b"",
    )
