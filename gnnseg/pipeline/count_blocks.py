"""Add up what the blocks of one image count, on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from gnnseg.execution import one_torch_thread, run_tasks
from gnnseg.memory import rss, trim
from gnnseg.pipeline.count_plan import LABEL_BYTES
from gnnseg.pipeline.plan import RUNTIME_BYTES
from gnnseg.pipeline.tiling import Task, Tiling
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.pipeline.counts import Counts, WindowCounts
    from gnnseg.pipeline.options import SegmentOptions
    from gnnseg.pipeline.pixel_plan import PixelPlan
    from gnnseg.pipeline.plan import Plan


def count_blocks(
    work: Callable[[Task], WindowCounts],
    tiling: Tiling,
    plan: Plan | PixelPlan,
    stop: threading.Event | None = None,
) -> Counts:
    """The figures of an image, whose blocks `work` counts; `stop` is set where it ends early."""
    found: list[WindowCounts] = []

    def done(_task: Task, counts: WindowCounts) -> None:
        found[:] = [found[0] + counts if found else counts]
        trim(above=plan.most_kept)
        bar.advance()

    with progress_bar("count", tiling.count) as bar, one_torch_thread():
        run_tasks(work, tiling.tasks(), workers=plan.workers, done=done, stop=stop)
    return found[0].of_image()


def check_labels(labels: LabelSource, side: int, options: SegmentOptions) -> None:
    """Read all labels, `side` x `side` pixels at once; `InputError` for one that is no class.

    On as many threads as the memory has room for.
    """
    tiling = Tiling(labels.bounds, side)
    each = side**2 * LABEL_BYTES + labels.read_bytes((side, side))
    room = options.memory - rss() - RUNTIME_BYTES - labels.resident_bytes
    workers = max(1, min(options.workers, room // each))
    with progress_bar("labels", tiling.count) as bar:
        run_tasks(
            lambda task: labels.read(task.block.write),
            tiling.tasks(),
            workers=workers,
            done=lambda _task, _labels: bar.advance(),
        )
