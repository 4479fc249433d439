"""The phase that paints: labels, probabilities and their entropy, a chunk of the output a block."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.io import quantise
from gnnseg.models.group import LOGITS
from gnnseg.paint import homes_around, paint_window
from gnnseg.pipeline.probability import entropy, softmax
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
    """Labels, and what else there is an array for, of an output whose first corner is `origin`.

    `labels` is (Y, X) or (Z, Y, X); `probabilities` and `uncertainty` have channels before that.
    Borders are refined `width` pixels to each side, with 0 not at all.
    """

    grid: Grid
    reader: PixelReader
    scratch: Scratch
    model: Model
    label_offset: int
    width: int
    origin: tuple[int, int]
    labels: Any
    probabilities: Any = None
    uncertainty: Any = None

    def __call__(self, task: Task) -> dict[str, Any]:
        """Arg-max at the nodes, gather at the pixels, refine the borders, count the classes."""
        block = self._read(task)
        painted = block.paint(self._best(block.logits), self._unlabelled)
        band = self._refine(task, block, painted)
        labels = painted[block.inside.slices]
        labels[band.places] = band.labels
        _write(self.labels, task, labels)
        maps = self._maps(block.logits)
        for column, (array, channel) in enumerate(self._targets()):
            values = block.paint(maps[:, column], 0)[block.inside.slices]
            values[band.places] = band.maps[:, column]
            _write(array, task, values, channel=channel)
        return self._counted(labels)

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

    @property
    def _unlabelled(self) -> int:
        return int(np.iinfo(self.labels.dtype).max)

    def _best(self, logits: np.ndarray) -> np.ndarray:
        """Labels (N,) from logits."""
        labels: np.ndarray = (logits.argmax(axis=1) + self.label_offset).astype(self.labels.dtype)
        return labels

    def _targets(self) -> Iterator[tuple[Any, int]]:
        """Array and channel of each column of the maps."""
        if self.uncertainty is not None:
            yield self.uncertainty, 0
        if self.probabilities is not None:
            for channel in range(self.model.classes.num_classes):
                yield self.probabilities, channel

    def _maps(self, logits: np.ndarray) -> np.ndarray:
        """Uncertainty and probabilities from logits, as far as wanted, (N, columns) uint8."""
        columns = [np.empty((len(logits), 0), np.uint8)]
        if self.uncertainty is not None or self.probabilities is not None:
            chances = softmax(logits, self.model.temperature)
            if self.uncertainty is not None:
                columns.append(quantise(entropy(chances))[:, None])
            if self.probabilities is not None:
                columns.append(quantise(chances))
        return np.concatenate(columns, axis=1)

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
                unlabelled=self._unlabelled,
                load=partial(self._load, task, block),
            )
            found += [(*places, *self._values(logits)) for places, logits in mixed]
        rows, columns, labels, maps = map(np.concatenate, zip(*found, strict=True))
        return _Band((rows, columns), labels, maps)

    def _values(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._best(logits), self._maps(logits)

    def _load(self, task: Task, block: _Block) -> tuple[Mixture, np.ndarray]:
        """What refinement looks at: regions and channels."""
        names = "x", "area", "moment"
        table = self.scratch.tables[0].read(task.plane, block.homes, names)
        mixture = Mixture.of(table, block.logits, self.reader.scaling, block.first)
        return mixture, self.reader.read(block.covered, task.plane).work

    def _counted(self, labels: np.ndarray) -> dict[str, Any]:
        counts = np.bincount(labels.ravel(), minlength=self._unlabelled + 1)
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
