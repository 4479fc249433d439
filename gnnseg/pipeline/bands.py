"""The phase of a convolutional network: tiles blended into bands that are written as they end.

A band is some chunks wide and up to `TALL` chunks high. Tiles go through it row by row; only the
rows that further tiles still change are held. Where tiles lie depends on the image alone, so that
the labels depend neither on the width of a band nor on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.baselines.cost import tile_operations
from gnnseg.baselines.inference import Lap, plane_slabs, unmeasured
from gnnseg.blocks import Window
from gnnseg.execution import one_torch_thread
from gnnseg.ledger import Laps
from gnnseg.memory import trim
from gnnseg.pipeline.output_arrays import open_canvas, write_pyramid
from gnnseg.pipeline.pixel_job import num_tiles
from gnnseg.pipeline.pixel_plan import AT_ONCE

if TYPE_CHECKING:
    from gnnseg.baselines.strips import Slab
    from gnnseg.ledger import Ledger
    from gnnseg.pipeline.canvas import Canvas
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.outputs import Outputs
    from gnnseg.pipeline.pixel_job import PixelJob
    from gnnseg.pipeline.tiling import Task


NETWORK = "network"
"""The stage of a band, and the longest of its parts."""
PARTS = ("read", NETWORK, "blend", "paint")
"""What a thread does in turn: read and standardise, run the network, blend logits, write labels."""


class StoppedError(Exception):
    """A band is left because the run ends."""


def paint_bands(job: PixelJob, outputs: Outputs, progress: Run, ledger: Ledger) -> None:
    """Labels at the pixels, then their pyramid; the phase `paint` is the stage `NETWORK`."""
    plan, model = job.plan, job.model
    limits: dict[str, Any] = {"workers": plan.workers, "most_kept": plan.most_kept}
    with ledger.stage(NETWORK), one_torch_thread():
        labels, canvas = open_canvas(outputs, job, progress)
        progress.remember("paint", plan.band_chunks)
        phase = BandPhase(job, canvas, ledger)
        progress.phase("paint", job.tiling, phase, **limits, stop=phase.stop)
    tiles, image = num_tiles(job), job.reader.image
    operations = tile_operations(model, (image.height, image.width)) * tiles
    ledger.add(NETWORK, tiles=tiles, operations=operations)
    ledger.tell(NETWORK, parameters=model.num_parameters)
    with ledger.stage("pyramid"):
        write_pyramid(labels, progress, **limits)


def band_slabs(
    job: PixelJob, task: Task, stop: threading.Event, lap: Lap = unmeasured
) -> Iterator[Slab]:
    """The logits of a band, a chunk of rows at a time; raises `StoppedError` once `stop` is set."""
    image, (plane, band) = job.reader.image, job.band(task)

    def read(window: Window) -> np.ndarray:
        if stop.is_set():
            raise StoppedError
        trim(above=job.plan.most_kept)
        return image.read(window, plane)

    about = (image.height, image.width), job.reader.scaling
    return plane_slabs(job.model, read, *about, part=band, rows=job.chunk, lap=lap)


@dataclass(frozen=True)
class BandPhase:
    """Paints a band of one plane; leaves it once `stop` is set."""

    job: PixelJob
    canvas: Canvas
    ledger: Ledger
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, task: Task) -> dict[str, Any]:
        """All tiles of a band, and its labels; the pixels by class, and a checksum."""
        (plane, _), laps = self.job.band(task), Laps(*PARTS)
        totals: dict[str, Any] = {"pixels": [], "unlabelled": 0, "crc32": 0}
        for slab in band_slabs(self.job, task, self.stop, laps):
            found = self._paint(plane, slab, totals["crc32"])
            laps("paint")
            pixels = totals["pixels"] or [0] * len(found["pixels"])
            totals = {
                "pixels": [a + b for a, b in zip(pixels, found["pixels"], strict=True)],
                "unlabelled": totals["unlabelled"] + found["unlabelled"],
                "crc32": found["crc32"],
            }
        self.ledger.split(NETWORK, laps.seconds)
        return totals

    def _paint(self, plane: int, slab: Slab, crc32: int) -> dict[str, Any]:
        """Write the labels and the maps of a slab."""
        canvas, (height, width) = self.canvas, slab.window.shape
        labels = np.empty((height, width), canvas.labels.dtype)
        maps = np.empty((canvas.num_maps, height, width), np.uint8)
        known = self._known(plane, slab)
        step = max(1, AT_ONCE // width)
        for row in range(0, height, step):
            rows = slice(row, row + step)
            flat = slab.logits[:, rows].reshape(len(slab.logits), -1).T
            labels[rows] = canvas.best(flat).reshape(labels[rows].shape)
            maps[:, rows] = canvas.maps(flat).T.reshape(maps[:, rows].shape)
        labels[~known] = canvas.unlabelled
        maps[:, ~known] = 0
        place = slab.window.relative_to(self.job.roi)
        for column, values in enumerate(maps):
            canvas.write_map(column, plane, place, values)
        return canvas.write_labels(plane, place, labels, crc32)

    def _known(self, plane: int, slab: Slab) -> np.ndarray:
        """Pixels that take part: finite ones, where the mask says so."""
        mask = self.job.reader.mask
        if mask is None:
            return slab.valid
        return slab.valid & (mask.read(slab.window, min(plane, mask.num_planes - 1))[0] != 0)
