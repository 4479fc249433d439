"""The phase that paints: labels, probabilities and their entropy, a chunk of the output a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.pipeline.canvas import Canvas
from gnnseg.pipeline.paint_source import PaintBlock, PaintSource

if TYPE_CHECKING:
    from gnnseg.pipeline.tiling import Task


@dataclass(frozen=True)
class _Band:
    """Refined pixels of a block: rows and columns there, labels (n,), and maps (n, columns)."""

    places: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class PaintPhase:
    """Paints a canvas whose first corner is the pixel `origin` of the image."""

    source: PaintSource
    origin: tuple[int, int]
    canvas: Canvas

    def __call__(self, task: Task) -> dict[str, Any]:
        """Arg-max at the nodes, gather at the pixels, refine the borders, count the classes."""
        canvas, write, (y0, x0) = self.canvas, task.block.write, self.origin
        pixels = Window(write.y0 + y0, write.y1 + y0, write.x0 + x0, write.x1 + x0)
        block = self.source.read(task.plane, pixels)
        painted = block.paint(canvas.best(block.logits), canvas.unlabelled)
        band = self._refine(block, painted)
        labels = painted[block.inside.slices]
        labels[band.places] = band.labels
        for column, map_of in enumerate(canvas.maps(block.logits).T):
            values = block.paint(np.ascontiguousarray(map_of), 0)[block.inside.slices]
            values[band.places] = band.maps[:, column]
            canvas.write_map(column, task.plane, write, values)
        return canvas.write_labels(task.plane, write, labels)

    def _refine(self, block: PaintBlock, painted: np.ndarray) -> _Band:
        """Labels and maps along the borders within a block."""
        nowhere = np.zeros(0, np.int32)
        found = [(nowhere, nowhere, *self._values(block.logits[:0]))]
        mixed = self.source.mixed(block, painted, self.canvas.unlabelled)
        found += [(*places, *self._values(logits)) for places, logits in mixed]
        rows, columns, labels, maps = map(np.concatenate, zip(*found, strict=True))
        return _Band((rows, columns), labels, maps)

    def _values(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.canvas.best(logits), self.canvas.maps(logits)
