"""What the best possible label for every region would reach, before any training."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gnnseg.datasets import open_dataset
from gnnseg.datasets.item import Item, OpenedImages
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.metrics import ConfusionMatrix, boundary_recall, ceiling_labels
from gnnseg.pipeline.step import check_target, suggest_step
from gnnseg.progress import Bar, progress_bar
from gnnseg.superpixels import Scaling, SlicSettings, fit_scaling, make_reader, superpixel_map


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
        a class that the split lacks). `suggestion`: what `suggest_step` says.

    Raises
    ------
    InputError, UsageError
        The dataset cannot be used or has no labelled pixel there, or an argument is wrong.
    """
    check_target(target)
    started = time.monotonic()
    data = open_dataset(dataset)
    items = data.split(split)
    if not items:
        raise UsageError(f"{data.name} has no images in the split {split!r}")
    if not steps:
        raise UsageError("give at least one step, such as --steps 8,16")
    scaling = fit_scaling(OpenedImages(items))
    base = settings or SlicSettings()
    every = [replace(base, step=step) for step in sorted(set(steps))]
    threads = workers or default_workers()
    with progress_bar("ceiling", len(items) * len(every)) as bar:
        rows = [
            _row(items, data.num_classes, each, scaling, workers=threads, bar=bar) for each in every
        ]
    if math.isnan(rows[0]["ceiling_miou"]):
        raise InputError(f"{data.name}: no pixel of the split {split!r} has a label: label some")
    for row in rows:
        row["per_class_iou"] = dict(zip(data.classes.names, row["per_class_iou"], strict=True))
    return {
        "dataset": Path(data.name).name,
        "split": split,
        "num_images": len(items),
        "rows": rows,
        "suggestion": suggest_step(rows, target),
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
    total = ConfusionMatrix.zeros(num_classes)
    recalls: list[float] = []
    regions = 0

    def work(item: Item) -> tuple[ConfusionMatrix, float, int]:
        image, truth = item.load()
        ids = superpixel_map(make_reader(image, settings=settings, scaling=scaling)).ids()
        ignore = item.classes.ignore_index
        best = ceiling_labels(truth, ids, ignore_index=ignore)
        recall = boundary_recall(truth, ids, ignore_index=ignore)
        return ConfusionMatrix.of(truth, best, num_classes, ignore), recall, _count(ids)

    def done(_item: Item, result: tuple[ConfusionMatrix, float, int]) -> None:
        nonlocal total, regions
        total, regions = total + result[0], regions + result[2]
        recalls.append(result[1])
        bar.advance()

    run_tasks(work, items, workers=workers, done=done)
    known = sorted(recall for recall in recalls if recall == recall)  # noqa: PLR0124
    return {
        "step": settings.step,
        "regions_per_image": regions / len(items),
        "achievable_accuracy": total.pixel_accuracy,
        "ceiling_miou": total.miou,
        "boundary_recall": sum(known) / len(known) if known else float("nan"),
        "per_class_iou": total.per_class_iou.tolist(),
    }


def _count(ids: Any) -> int:
    import numpy as np

    found = np.unique(ids)
    return int((found >= 0).sum())
