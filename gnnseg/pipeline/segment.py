"""Segment an image of any size: what is written, and what is done again after an interruption."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.execution import default_workers
from gnnseg.io import is_complete, open_image, remove_output
from gnnseg.io.ome_write import OmeVersion
from gnnseg.ledger import Ledger
from gnnseg.memory import default_budget, parse_size, peak_rss, reused_memory
from gnnseg.models import Model
from gnnseg.pipeline.job import Job, prepare
from gnnseg.pipeline.load import load_model
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.outputs import Outputs
from gnnseg.pipeline.refine import WIDTH
from gnnseg.pipeline.scratch import mark_graphs_complete
from gnnseg.pipeline.stream import stream_logits
from gnnseg.pipeline.summary import class_table, write_class_table

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.pixel_job import PixelJob


@reused_memory()
def segment(
    image: Any,
    model: Model | PixelModel | str | Path,
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
    model : Model, PixelModel or path
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
        pixels, seconds, peak_rss_bytes, classes, stages (as `gnnseg.ledger.Ledger` records them),
        sampler (what recording cost), output; of a model of regions also nodes, edges and
        leftover_pixels.

    Raises
    ------
    InputError, UsageError
        The image, the model or an argument cannot be used.
    MemoryBudgetError
        The budget is too small, before any work starts.
    StateError
        The output exists, or an unfinished run of other settings does.
    """
    net = load_model(model) if isinstance(model, (str, Path)) else model
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
    return run(prepare_any(source, net, options, mask), Path(out))


def prepare_any(
    image: ImageSource, model: Model | PixelModel, options: SegmentOptions, mask: Any = None
) -> Job | PixelJob:
    """Check everything that can be checked, and plan; touches no output."""
    if isinstance(model, Model):
        return prepare(image, model, options, mask)
    from gnnseg.pipeline.pixel_job import prepare_pixels

    return prepare_pixels(image, model, options, mask)


def run(job: Job | PixelJob, out: Path) -> dict[str, Any]:
    """Carry out a prepared job; figures as `segment` returns them."""
    started = time.monotonic()
    outputs = Outputs.at(out)
    outputs.check(job)
    settings = job.settings()  # reads the image: what is damaged fails before anything is removed
    if job.options.overwrite:
        outputs.clear()
    progress = Run.start(outputs.folder, settings)
    ledger = Ledger()
    try:
        job = job.resumed(progress)
        whole = progress.complete and is_complete(out) and progress.totals("paint")
        if not whole:
            _work(job, outputs, progress, ledger)
        figures = job.figures(progress)
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
        **figures,
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "resumed": progress.resumed,
        "classes": table,
        "plan": job.plan.as_dict(),
        "stages": ledger.as_dict(),
        "sampler": ledger.sampler(),
    }


def _work(job: Job | PixelJob, outputs: Outputs, progress: Run, ledger: Ledger) -> None:
    """All phases; the output is whole when the last line is done."""
    if isinstance(job, Job):
        stream_logits(job, progress, ledger).paint(outputs)
    else:
        from gnnseg.pipeline.bands import paint_bands

        paint_bands(job, outputs, progress, ledger)
    with ledger.stage("finish"):
        if job.options.keep and isinstance(job, Job):
            mark_graphs_complete(progress.scratch, job.model.num_levels)
        outputs.finish(job)
        progress.record("paint")
