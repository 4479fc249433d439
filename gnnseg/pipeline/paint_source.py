"""What a window of pixels is painted from: slots, logits of the regions, and refined borders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.models.group import LOGITS
from gnnseg.paint import homes_around, paint_window
from gnnseg.pipeline.refine import Mixture, refine

if TYPE_CHECKING:
    from gnnseg.models.borders import Borders
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.superpixels import PixelReader

Mixed = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]
"""Rows and columns of pixels, and their logits (n, classes)."""


@dataclass(frozen=True)
class PaintBlock:
    """Slots of the `covered` pixels of a plane, and logits (N, classes) of the `homes` around them.

    What is wanted is the part `inside` of the slots, whose first cell lies at `first` among the
    homes.
    """

    plane: int
    covered: Window
    inside: Window
    homes: Window
    first: tuple[int, int]
    step: int
    slots: np.ndarray
    logits: np.ndarray

    def paint(self, values: np.ndarray, fill: float) -> np.ndarray:
        """The values (N,) of the homes at all pixels of the slots."""
        there = values.reshape(self.homes.shape)
        painted: np.ndarray = paint_window(self.slots, self.step, there, self.first, fill)
        return painted


@dataclass(frozen=True)
class PaintSource:
    """Reads what painting needs; borders are refined `width` pixels to each side, with 0 not.

    `borders` are those of the model, if it has learnt any.
    """

    reader: PixelReader
    scratch: Scratch
    width: int
    borders: Borders | None

    @property
    def lattice(self) -> Lattice:
        return self.reader.lattice

    def read(self, plane: int, pixels: Window) -> PaintBlock:
        """Slots and logits around a window of pixels."""
        lattice = self.lattice
        cells, homes, first = homes_around(lattice, pixels.grow(self.width).clip(lattice.bounds))
        covered = lattice.pixels(cells)
        return PaintBlock(
            plane=plane,
            covered=covered,
            inside=pixels.relative_to(covered),
            homes=homes,
            first=first,
            step=lattice.step,
            slots=self.scratch.slots[(plane, *covered.slices)],
            logits=self.scratch.read_state(LOGITS, plane, homes),
        )

    def mixed(self, block: PaintBlock, painted: np.ndarray, unlabelled: int) -> Iterator[Mixed]:
        """Mixed logits along the borders of `painted` slots; pixels count from `inside`."""
        if self.width > 0:
            yield from refine(
                painted,
                block.slots,
                block.inside,
                width=self.width,
                unlabelled=unlabelled,
                load=partial(self.load, block),
            )

    def load(self, block: PaintBlock) -> tuple[Mixture, np.ndarray]:
        """What refinement looks at: regions and channels."""
        names = "x", "area", "moment"
        table = self.scratch.tables[0].read(block.plane, block.homes, names)
        scaling = self.reader.scaling
        mixture = Mixture.of(table, block.logits, scaling, block.first, borders=self.borders)
        return mixture, self.reader.read(block.covered, block.plane).work
