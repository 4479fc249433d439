"""What the best possible label for every region would reach, before any training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.datasets import open_dataset
from gnnseg.datasets.item import Item, OpenedImages
from gnnseg.datasets.labelled import labelled_share
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.metrics import ConfusionMatrix
from gnnseg.metrics.boundary import count_recalled
from gnnseg.metrics.ceiling import count_ceiling, count_filled
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.step import check_target, suggest_step
from gnnseg.progress import Bar, progress_bar
from gnnseg.superpixels import Scaling, SlicSettings, fit_scaling, make_reader, superpixel_map

_SIDE = 1024
"""Pixels on a side that are measured at once, about."""
_TOLERANCE = 2
"""Pixels within which a boundary is met."""


def ceiling(
    dataset: Any,
    steps: Sequence[int] = (6, 8, 12, 16),
    *,
    split: str = "val",
    target: float | None = None,
    settings: SlicSettings | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """The IoU that superpixels of each step allow on a dataset, and the step to take.

    Parameters
    ----------
    dataset : path or Dataset
    steps : sequence of int
    split : "train", "val" or "test"
    target : float, optional
        The mIoU that the superpixels must allow, above 0 to 1; by default the knee of the curve
        decides (`suggest_step`).
    settings : SlicSettings, optional
        All but the step.
    workers : int, optional

    Returns
    -------
    dict
        `rows`: for each step, rising, regions_per_image, achievable_accuracy, ceiling_miou,
        boundary_recall (within 2 pixels, mean over the images) and per_class_iou by name (NaN for
        a class that the split lacks). `labelled_share`: that of the pixels with a label.
        `suggestion`: what `suggest_step` says.

    Raises
    ------
    InputError, UsageError
        The dataset cannot be used or has no labelled pixel there, or an argument is wrong.
    """
    check_target(target)
    started = time.monotonic()
    data = open_dataset(dataset)
    items = data.filled_split(split)
    if not steps:
        raise UsageError("give at least one step, such as --steps 8,16")
    scaling = fit_scaling(OpenedImages(items))
    base = settings or SlicSettings()
    every = [replace(base, step=step) for step in sorted(set(steps))]
    threads = workers or default_workers()
    labelled = labelled_share(items, threads)
    if labelled == 0:
        raise InputError(f"{data.name}: no pixel of the split {split!r} has a label: label some")
    with progress_bar("ceiling", len(items) * len(every)) as bar:
        rows = [
            _row(items, data.num_classes, each, scaling, workers=threads, bar=bar) for each in every
        ]
    for row in rows:
        row["per_class_iou"] = dict(zip(data.classes.names, row["per_class_iou"], strict=True))
    return {
        "dataset": Path(data.name).name,
        "split": split,
        "num_images": len(items),
        "rows": rows,
        "labelled_share": labelled,
        "suggestion": suggest_step(rows, target, labelled),
        "seconds": time.monotonic() - started,
    }


def _row(
    items: list[Item],
    num_classes: int,
    settings: SlicSettings,
    scaling: Scaling,
    *,
    workers: int,
    bar: Bar,
) -> dict[str, Any]:
    counts = np.zeros((num_classes, num_classes + 1), np.int64)
    recalls: list[float] = []
    regions = 0

    def work(item: Item) -> _Found:
        return _measure(item, settings, scaling)

    def done(_item: Item, found: _Found) -> None:
        nonlocal regions
        counts[:] += found.counts
        regions += found.regions
        recalls.append(found.recall)
        bar.advance()

    run_tasks(work, items, workers=workers, done=done)
    total = ConfusionMatrix(counts)
    return {
        "step": settings.step,
        "regions_per_image": regions / len(items),
        "achievable_accuracy": total.pixel_accuracy,
        "ceiling_miou": total.miou,
        "boundary_recall": sum(sorted(recalls)) / len(recalls),
        "per_class_iou": total.per_class_iou.tolist(),
    }


@dataclass(frozen=True, eq=False)
class _Found:
    """Pixels by true and by commonest class, boundary recall, and regions of one image."""

    counts: np.ndarray
    recall: float
    regions: int


def _measure(item: Item, settings: SlicSettings, scaling: Scaling) -> _Found:
    """Measure one image, of a stack the first plane: slots are held, windows are looked at."""
    image, labels = item.open_pair()
    found = superpixel_map(make_reader(image, settings=settings, scaling=scaling))
    if image.is_stack:
        found = replace(found, slots=found.slots[0])
    lattice, num_classes = found.lattice, item.classes.num_classes
    counts = np.zeros((num_classes, num_classes + 1), np.int64)
    met = true = regions = 0
    for homes in lattice.cells.split(max(1, _SIDE // lattice.step)):
        near = homes.grow(PAINT_HALO).clip(lattice.cells)
        covered, own = lattice.pixels(near), homes.relative_to(near)
        slots = found.slots[covered.slices]
        counts += count_ceiling(slots, labels.read(covered), lattice.step, own, num_classes)
        regions += count_filled(slots, lattice.step, own)
        window = lattice.pixels(homes)
        seen = window.grow(_TOLERANCE + 1).clip(lattice.bounds)
        here = count_recalled(
            labels.read(seen),
            found.ids(seen),
            inside=window.relative_to(seen).slices,
            tolerance=_TOLERANCE,
            ignore_index=item.classes.ignore_index,
        )
        met, true = met + here[0], true + here[1]
    return _Found(counts, met / true if true else 1.0, regions)
