"""Labelled images as pieces of region graphs, ready for batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.execution import default_workers, run_tasks
from gnnseg.graph import RegionTable, whole_table
from gnnseg.io.mirror import mirrored
from gnnseg.kernels.paint import count_labels
from gnnseg.progress import progress_bar
from gnnseg.superpixels import PixelReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnseg.datasets.item import Item
    from gnnseg.superpixels import Scaling, SlicSettings


@dataclass(frozen=True)
class Sample:
    """A piece of an image: its table, and pixels by class of each region, (N, classes)."""

    table: RegionTable
    counts: np.ndarray


def make_samples(
    items: Sequence[Item],
    settings: SlicSettings,
    scaling: Scaling,
    *,
    num_classes: int,
    tile: int | None = None,
    mirror: bool = False,
) -> list[Sample]:
    """Samples of labelled images, in order, each followed by its mirror image on request.

    `tile` cuts large images into pieces of that many cells on a side.
    """
    results: dict[int, list[Sample]] = {}
    tasks = [
        (2 * n + flip, item, bool(flip)) for n, item in enumerate(items) for flip in (0, mirror)
    ]
    tasks = tasks if mirror else tasks[::2]
    with progress_bar("region graphs", len(tasks)) as bar:

        def work(task: tuple[int, Item, bool]) -> list[Sample]:
            _, item, flip = task
            return _item_samples(item, settings, scaling, num_classes, tile, flip=flip)

        def done(task: tuple[int, Item, bool], samples: list[Sample]) -> None:
            results[task[0]] = samples
            bar.advance()

        run_tasks(work, tasks, workers=default_workers(), done=done)
    return [sample for key in sorted(results) for sample in results[key]]


def _item_samples(
    item: Item,
    settings: SlicSettings,
    scaling: Scaling,
    num_classes: int,
    tile: int | None,
    *,
    flip: bool,
) -> list[Sample]:
    image, labels = item.load()
    if flip:
        image, labels = mirrored(image), labels[:, ::-1]
    reader = PixelReader(image, scaling, settings)
    slots, table = whole_table(reader)
    counts = np.zeros((*table.window.shape, num_classes), np.int32)
    known = np.where(labels == item.classes.ignore_index, num_classes, labels).astype(np.uint16)
    count_labels(slots, settings.step, known, counts)
    windows = [table.window] if tile is None else list(table.window.split(tile))
    return [
        Sample(table.crop(window), counts[window.slices].reshape(window.size, num_classes))
        for window in windows
    ]
