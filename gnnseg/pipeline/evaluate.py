"""Measure a model on labelled images, on pixels after painting."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, one_torch_thread, run_tasks
from gnnseg.models import Model
from gnnseg.pipeline.counts import Counts
from gnnseg.pipeline.load import load_model
from gnnseg.pipeline.refine import WIDTH
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    from gnnseg.baselines.model import PixelModel


def evaluate(
    images: Any,
    model: Model | PixelModel | str | Path,
    labels: Any = None,
    *,
    split: str = "test",
    refine: bool = False,
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure a model on one split of a dataset, with one confusion matrix for all its images.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset, of which `split` is taken; or images, together with `labels`.
    model : Model, PixelModel or path
    labels : sequence of (H, W) integer arrays, optional
    split : "train", "val" or "test"
    refine : bool
        Refine the pixels along borders, as `segment` does.
    workers : int, optional
        Threads.

    Returns
    -------
    dict
        miou, pixel_accuracy, dice, per_class_iou by name (NaN for a class that is absent),
        ceiling_miou (every region labelled with its commonest class; None for a convolutional
        network), ece and error_auroc
        (as in `gnnseg.metrics.Calibration`), ece_uncalibrated (without the model's temperature),
        num_images, seconds. With `refine` also miou_unrefined, boundary_f1 and
        boundary_f1_unrefined (within 2 pixels, mean over the images).

    Raises
    ------
    InputError
        The split is empty, or classes or channels do not fit the model.
    """
    started = time.monotonic()
    net = load_model(model) if isinstance(model, (str, Path)) else model
    items, name = _items(images, labels, net, split)
    work = _measure_with(net, refine=refine)
    total = Counts.zeros(net.classes.num_classes)

    def done(_item: Item, counts: Counts) -> None:
        nonlocal total
        total += counts
        bar.advance()

    with progress_bar("evaluate", len(items)) as bar, one_torch_thread():
        run_tasks(work, items, workers=workers or default_workers(), done=done)
    matrix = total.prediction
    return {
        "dataset": Path(name).name,
        "split": split if labels is None else None,
        "miou": matrix.miou,
        "pixel_accuracy": matrix.pixel_accuracy,
        "dice": matrix.dice,
        "per_class_iou": matrix.as_dict(net.classes.names)["per_class_iou"],
        "ceiling_miou": None if total.ceiling is None else total.ceiling.miou,
        "ece": total.calibrated.ece,
        "ece_uncalibrated": total.uncalibrated.ece,
        "error_auroc": total.calibrated.auroc,
        "num_images": len(items),
        "seconds": time.monotonic() - started,
        **(total.refinement() if refine else {}),
    }


def _items(
    images: Any, labels: Any, model: Model | PixelModel, split: str
) -> tuple[list[Item], str]:
    if labels is not None:
        given = ArrayDataset(images, labels, model.classes, val=0.0)
        return given.split("train"), given.name
    dataset = open_dataset(images)
    if dataset.classes.names != model.classes.names:
        raise InputError(
            f"{dataset.name} has the classes {', '.join(dataset.classes.names)} and the model "
            f"{', '.join(model.classes.names)}: evaluate on the kind of data it was trained on"
        )
    items = dataset.split(split)
    if not items:
        raise UsageError(f"{dataset.name} has no images in the split {split!r}")
    return items, dataset.name


def _measure_with(model: Model | PixelModel, *, refine: bool) -> Callable[[Item], Counts]:
    """What measures a model on one image."""
    if isinstance(model, Model):
        from gnnseg.pipeline.measure_regions import measure_regions

        return partial(measure_regions, model=model, width=WIDTH if refine else 0)
    from gnnseg.pipeline.measure_pixels import measure_pixels

    if refine:
        raise UsageError("borders are refined between regions: a convolutional network has none")
    return partial(measure_pixels, model=model)
