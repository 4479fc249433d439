"""The phase of a convolutional network: tiles blended into bands that are written as they end.

A band is some chunks wide and as high as the image. Tiles go through it row by row; only the rows
that further tiles still change are held. Where tiles lie depends on the image alone, so that the
labels depend neither on the width of a band nor on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.baselines.inference import tile_logits
from gnnseg.baselines.tiles import Stretch, stretches
from gnnseg.blocks import Window
from gnnseg.execution import one_torch_thread
from gnnseg.pipeline.output_arrays import open_canvas, write_pyramid
from gnnseg.pipeline.pixel_job import CPU, num_tiles, touching
from gnnseg.pipeline.pixel_plan import AT_ONCE
from gnnseg.pipeline.tiling import Task, Tiling

if TYPE_CHECKING:
    from gnnseg.ledger import Ledger
    from gnnseg.pipeline.canvas import Canvas
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.outputs import Outputs
    from gnnseg.pipeline.pixel_job import PixelJob


def paint_bands(job: PixelJob, outputs: Outputs, progress: Run, ledger: Ledger) -> None:
    """Labels at the pixels, then their pyramid."""
    plan, planes = job.plan, job.reader.image.num_planes
    with ledger.stage("paint"), one_torch_thread():
        labels, canvas = open_canvas(outputs, job, progress)
        number = -(-job.roi.shape[1] // (plan.band_chunks * job.chunk))
        tiling = Tiling(Window(0, 1, 0, number), 1, planes=planes)
        phase = BandPhase(job, canvas)
        limits = {"workers": plan.workers, "most_kept": plan.most_kept}
        progress.phase("paint", tiling, phase, **limits)
    ledger.add("paint", tiles=num_tiles(job))
    with ledger.stage("pyramid"):
        write_pyramid(labels, progress, **limits)


@dataclass(frozen=True)
class BandPhase:
    """Paints a band of one plane."""

    job: PixelJob
    canvas: Canvas

    def __call__(self, task: Task) -> dict[str, Any]:
        """All tiles of a band, and its labels; the pixels by class, and a checksum."""
        job, model, image = self.job, self.job.model, self.job.reader.image
        width, roi = job.plan.band_chunks * job.chunk, job.roi
        start = roi.x0 + task.block.write.x0 * width
        band = Window(roi.y0, roi.y1, start, min(start + width, roi.x1))
        rows = touching(stretches(image.height, model.tile, model.overlap), band.y0, band.y1)
        columns = touching(stretches(image.width, model.tile, model.overlap), band.x0, band.x1)
        strip = _Strip(self, task.plane, band)
        for number, row in enumerate(rows):
            for column in columns:
                strip.add(row, column)
            is_last = number + 1 == len(rows)
            strip.write(band.y1 if is_last else min(rows[number + 1].start, band.y1))
        return strip.totals


class _Strip:
    """Rows of a band that are not written yet: the first is `top` of the image."""

    def __init__(self, phase: BandPhase, plane: int, band: Window) -> None:
        self.phase, self.plane, self.band, self.top = phase, plane, band, band.y0
        model, chunk = phase.job.model, phase.job.chunk
        capacity = min(model.tile + chunk, band.shape[0])
        self.logits = np.zeros((model.classes.num_classes, capacity, band.shape[1]), np.float32)
        self.valid = np.ones((capacity, band.shape[1]), np.bool_)
        self.totals: dict[str, Any] = {"crc32": 0}

    def add(self, row: Stretch, column: Stretch) -> None:
        """Let a tile go through the network, and add what it says, weighted."""
        job = self.phase.job
        tile = Window(row.start, row.stop, column.start, column.stop)
        x, valid = job.model.standardise(job.reader.image.read(tile, self.plane))
        seen = tile.clip(Window(self.top, self.band.y1, self.band.x0, self.band.x1))
        source = seen.relative_to(tile).slices
        target = seen.relative_to(Window(self.top, self.band.y1, self.band.x0, self.band.x1)).slices
        weight = row.weight[source[0], None] * column.weight[source[1]]
        logits = tile_logits(job.model.network, x, CPU)[(slice(None), *source)]
        self.logits[(slice(None), *target)] += logits * weight
        if valid is not None:
            self.valid[target] &= valid[source]

    def write(self, final: int) -> None:
        """Write the rows up to `final`, as far as they fill chunks or end the band."""
        chunk, first = self.phase.job.chunk, self.band.y0
        stop = final if final == self.band.y1 else final - (final - first) % chunk
        for top in range(self.top, stop, chunk):
            self._write(min(chunk, stop - top), top - self.top)
        self._drop(stop - self.top)

    def _write(self, height: int, offset: int) -> None:
        """Write `height` rows, `offset` after the first."""
        canvas, job, width = self.phase.canvas, self.phase.job, self.band.shape[1]
        y0, x0 = self.top + offset, self.band.x0
        window = Window(y0, y0 + height, x0, self.band.x1)
        labels = np.empty((height, width), canvas.labels.dtype)
        maps = np.empty((canvas.num_maps, height, width), np.uint8)
        known = self._known(window, offset)
        step = max(1, AT_ONCE // width)
        for row in range(0, height, step):
            rows = slice(row, min(row + step, height))
            part = self.logits[:, offset + rows.start : offset + rows.stop]
            flat = part.reshape(len(part), -1).T
            labels[rows] = canvas.best(flat).reshape(labels[rows].shape)
            maps[:, rows] = canvas.maps(flat).T.reshape(maps[:, rows].shape)
        labels[~known] = canvas.unlabelled
        maps[:, ~known] = 0
        place = window.relative_to(job.roi)
        for column, values in enumerate(maps):
            canvas.write_map(column, self.plane, place, values)
        self._count(canvas.write_labels(self.plane, place, labels, self.totals["crc32"]))

    def _known(self, window: Window, offset: int) -> np.ndarray:
        """Pixels that take part: finite ones, where the mask says so."""
        known = self.valid[offset : offset + window.shape[0]]
        mask = self.phase.job.reader.mask
        if mask is None:
            return known
        plane = min(self.plane, mask.num_planes - 1)
        return known & (mask.read(window, plane)[0] != 0)

    def _count(self, found: dict[str, Any]) -> None:
        pixels = self.totals.get("pixels", [0] * len(found["pixels"]))
        self.totals = {
            "pixels": [a + b for a, b in zip(pixels, found["pixels"], strict=True)],
            "unlabelled": self.totals.get("unlabelled", 0) + found["unlabelled"],
            "crc32": found["crc32"],
        }

    def _drop(self, number: int) -> None:
        """Forget the first rows, and move up the others, a piece at a time."""
        capacity = len(self.valid)
        for start in range(0, capacity - number, max(1, number)) if number else ():
            stop = min(start + number, capacity - number)
            for layer in (*self.logits, self.valid):
                layer[start:stop] = layer[start + number : stop + number]
        if number:
            self.logits[:, capacity - number :] = 0
            self.valid[capacity - number :] = True
        self.top += number
