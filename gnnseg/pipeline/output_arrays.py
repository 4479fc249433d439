"""The arrays of an output: opened for painting, and halved again and again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gnnseg.io import ZarrOutput, downsample_labels
from gnnseg.pipeline.canvas import Canvas
from gnnseg.pipeline.tiling import Task, chunk_tiling

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.outputs import Outputs
    from gnnseg.pipeline.pixel_job import PixelJob


def open_canvas(outputs: Outputs, job: Job | PixelJob, progress: Run) -> tuple[ZarrOutput, Canvas]:
    """The labels, and all arrays of full size."""
    labels = outputs.open_labels(job, progress)
    maps = outputs.open_maps(job, progress)
    model = job.model
    arrays = {name: output.levels[0] for name, output in maps.items()}
    canvas = Canvas(
        model.classes.num_classes,
        model.temperature,
        job.options.label_offset,
        labels.levels[0],
        **arrays,
    )
    return labels, canvas


def write_pyramid(labels: ZarrOutput, progress: Run, *, workers: int, most_kept: int) -> None:
    """The smaller levels, each from the one before."""
    for level in range(1, len(labels.levels)):
        source, target = labels.levels[level - 1 : level + 1]
        work = partial(_downsample, source, target)
        tiling = chunk_tiling(target.shape, labels.chunk)
        name = f"pyramid_{level}"
        progress.phase(name, tiling, work, workers=workers, most_kept=most_kept)


def _downsample(source: Any, target: Any, task: Task) -> dict[str, Any]:
    downsample_labels(source, target, task.block.write)
    return {}
