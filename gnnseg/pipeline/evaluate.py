"""Measure a model on labelled images, on pixels after painting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.graph import whole_table
from gnnseg.metrics import Calibration, ConfusionMatrix, boundary_f1, ceiling_labels
from gnnseg.models import Model, load_model
from gnnseg.paint import paint
from gnnseg.pipeline.probability import entropy, softmax
from gnnseg.pipeline.refine import WIDTH, Mixture
from gnnseg.pipeline.refine import refine as refine_borders
from gnnseg.progress import progress_bar
from gnnseg.superpixels import PixelReader, Superpixels


def evaluate(
    images: Any,
    model: Model | str | Path,
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
    model : Model or path
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
        ceiling_miou (every region labelled with its commonest class), ece and error_auroc
        (as in `gnnseg.metrics.Calibration`), ece_uncalibrated (without the model's temperature),
        num_images, seconds. With `refine` also miou_unrefined, boundary_f1 and
        boundary_f1_unrefined (within 2 pixels, mean over the images).

    Raises
    ------
    InputError
        The split is empty, or classes or channels do not fit the model.
    """
    started = time.monotonic()
    net = model if isinstance(model, Model) else load_model(model)
    items, name = _items(images, labels, net, split)
    total, width = _Counts.zeros(net.classes.num_classes), WIDTH if refine else 0

    def done(_item: Item, counts: _Counts) -> None:
        nonlocal total
        total += counts
        bar.advance()

    with progress_bar("evaluate", len(items)) as bar:
        run_tasks(
            partial(_measure, model=net, width=width),
            items,
            workers=workers or default_workers(),
            done=done,
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
        **(total.refinement() if refine else {}),
    }


@dataclass(frozen=True)
class _Counts:
    """What is counted of every image: it adds up."""

    prediction: ConfusionMatrix
    ceiling: ConfusionMatrix
    calibrated: Calibration
    uncalibrated: Calibration
    unrefined: ConfusionMatrix
    boundary_f1: tuple[tuple[float, ...], ...]

    @classmethod
    def zeros(cls, num_classes: int) -> _Counts:
        matrix, pixels = ConfusionMatrix.zeros(num_classes), Calibration.zeros()
        return cls(matrix, matrix, pixels, pixels, matrix, ())

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(
            self.prediction + other.prediction,
            self.ceiling + other.ceiling,
            self.calibrated + other.calibrated,
            self.uncalibrated + other.uncalibrated,
            self.unrefined + other.unrefined,
            self.boundary_f1 + other.boundary_f1,
        )

    def refinement(self) -> dict[str, float]:
        """What refining borders changed."""
        known = [scores for scores in self.boundary_f1 if not np.isnan(scores).any()]
        # Images end in any order: only an exact sum is always the same.
        before, after = (
            fsum(scores[n] for scores in known) / len(known) if known else float("nan")
            for n in range(2)
        )
        return {
            "miou_unrefined": self.unrefined.miou,
            "boundary_f1": after,
            "boundary_f1_unrefined": before,
        }


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


def _measure(item: Item, model: Model, width: int) -> _Counts:
    """Counts of the prediction, and of the commonest class of every region."""
    from gnnseg.models.stem_window import plane_logits

    image, truth = item.load()
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    logits = plane_logits(model, reader, slots, table)
    step, ignore = model.settings.step, item.classes.ignore_index
    painted = paint(slots, logits.argmax(axis=1).astype(np.int32), step=step, fill=ignore)
    regions = Superpixels(slots, reader.lattice, model.settings, model.scaling, 0)
    best = ceiling_labels(truth, regions.ids(), ignore_index=ignore)
    bounds = reader.lattice.bounds

    def load() -> tuple[Mixture, np.ndarray]:
        return Mixture.of(table, logits, model.scaling, (0, 0)), reader.read(bounds).work

    borders = refine_borders(painted, slots, bounds, width=width, unlabelled=ignore, load=load)
    band = list(borders) if width else []
    prediction = painted.copy()
    for places, mixed in band:
        prediction[places] = mixed.argmax(axis=1)
    known = (truth != ignore) & (prediction != ignore)

    def calibration(temperature: float) -> Calibration:
        sure, doubt = (paint(slots, values, step=step) for values in _surety(logits, temperature))
        for places, mixed in band:
            sure[places], doubt[places] = _surety(mixed, temperature)
        return Calibration.of((truth == prediction)[known], sure[known], doubt[known])

    def f1(labels: np.ndarray) -> float:
        return boundary_f1(truth, labels, ignore_index=ignore)

    def matrix(labels: np.ndarray) -> ConfusionMatrix:
        return ConfusionMatrix.of(truth, labels, model.classes.num_classes, ignore)

    return _Counts(
        matrix(prediction),
        matrix(best),
        calibration(model.temperature),
        calibration(1.0),
        matrix(painted),
        (tuple(map(f1, (painted, prediction))),) if width else (),
    )


def _surety(logits: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the likeliest class, and entropy, (N,) each."""
    chances = softmax(logits, temperature)
    return chances.max(axis=1), entropy(chances)
