"""What `gnnseg segment --dry-run` prints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.cli.output import emit, seconds, warn
from gnnseg.execution import default_workers
from gnnseg.memory import format_size
from gnnseg.pipeline.estimate import estimate_seconds
from gnnseg.pipeline.job import prepare
from gnnseg.pipeline.options import SegmentOptions

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.job import Job


def print_plan(
    source: ImageSource,
    model: Model,
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
    job = prepare(source, model, options, mask)
    result = {**_figures(job), "free_disk_bytes": _free(out), "output": str(out)}
    result["estimated_seconds"] = estimate_seconds(job)
    needed, free = result["scratch_bytes"], result["free_disk_bytes"]
    if needed > free:
        warn(f"{format_size(free)} are free on the disk; the scratch may need more")
    side = result["block"]
    at_a_time = f"{result['workers']} at a time"
    memory_of = f"{format_size(result['projected_bytes'])} of {format_size(options.memory)}"
    rows = [
        ("pixels", f"{result['pixels']:,}"),
        ("nodes", f"{result['nodes']:,}"),
        ("blocks", f"{result['blocks']:,} of {side} x {side} pixels, {at_a_time}"),
        ("memory", memory_of),
        ("time", f"about {seconds(result['estimated_seconds'])}, judged by one piece of the image"),
        ("scratch", f"at most {format_size(needed)}, {format_size(free)} are free"),
        ("output", f"{out} (nothing is written now)"),
    ]
    emit(result, rows, as_json=as_json)


def _figures(job: Job) -> dict[str, Any]:
    step, planes = job.grid.lattice.step, job.reader.image.num_planes
    side = job.plan.region_chunks * job.grid.chunk * step
    return {
        "dry_run": True,
        "pixels": job.roi.size * planes,
        "nodes": job.roi.coarsen(step).size * planes,
        "block": side,
        "blocks": sum(1 for _ in job.roi.split(side)) * planes,
        "workers": job.plan.workers,
        "memory_bytes": job.options.memory,
        "projected_bytes": job.plan.projected_bytes,
        "scratch_bytes": job.plan.scratch_bytes,
    }


def _free(out: Path) -> int:
    """Free bytes on the disk of the nearest folder above `out` that exists."""
    folder = next(folder for folder in out.absolute().parents if folder.is_dir())
    return shutil.disk_usage(folder).free
