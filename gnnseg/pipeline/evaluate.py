"""Measure a model on labelled images, on pixels after painting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.graph import whole_table
from gnnseg.metrics import Calibration, ConfusionMatrix, ceiling_labels
from gnnseg.models import Model, load_model
from gnnseg.paint import paint
from gnnseg.pipeline.probability import entropy, softmax
from gnnseg.progress import progress_bar
from gnnseg.superpixels import PixelReader, Superpixels


def evaluate(
    images: Any,
    model: Model | str | Path,
    labels: Any = None,
    *,
    split: str = "test",
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure a model on one split of a dataset, with one confusion matrix for all its images.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset, of which `split` is taken; or images, together with `labels`.
    model : Model or path
    labels : sequence of (H, W) integer arrays, optional
    split : "train", "val" or "test"
    workers : int, optional
        Threads.

    Returns
    -------
    dict
        miou, pixel_accuracy, dice, per_class_iou by name (NaN for a class that is absent),
        ceiling_miou (every region labelled with its commonest class), ece and error_auroc
        (as in `gnnseg.metrics.Calibration`), ece_uncalibrated (without the model's temperature),
        num_images, seconds.

    Raises
    ------
    InputError
        The split is empty, or classes or channels do not fit the model.
    """
    started = time.monotonic()
    net = model if isinstance(model, Model) else load_model(model)
    items, name = _items(images, labels, net, split)
    total = _Counts.zeros(net.classes.num_classes)

    def done(_item: Item, counts: _Counts) -> None:
        nonlocal total
        total += counts
        bar.advance()

    with progress_bar("evaluate", len(items)) as bar:
        run_tasks(
            lambda item: _measure(item, net), items, workers=workers or default_workers(), done=done
        )
    matrix = total.prediction
    return {
        "dataset": Path(name).name,
        "split": split if labels is None else None,
        "miou": matrix.miou,
        "pixel_accuracy": matrix.pixel_accuracy,
        "dice": matrix.dice,
        "per_class_iou": matrix.as_dict(net.classes.names)["per_class_iou"],
        "ceiling_miou": total.ceiling.miou,
        "ece": total.calibrated.ece,
        "ece_uncalibrated": total.uncalibrated.ece,
        "error_auroc": total.calibrated.auroc,
        "num_images": len(items),
        "seconds": time.monotonic() - started,
    }


@dataclass(frozen=True)
class _Counts:
    """What is counted of every image: it adds up."""

    prediction: ConfusionMatrix
    ceiling: ConfusionMatrix
    calibrated: Calibration
    uncalibrated: Calibration

    @classmethod
    def zeros(cls, num_classes: int) -> _Counts:
        matrix, pixels = ConfusionMatrix.zeros(num_classes), Calibration.zeros()
        return cls(matrix, matrix, pixels, pixels)

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(
            self.prediction + other.prediction,
            self.ceiling + other.ceiling,
            self.calibrated + other.calibrated,
            self.uncalibrated + other.uncalibrated,
        )


def _items(images: Any, labels: Any, model: Model, split: str) -> tuple[list[Item], str]:
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


def _measure(item: Item, model: Model) -> _Counts:
    """Counts of the prediction, and of the commonest class of every region."""
    image, truth = item.load()
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    logits, step, ignore = model.logits(table), model.settings.step, item.classes.ignore_index
    prediction = paint(slots, logits.argmax(axis=1).astype(np.int32), step=step, fill=ignore)
    regions = Superpixels(slots, reader.lattice, model.settings, model.scaling, 0)
    best = ceiling_labels(truth, regions.ids(), ignore_index=ignore)
    known = (truth != ignore) & (prediction != ignore)

    def calibration(temperature: float) -> Calibration:
        chances = softmax(logits, temperature)
        measures = chances.max(axis=1), entropy(chances)
        painted = (paint(slots, values, step=step)[known] for values in measures)
        return Calibration.of((truth == prediction)[known], *painted)

    return _Counts(
        ConfusionMatrix.of(truth, prediction, model.classes.num_classes, ignore),
        ConfusionMatrix.of(truth, best, model.classes.num_classes, ignore),
        calibration(model.temperature),
        calibration(1.0),
    )
