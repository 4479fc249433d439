"""Measure a network on pixels on one labelled image, in memory or in bands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.baselines.inference import plane_slabs
from gnnseg.metrics import Calibration, ConfusionMatrix
from gnnseg.pipeline.bands import band_slabs
from gnnseg.pipeline.count_blocks import count_blocks
from gnnseg.pipeline.counts import Counts, WindowCounts, surety
from gnnseg.pipeline.pixel_plan import AT_ONCE

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.baselines.strips import Slab
    from gnnseg.datasets.item import Item
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.pipeline.pixel_job import PixelJob
    from gnnseg.pipeline.tiling import Task


def measure_pixels(item: Item, model: PixelModel) -> Counts:
    """Counts of the prediction; pixels that are not finite are left unlabelled, as in `segment`.

    The logits of a slab of rows are held at a time.
    """
    image, truth = item.load()
    total = Counts.zeros(model.classes.num_classes)
    for slab in plane_slabs(model, image.read, truth.shape, model.scaling.of(image)):
        total += _count(slab, truth[slab.window.slices], model, item.classes.ignore_index)
    return total


def stream_pixels(job: PixelJob, labels: LabelSource) -> Counts:
    """The same of an image of any size, in the bands of a job."""
    phase, first_plane = _BandCount(job, labels), replace(job.tiling, planes=job.bands.rows)
    return count_blocks(phase, first_plane, job.plan, phase.stop)


@dataclass(frozen=True)
class _BandCount:
    """Counts a band of the first plane; leaves it once `stop` is set."""

    job: PixelJob
    labels: LabelSource
    stop: Event = field(default_factory=Event)

    def __call__(self, task: Task) -> WindowCounts:
        model, ignore = self.job.model, self.labels.classes.ignore_index
        total = Counts.zeros(model.classes.num_classes)
        for slab in band_slabs(self.job, task, self.stop):
            total += _count(slab, self.labels.read(slab.window), model, ignore)
        return WindowCounts(total)


def _count(slab: Slab, truth: np.ndarray, model: PixelModel, ignore: int) -> Counts:
    """Counts of a slab, some rows at a time."""
    total = Counts.zeros(model.classes.num_classes)
    step = max(1, AT_ONCE // slab.window.shape[1])
    for row in range(0, len(truth), step):
        rows = slice(row, row + step)
        total += _count_rows(slab.logits[:, rows], slab.valid[rows], truth[rows], model, ignore)
    return total


def _count_rows(
    logits: np.ndarray, valid: np.ndarray, truth: np.ndarray, model: PixelModel, ignore: int
) -> Counts:
    prediction = np.where(valid, logits.argmax(axis=0), ignore)
    known = (truth != ignore) & (prediction != ignore)
    right, flat = (truth == prediction)[known], logits[:, known].T
    matrix = ConfusionMatrix.of(truth, prediction, model.classes.num_classes, ignore)
    sure, unsure = (
        Calibration.of(right, *surety(flat, temperature))
        for temperature in (model.temperature, 1.0)
    )
    return Counts(matrix, None, sure, unsure, matrix, ())
