"""The phase that paints: labels, probabilities and their entropy, a chunk of the output a block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.models.group import LOGITS
from gnnseg.paint import homes_around, paint_window
from gnnseg.pipeline.canvas import Canvas
from gnnseg.pipeline.refine import Mixture, refine

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.pipeline.tiling import Task
    from gnnseg.pipeline.windows import Grid
    from gnnseg.superpixels import PixelReader


@dataclass(frozen=True)
class _Block:
    """What a block is painted from: slots of `covered` pixels, logits (N, classes) of `homes`.

    The block is the part `inside` of the slots, whose first cell lies at `first` among the homes.
    """

    covered: Window
    inside: Window
    homes: Window
    first: tuple[int, int]
    step: int
    slots: np.ndarray
    logits: np.ndarray

    def paint(self, values: np.ndarray, fill: int) -> np.ndarray:
        """The values (N,) of the homes at all pixels of the slots."""
        there = values.reshape(self.homes.shape)
        painted: np.ndarray = paint_window(self.slots, self.step, there, self.first, fill)
        return painted


@dataclass(frozen=True)
class _Band:
    """Refined pixels of a block: rows and columns there, labels (n,), and maps (n, columns)."""

    places: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class PaintPhase:
    """Paints a canvas whose first corner is the pixel `origin` of the image.

    Borders are refined `width` pixels to each side, with 0 not at all.
    """

    grid: Grid
    reader: PixelReader
    scratch: Scratch
    model: Model
    width: int
    origin: tuple[int, int]
    canvas: Canvas

    def __call__(self, task: Task) -> dict[str, Any]:
        """Arg-max at the nodes, gather at the pixels, refine the borders, count the classes."""
        block, canvas, write = self._read(task), self.canvas, task.block.write
        painted = block.paint(canvas.best(block.logits), canvas.unlabelled)
        band = self._refine(task, block, painted)
        labels = painted[block.inside.slices]
        labels[band.places] = band.labels
        for column, map_of in enumerate(canvas.maps(block.logits).T):
            values = block.paint(np.ascontiguousarray(map_of), 0)[block.inside.slices]
            values[band.places] = band.maps[:, column]
            canvas.write_map(column, task.plane, write, values)
        return canvas.write_labels(task.plane, write, labels)

    def _read(self, task: Task) -> _Block:
        """Slots and logits around a block of the output."""
        lattice, write = self.grid.lattice, task.block.write
        y0, x0 = self.origin
        pixels = Window(write.y0 + y0, write.y1 + y0, write.x0 + x0, write.x1 + x0)
        cells, homes, first = homes_around(lattice, pixels.grow(self.width).clip(lattice.bounds))
        covered = lattice.pixels(cells)
        return _Block(
            covered=covered,
            inside=pixels.relative_to(covered),
            homes=homes,
            first=first,
            step=lattice.step,
            slots=np.asarray(self.scratch.slots[(task.plane, *covered.slices)]),
            logits=self.scratch.read_state(LOGITS, task.plane, homes),
        )

    def _refine(self, task: Task, block: _Block, painted: np.ndarray) -> _Band:
        """Labels and maps along the borders within a block."""
        nowhere = np.zeros(0, np.int32)
        found = [(nowhere, nowhere, *self._values(block.logits[:0]))]
        if self.width > 0:
            mixed = refine(
                painted,
                block.slots,
                block.inside,
                width=self.width,
                unlabelled=self.canvas.unlabelled,
                load=partial(self._load, task, block),
            )
            found += [(*places, *self._values(logits)) for places, logits in mixed]
        rows, columns, labels, maps = map(np.concatenate, zip(*found, strict=True))
        return _Band((rows, columns), labels, maps)

    def _values(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.canvas.best(logits), self.canvas.maps(logits)

    def _load(self, task: Task, block: _Block) -> tuple[Mixture, np.ndarray]:
        """What refinement looks at: regions and channels."""
        names = "x", "area", "moment"
        table = self.scratch.tables[0].read(task.plane, block.homes, names)
        mixture = Mixture.of(table, block.logits, self.reader.scaling, block.first)
        return mixture, self.reader.read(block.covered, task.plane).work
