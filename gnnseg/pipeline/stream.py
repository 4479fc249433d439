"""The phases of a model of regions, from pixels to labels, as streams of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from gnnseg.execution import one_torch_thread
from gnnseg.models.group import STEM
from gnnseg.models.size import num_parameters
from gnnseg.pipeline.output_arrays import open_canvas, write_pyramid
from gnnseg.pipeline.paint_phase import PaintPhase
from gnnseg.pipeline.paint_source import PaintSource
from gnnseg.pipeline.phases import (
    GroupPhase,
    StemPhase,
    coarsen_phase,
    regions_phase,
)
from gnnseg.pipeline.scratch import Scratch, open_scratch
from gnnseg.pipeline.tiling import Task, Tiling, chunk_tiling

if TYPE_CHECKING:
    from gnnseg.blocks import Window
    from gnnseg.ledger import Ledger
    from gnnseg.pipeline.job import Job
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.outputs import Outputs


def stream_logits(job: Job, progress: Run, ledger: Ledger) -> Stream:
    """The phases from pixels to the logits of the regions."""
    scratch = open_scratch(progress, job.grid, job.planes, job.reader.scaling, job.model)
    stream = Stream(job, progress, ledger, scratch)
    stream.regions()
    stream.levels()
    stream.stem()
    stream.network()
    return stream


COARSE_CHUNKS = 2
"""Chunks on a side of a block whose tables are pooled; small enough for any budget."""


@dataclass(frozen=True)
class Stream:
    """The phases of one run, in order; each skips the blocks that are done."""

    job: Job
    progress: Run
    ledger: Ledger
    scratch: Scratch

    def regions(self) -> None:
        """Pixels to slots and the tables of the two finest levels."""
        job = self.job
        self.progress.remember("regions", job.plan.region_chunks)
        work = partial(regions_phase, job.reader, self.scratch)
        with self.ledger.stage("regions"):
            self._phase("regions", job.region_tiling, work)

    def levels(self) -> None:
        """Tables of the other levels, each from the one below."""
        job = self.job
        with self.ledger.stage("levels"):
            for level in range(2, job.model.num_levels):
                tiling = self._tiling(job.need.tables[level], level, COARSE_CHUNKS)
                work = partial(coarsen_phase, level, job.grid, self.scratch)
                self._phase(f"level_{level}", tiling, work)

    def stem(self) -> None:
        """What a learned stem makes of the pixels; by chunks, whatever the blocks of a run are."""
        job, stem = self.job, self.job.model.network.stem
        if stem is None:
            return
        tiling = self._tiling(job.need.states[STEM], 0, 1)
        workers = job.plan.stem_workers
        with self.ledger.stage(STEM), one_torch_thread():
            phase = StemPhase(stem, job.reader, self.scratch)
            totals = self._phase(STEM, tiling, phase, workers=workers)
        self.ledger.add(STEM, operations=totals["operations"])
        self.ledger.tell(STEM, parameters=num_parameters(stem))

    def network(self) -> None:
        """The groups of layers."""
        with one_torch_thread():
            for group in self.job.model.network.groups:
                self._group(group)

    def _group(self, group: Any) -> None:
        job, name = self.job, f"network_{group.name}"
        density = self.progress.totals("regions")["max_density"]
        chunks = job.group_chunks(group, density, self.progress.plan.get(name))
        self.progress.remember(name, chunks)
        tiling = job.group_tiling(group, chunks)
        with self.ledger.stage(name):
            phase = GroupPhase(job.model, group, job.grid, self.scratch)
            totals = self._phase(name, tiling, phase)
        self.ledger.add(name, operations=totals["operations"])
        modules = job.model.network.modules_of(group)
        self.ledger.tell(name, parameters=num_parameters(*modules))

    @property
    def source(self) -> PaintSource:
        """What is painted from, once the network is done."""
        job = self.job
        return PaintSource(job.reader, self.scratch, job.options.band, job.model.borders)

    def paint(self, outputs: Outputs) -> None:
        """Labels at the pixels, then their pyramid."""
        job = self.job
        with self.ledger.stage("paint"), one_torch_thread():
            labels, canvas = open_canvas(outputs, job, self.progress)
            phase = PaintPhase(self.source, (job.roi.y0, job.roi.x0), canvas)
            tiling = chunk_tiling(labels.shape, labels.chunk, planes=job.planes)
            self._phase("paint", tiling, phase)
        with self.ledger.stage("pyramid"):
            plan = job.plan
            write_pyramid(labels, self.progress, workers=plan.workers, most_kept=plan.most_kept)

    def _tiling(self, window: Window, level: int, chunks: int) -> Tiling:
        return self.job.grid.tiling(window, level, chunks=chunks, planes=self.job.planes)

    def _phase(
        self,
        name: str,
        tiling: Tiling,
        work: Callable[[Task], dict[str, Any]],
        workers: int | None = None,
    ) -> dict[str, Any]:
        plan = self.job.plan
        number = workers or plan.workers
        return self.progress.phase(name, tiling, work, workers=number, most_kept=plan.most_kept)
