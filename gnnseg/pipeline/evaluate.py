"""Measure a model on labelled images, on pixels after painting."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.graph import whole_table
from gnnseg.metrics import ConfusionMatrix, ceiling_labels
from gnnseg.models import Model, load_model
from gnnseg.paint import paint
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
        ceiling_miou (every region labelled with its commonest class), num_images, seconds.

    Raises
    ------
    InputError
        The split is empty, or classes or channels do not fit the model.
    """
    started = time.monotonic()
    net = model if isinstance(model, Model) else load_model(model)
    items, name = _items(images, labels, net, split)
    total = ceiling = ConfusionMatrix.zeros(net.classes.num_classes)

    def done(_item: Item, matrices: tuple[ConfusionMatrix, ConfusionMatrix]) -> None:
        nonlocal total, ceiling
        total, ceiling = total + matrices[0], ceiling + matrices[1]
        bar.advance()

    with progress_bar("evaluate", len(items)) as bar:
        run_tasks(
            lambda item: _measure(item, net), items, workers=workers or default_workers(), done=done
        )
    figures = total.as_dict(net.classes.names)
    return {
        "dataset": Path(name).name,
        "split": split if labels is None else None,
        "miou": total.miou,
        "pixel_accuracy": total.pixel_accuracy,
        "dice": total.dice,
        "per_class_iou": figures["per_class_iou"],
        "ceiling_miou": ceiling.miou,
        "num_images": len(items),
        "seconds": time.monotonic() - started,
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


def _measure(item: Item, model: Model) -> tuple[ConfusionMatrix, ConfusionMatrix]:
    """Confusion matrices of the prediction, and of the commonest class of every region."""
    from gnnseg.models.stem_window import plane_logits

    image, truth = item.load()
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    node_labels = plane_logits(model, reader, slots, table).argmax(axis=1).astype(np.int32)
    prediction = paint(slots, node_labels, step=model.settings.step, fill=item.classes.ignore_index)
    regions = Superpixels(slots, reader.lattice, model.settings, model.scaling, 0)
    best = ceiling_labels(truth, regions.ids(), ignore_index=item.classes.ignore_index)
    size = model.classes.num_classes, item.classes.ignore_index
    return ConfusionMatrix.of(truth, prediction, *size), ConfusionMatrix.of(truth, best, *size)
