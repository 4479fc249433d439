"""The phase that measures a model of regions: pixels are painted, compared, and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.blocks import Window
from gnnseg.kernels.slots import OWN
from gnnseg.metrics import BoundaryCounts, Calibration, ConfusionMatrix
from gnnseg.metrics.ceiling import count_ceiling
from gnnseg.paint import PAINT_HALO, paint_window
from gnnseg.pipeline.counts import Counts, WindowCounts, surety
from gnnseg.pipeline.paint_source import Mixed, PaintBlock, PaintSource
from gnnseg.pipeline.refine import load_refinement

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.tiling import Task


@dataclass(frozen=True)
class _Answer:
    """What a model says of a window: labels (h, w) without and with refined borders."""

    block: PaintBlock
    band: list[Mixed]
    painted: np.ndarray
    prediction: np.ndarray

    def surety(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """Confidence and entropy of the prediction, (h, w) each."""
        part, values = self.block.inside.slices, surety(self.block.logits, temperature)
        sure, doubt = (self.block.paint(each, np.nan)[part] for each in values)
        for places, logits in self.band:
            sure[places], doubt[places] = surety(logits, temperature)
        return sure, doubt


@dataclass(frozen=True)
class CountPhase:
    """Counts a block of the first plane, which begins and ends at corners of cells.

    `labels` gives the true ones (h, w) of a window of pixels.
    """

    source: PaintSource
    model: Model
    ignore_index: int
    labels: Callable[[Window], np.ndarray]

    def __call__(self, task: Task) -> WindowCounts:
        """Figures of the block; all blocks of an image add up to those of the image."""
        window, refines = task.block.write, self.source.width > 0
        seen = window.grow(BoundaryCounts.HALO if refines else 0).clip(self.source.lattice.bounds)
        answer, truth = self._answer(seen), self.labels(seen)
        inner = window.relative_to(seen).slices
        painted, prediction = answer.painted, answer.prediction
        boundaries = [
            BoundaryCounts.of(truth, labels, self._num_classes, self.ignore_index, inside=inner)
            for labels in ((painted, prediction) if refines else ())
        ]
        counts = Counts(
            self._matrix(truth[inner], prediction[inner]),
            self._ceiling(window),
            self._calibration(answer, truth, inner, self.model.temperature),
            self._calibration(answer, truth, inner, 1.0),
            self._matrix(truth[inner], painted[inner]),
            (),
        )
        return WindowCounts(counts, tuple(boundaries))

    @property
    def _num_classes(self) -> int:
        return self.model.classes.num_classes

    def _answer(self, window: Window) -> _Answer:
        block = self.source.read(0, window)
        labels = block.logits.argmax(axis=1).astype(np.int32)
        whole = block.paint(labels, self.ignore_index)
        band = list(self.source.mixed(block, whole, self.ignore_index))
        painted = whole[block.inside.slices]
        prediction = painted.copy()
        for places, logits in band:
            prediction[places] = logits.argmax(axis=1)
        return _Answer(block, band, painted, prediction)

    def _matrix(self, truth: np.ndarray, labels: np.ndarray) -> ConfusionMatrix:
        return ConfusionMatrix.of(truth, labels, self._num_classes, self.ignore_index)

    def _calibration(
        self, answer: _Answer, truth: np.ndarray, inner: tuple[slice, slice], temperature: float
    ) -> Calibration:
        true, said = truth[inner], answer.prediction[inner]
        known = (true != self.ignore_index) & (said != self.ignore_index)
        sure, doubt = (values[inner][known] for values in answer.surety(temperature))
        return Calibration.of((true == said)[known], sure, doubt)

    def _ceiling(self, window: Window) -> ConfusionMatrix:
        """Every region whose home lies in the window, labelled with its commonest class."""
        lattice = self.source.lattice
        homes = window.coarsen(lattice.step)
        near = homes.grow(PAINT_HALO).clip(lattice.cells)
        covered = lattice.pixels(near)
        slots = self.source.scratch.slots[(0, *covered.slices)]
        own = homes.relative_to(near)
        truth = self.labels(covered)
        return ConfusionMatrix(count_ceiling(slots, truth, lattice.step, own, self._num_classes))


def load_count_loops(*, refine: bool) -> None:
    """Load, or compile, what measuring needs beside `segment`: before the plan, which counts it."""
    own_cell = np.full((2, 2), OWN, np.uint8)
    for dtype in (np.int32, np.float64):
        paint_window(own_cell, 2, np.zeros((1, 1), dtype), (0, 0), 0)
    if refine:
        load_refinement(np.int32)
        labels = np.eye(2, dtype=np.uint8)
        BoundaryCounts.of(labels, labels, 2, inside=(slice(0, 2), slice(0, 2)))
