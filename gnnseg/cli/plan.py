"""What `gnnseg segment --dry-run` prints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.cli.output import emit, seconds
from gnnseg.execution import default_workers
from gnnseg.log import LOGGER
from gnnseg.memory import format_size
from gnnseg.pipeline.estimate import estimate_seconds
from gnnseg.pipeline.job import Job
from gnnseg.pipeline.manifest import check_settings
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.outputs import Outputs
from gnnseg.pipeline.segment import prepare_any

if TYPE_CHECKING:
    from gnnseg.baselines import PixelModel
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.pixel_job import PixelJob


def print_plan(
    source: ImageSource,
    model: Model | PixelModel,
    out: Path,
    *,
    mask: Path | None,
    memory: int,
    given: dict[str, Any],
    as_json: bool,
) -> None:
    """Plan a segmentation, print the plan, and write nothing; `given` are other options."""
    options = SegmentOptions(
        memory=memory,
        **{**given, "workers": given["workers"] or default_workers()},
    )
    job = prepare_any(source, model, options, mask)
    outputs = Outputs.at(out)
    outputs.check(job)
    if not options.overwrite:
        check_settings(outputs.folder, job.settings())
    about, words = _regions(job) if isinstance(job, Job) else _bands(job)
    result = {
        "dry_run": True,
        "pixels": job.roi.size * job.reader.image.num_planes,
        "memory_bytes": options.memory,
        "projected_bytes": job.plan.projected_bytes,
        "workers": job.plan.workers,
        "free_disk_bytes": _free(out),
        "output": str(out),
        **about,
    }
    needed, free = result["scratch_bytes"], result["free_disk_bytes"]
    if needed > free:
        LOGGER.warning("%s are free on the disk; the scratch may need more", format_size(free))
    memory_of = f"{format_size(result['projected_bytes'])} of {format_size(options.memory)}"
    rows = [
        ("pixels", f"{result['pixels']:,}"),
        *words,
        ("memory", memory_of),
        ("time", f"about {seconds(result['estimated_seconds'])}, judged by one piece of the image"),
        ("scratch", f"at most {format_size(needed)}, {format_size(free)} are free"),
        ("output", f"{out} (nothing is written now)"),
    ]
    emit(result, rows, as_json=as_json)


def _regions(job: Job) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and blocks of a model of regions, for JSON and in words."""
    step, planes, plan = job.grid.lattice.step, job.reader.image.num_planes, job.plan
    side = plan.region_chunks * job.grid.chunk * step
    about = {
        "nodes": job.roi.coarsen(step).size * planes,
        "block": side,
        "blocks": sum(1 for _ in job.roi.split(side)) * planes,
        "scratch_bytes": plan.scratch_bytes,
        "estimated_seconds": estimate_seconds(job),
    }
    blocks = f"{about['blocks']:,} of {side} x {side} pixels, {plan.workers} at a time"
    return about, [("nodes", f"{about['nodes']:,}"), ("blocks", blocks)]


def _bands(job: PixelJob) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Tiles and bands of a convolutional network, likewise."""
    from gnnseg.pipeline.pixel_job import estimate_pixel_seconds, num_tiles

    side, model = job.plan.band_chunks * job.chunk, job.model
    about = {
        "tiles": num_tiles(job),
        "block": side,
        "blocks": job.bands.number(job.plan.band_chunks),
        "scratch_bytes": 0,
        "estimated_seconds": estimate_pixel_seconds(job),
    }
    tiles = f"{about['tiles']:,} of {model.tile} pixels that share {model.overlap}"
    bands = f"{about['blocks']:,} of {side} pixels across, {job.plan.workers} at a time"
    return about, [("tiles", tiles), ("bands", bands)]


def _free(out: Path) -> int:
    """Free bytes on the disk of the nearest folder above `out` that exists."""
    folder = next(folder for folder in out.absolute().parents if folder.is_dir())
    return shutil.disk_usage(folder).free
