"""Segment an image of any size: superpixels, graph, network and paint as streams of blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gnnseg.blocks import Window
from gnnseg.execution import default_workers, one_torch_thread
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io import (
    ZarrOutput,
    downsample_labels,
    is_complete,
    open_image,
    remove_output,
)
from gnnseg.io.ome_write import OmeVersion
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, parse_size, peak_rss, reused_memory
from gnnseg.models import Model, load_model
from gnnseg.models.group import STEM
from gnnseg.pipeline.job import Job, prepare
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.outputs import Outputs
from gnnseg.pipeline.paint_phase import PaintPhase
from gnnseg.pipeline.phases import (
    GroupPhase,
    StemPhase,
    coarsen_phase,
    regions_phase,
)
from gnnseg.pipeline.refine import WIDTH
from gnnseg.pipeline.scratch import Scratch, mark_graphs_complete, open_scratch
from gnnseg.pipeline.summary import class_table, write_class_table
from gnnseg.pipeline.tiling import Task, Tiling, chunk_tiling
from gnnseg.pipeline.windows import Required, required


@reused_memory()
def segment(
    image: Any,
    model: Model | str | Path,
    out: str | Path,
    *,
    memory: int | str | None = None,
    block: int | None = None,
    workers: int | None = None,
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    refine: bool = False,
    refine_width: int = WIDTH,
    mask: Any = None,
    keep: bool = False,
    overwrite: bool = False,
    label_offset: int = 0,
    ome_version: OmeVersion = "0.5",
) -> dict[str, Any]:
    """Segment an image and write its labels.

    The labels do not depend on `memory`, `block` or `workers`. The same call again goes on where
    an interrupted one stopped.

    Parameters
    ----------
    image : path, array or ImageSource
    model : Model or path
    out : path
        `*.zarr` (OME-Zarr labels), `*.tif` (tiled pyramid) or `*.png` (palette).
    memory : int or str, optional
        Upper bound for the whole process, such as `"1GiB"`; default: half of what is available.
    block : int, optional
        Pixels on a side of a block; default: as large as the budget allows.
    workers : int, optional
        Threads; default: one a processor.
    roi : ((y0, y1), (x0, x1)), optional
        Segment this part only; the result is the crop of the whole image's.
    probabilities : bool
        Also write `<out>.probabilities.zarr`, uint8, one channel a class.
    uncertainty : bool
        Also write `<out>.uncertainty.zarr`, uint8: the entropy of the probabilities, 255 where all
        classes are equally likely.
    refine : bool
        Give the pixels within `refine_width` (1 to 64) of a border between two labels what the
        regions around them say, mixed by colour and distance.
    mask : path, array or ImageSource, optional
        Zero where pixels take no part; these become unlabelled.
    keep : bool
        Keep slots, graph and node states in `<out>.gnnseg/scratch.zarr`.
    overwrite : bool
        Replace an output of gnnseg that exists.
    label_offset : int
        Added to every class index in the output.
    ome_version : "0.5" or "0.4"
        Of `*.zarr` outputs: 0.4 for programs that read no Zarr 3.

    Returns
    -------
    dict
        pixels, nodes, edges, seconds, peak_rss_bytes, leftover_pixels, classes, stages
        (as `gnnseg.ledger.Ledger` records them), sampler (what recording cost), output.

    Raises
    ------
    InputError, UsageError
        The image, the model or an argument cannot be used.
    MemoryBudgetError
        The budget is too small, before any work starts.
    StateError
        The output exists, or an unfinished run of other settings does.
    """
    net = model if isinstance(model, Model) else load_model(model)
    source = open_image(image)
    options = SegmentOptions(
        memory=default_budget() if memory is None else parse_size(memory),
        workers=workers or default_workers(),
        block=block,
        roi=roi,
        probabilities=probabilities,
        uncertainty=uncertainty,
        refine=refine,
        refine_width=refine_width,
        keep=keep,
        overwrite=overwrite,
        label_offset=label_offset,
        ome_version=ome_version,
    )
    return run(prepare(source, net, options, mask), Path(out))


def run(job: Job, out: Path) -> dict[str, Any]:
    """Carry out a prepared job; figures as `segment` returns them."""
    started = time.monotonic()
    outputs = Outputs.at(out)
    outputs.check(job)
    settings = job.settings()  # reads the image: what is damaged fails before anything is removed
    outputs.clear(overwrite=job.options.overwrite)
    progress = Run.start(outputs.folder, settings)
    ledger = Ledger()
    try:
        job = job.resumed(progress)
        whole = progress.complete and is_complete(out) and progress.totals("paint")
        if not whole:
            _work(job, outputs, progress, ledger)
        regions = progress.totals("regions")
        table = class_table(progress.totals("paint"), job.model.classes, job.reader.image)
        write_class_table(table, out)
        if outputs.kind != "zarr":
            remove_output(outputs.labels)
        progress.tidy(keep=job.options.keep)
    finally:
        progress.close()
    return {
        "output": str(out),
        "pixels": job.roi.size * job.reader.image.num_planes,
        "nodes": regions["regions"],
        "edges": regions["edges"],
        "leftover_pixels": regions["leftover"],
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "resumed": progress.resumed,
        "classes": table,
        "plan": job.plan.as_dict(),
        "stages": ledger.as_dict(),
        "sampler": ledger.sampler(),
    }


def _work(job: Job, outputs: Outputs, progress: Run, ledger: Ledger) -> None:
    """All phases; the output is whole when the last line is done."""
    stream_logits(job, progress, ledger).paint(outputs)
    with ledger.stage("finish"):
        if job.options.keep:
            mark_graphs_complete(progress.scratch, job.model.num_levels)
        outputs.finish(job)
        progress.record("paint")


def stream_logits(job: Job, progress: Run, ledger: Ledger) -> Stream:
    """The phases from pixels to the logits of the regions."""
    image = job.reader.image
    scratch = open_scratch(progress, job.grid, image.num_planes, job.reader.scaling, job.model)
    need = required(job.model.network, job.grid, job.sight)
    stream = Stream(job, progress, ledger, scratch, need)
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
    need: Required

    def regions(self) -> None:
        """Pixels to slots and the tables of the two finest levels."""
        job = self.job
        chunks, halo = job.plan.region_chunks, job.reader.settings.slot_halo + SUM_HALO
        self.progress.remember("regions", chunks)
        work = partial(regions_phase, job.reader, self.scratch)
        with self.ledger.stage("regions"):
            self._phase("regions", self._tiling(self.need.tables[0], 0, chunks, halo), work)

    def levels(self) -> None:
        """Tables of the other levels, each from the one below."""
        job = self.job
        with self.ledger.stage("levels"):
            for level in range(2, job.model.num_levels):
                tiling = self._tiling(self.need.tables[level], level, COARSE_CHUNKS, 0)
                work = partial(coarsen_phase, level, job.grid, self.scratch)
                self._phase(f"level_{level}", tiling, work)

    def stem(self) -> None:
        """What a learned stem makes of the pixels; by chunks, whatever the blocks of a run are."""
        job, stem = self.job, self.job.model.network.stem
        if stem is None:
            return
        tiling = self._tiling(self.need.states[STEM], 0, 1, 0)
        workers = job.plan.stem_workers
        with self.ledger.stage(STEM), one_torch_thread():
            phase = StemPhase(stem, job.reader, self.scratch)
            self._phase(STEM, tiling, phase, workers=workers)

    def network(self) -> None:
        """The groups of layers."""
        with one_torch_thread():
            for group in self.job.model.network.groups:
                self._group(group)

    def _group(self, group: Any) -> None:
        job, name = self.job, f"network_{group.name}"
        density = self.progress.totals("regions")["max_density"]
        kept = self.progress.plan.get(name)
        chunks = job.plan.group_chunks(job.model, group, job.grid, density, kept)
        self.progress.remember(name, chunks)
        tiling = self._tiling(self.need.states[group.output], group.level, chunks, group.halo)
        with self.ledger.stage(name):
            self._phase(name, tiling, GroupPhase(job.model, group, job.grid, self.scratch))

    def paint(self, outputs: Outputs) -> None:
        """Labels at the pixels, then their pyramid."""
        job = self.job
        with self.ledger.stage("paint"):
            labels = outputs.open_labels(job, self.progress)
            maps = outputs.open_maps(job, self.progress)
            phase = PaintPhase(
                grid=job.grid,
                reader=job.reader,
                scratch=self.scratch,
                model=job.model,
                label_offset=job.options.label_offset,
                width=job.options.band,
                origin=(job.roi.y0, job.roi.x0),
                labels=labels.levels[0],
                **{name: output.levels[0] for name, output in maps.items()},
            )
            planes = job.reader.image.num_planes
            self._phase("paint", chunk_tiling(labels.shape, labels.chunk, planes=planes), phase)
        with self.ledger.stage("pyramid"):
            self._pyramid(labels)

    def _pyramid(self, labels: ZarrOutput) -> None:
        for level in range(1, len(labels.levels)):
            source, target = labels.levels[level - 1 : level + 1]
            work = partial(_downsample, source, target)
            self._phase(f"pyramid_{level}", chunk_tiling(target.shape, labels.chunk), work)

    def _tiling(self, window: Window, level: int, chunks: int, halo: int) -> Tiling:
        planes = self.job.reader.image.num_planes
        return self.job.grid.tiling(window, level, chunks=chunks, halo=halo, planes=planes)

    def _phase(
        self,
        name: str,
        tiling: Tiling,
        work: Callable[[Task], dict[str, Any]],
        workers: int | None = None,
    ) -> None:
        plan = self.job.plan
        number = workers or plan.workers
        self.progress.phase(name, tiling, work, workers=number, most_kept=plan.most_kept)


def _downsample(source: Any, target: Any, task: Task) -> dict[str, Any]:
    downsample_labels(source, target, task.block.write)
    return {}
