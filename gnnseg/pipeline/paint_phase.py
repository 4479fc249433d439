"""The phase that paints: labels, probabilities and their entropy, a chunk of the output a block."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.io import quantise
from gnnseg.models.group import LOGITS
from gnnseg.paint import homes_around, paint_window
from gnnseg.pipeline.probability import entropy, softmax

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.pipeline.tiling import Task
    from gnnseg.pipeline.windows import Grid


@dataclass(frozen=True)
class PaintPhase:
    """Labels, and what else there is an array for, of an output whose first corner is `origin`.

    `labels` is (Y, X) or (Z, Y, X); `probabilities` and `uncertainty` have channels before that.
    """

    grid: Grid
    scratch: Scratch
    model: Model
    label_offset: int
    origin: tuple[int, int]
    labels: Any
    probabilities: Any = None
    uncertainty: Any = None

    def __call__(self, task: Task) -> dict[str, Any]:
        """Arg-max at the nodes, gather at the pixels, count the classes."""
        lattice, write = self.grid.lattice, task.block.write
        y0, x0 = self.origin
        pixels = Window(write.y0 + y0, write.y1 + y0, write.x0 + x0, write.x1 + x0)
        cells, homes, first = homes_around(lattice, pixels)
        covered = lattice.pixels(cells)
        crop = pixels.relative_to(covered).slices
        slots = np.asarray(self.scratch.slots[(task.plane, *covered.slices)])
        logits = self.scratch.read_state(LOGITS, task.plane, homes)

        def paint(values: np.ndarray, fill: int) -> np.ndarray:
            there = values.reshape(homes.shape)
            painted: np.ndarray = paint_window(slots, lattice.step, there, first, fill)[crop]
            return painted

        dtype = self.labels.dtype
        best = (logits.argmax(axis=1) + self.label_offset).astype(dtype)
        labels = paint(best, np.iinfo(dtype).max)
        _write(self.labels, task, labels)
        if self.probabilities is not None or self.uncertainty is not None:
            self._write_chances(task, logits, partial(paint, fill=0))
        return self._counted(labels)

    def _write_chances(
        self, task: Task, logits: np.ndarray, paint: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        chances = softmax(logits, self.model.temperature)
        if self.uncertainty is not None:
            _write(self.uncertainty, task, paint(quantise(entropy(chances))), channel=0)
        if self.probabilities is not None:
            values = quantise(chances)
            for index in range(values.shape[1]):
                _write(self.probabilities, task, paint(values[:, index]), channel=index)

    def _counted(self, labels: np.ndarray) -> dict[str, Any]:
        counts = np.bincount(labels.ravel(), minlength=np.iinfo(labels.dtype).max + 1)
        first, number = self.label_offset, self.model.classes.num_classes
        return {
            "pixels": counts[first : first + number].tolist(),
            "unlabelled": int(counts[-1]),
            "crc32": zlib.crc32(np.ascontiguousarray(labels).tobytes()),
        }


def _write(array: Any, task: Task, values: np.ndarray, *, channel: int | None = None) -> None:
    """Write a block of a plane, of one channel where there are some."""
    channels = () if channel is None else (channel,)
    planes = (task.plane,) if array.ndim > len(channels) + 2 else ()
    array[(*channels, *planes, *task.block.write.slices)] = values
