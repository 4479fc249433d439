"""Train a model on labelled images."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.item import OpenedImages
from gnnseg.errors import InputError
from gnnseg.ledger import staged
from gnnseg.memory import reused_memory, trim
from gnnseg.models.model import Model
from gnnseg.models.presets import get_preset, select_features
from gnnseg.superpixels import fit_scaling
from gnnseg.training.augmentation import choose_augmentation
from gnnseg.training.compactness import choose_compactness
from gnnseg.training.config import TrainConfig, make_config
from gnnseg.training.distributed import train_on_devices
from gnnseg.training.live import check_shown, watching
from gnnseg.training.loop import pick_device
from gnnseg.training.samples import Sample, make_samples
from gnnseg.training.session import Session
from gnnseg.training.shelf import Kept, Shelf, open_shelf
from gnnseg.training.trainer import Trainer
from gnnseg.training.validating import held_numbers, val_items, warn_of_itself, warn_of_unseen
from gnnseg.training.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gnnseg.datasets.base import Dataset
    from gnnseg.datasets.item import Item
    from gnnseg.io import ImageSource
    from gnnseg.ledger import Ledger

FIXED_VIEW_IMAGES = 100
"""From this many images of one size on, the position in the image is taken to mean something."""


VAL_TILE = 128
"""Cells on a side of the pieces that validate, at least: their borders have less around them."""

LEAST_TILE = 24
"""As pieces begin at multiples of 16, this cuts what is larger in parts of 9 to 24 cells: into such
the only piece of a training is cut, so that one may validate."""


@reused_memory()
def train(
    images: Any,
    labels: Any = None,
    *,
    classes: Any = None,
    val: float = 0.2,
    config: TrainConfig | None = None,
    checkpoint: str | Path | None = None,
    plot: str | Path | None = None,
    ledger: Ledger | None = None,
    **settings: Any,
) -> Model:
    """Train a model.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset folder, or images as arrays or paths, together with `labels`.
    labels : sequence of (H, W) integer arrays, optional
    classes : ClassInfo, int or sequence of names, optional
        With `labels`; default: as many classes as the labels name.
    val : float
        Share of the images that validates, where the dataset does not say.
    config : TrainConfig, optional
        Or its fields as keywords, such as `preset="default"`, `step=8`, `epochs=60`, `seed=0`.
    checkpoint : path, optional
        File that the training is kept in, every few minutes and after epochs. Where it exists, the
        training goes on from it. It stays: delete it once the model is saved.
    plot : path, optional
        PNG that is drawn anew while the training goes on; no other file is replaced.
    ledger : Ledger, optional
        Records the stages `regions` (superpixels, features and graphs of all variants, made or
        taken from a cache), `updates` and `validation`; with several devices, the last two are
        those of process 0.

    Returns
    -------
    Model
        With `training["history"]` by epoch.

    Raises
    ------
    InputError
        The dataset cannot be used.
    UsageError
        A setting is wrong.
    StateError
        The checkpoint is of other settings, or of other images, or `plot` is another file.
    MissingDependencyError
        `tensorboard` is set, and not installed.

    Notes
    -----
    A run bounded by `epochs` gives the same bits each time on one machine, interrupted or not; one
    bounded by `max_minutes` need not. These count all parts of an interrupted run.
    """
    config = config or make_config(**settings)
    pick_device(config.device, size=config.devices)
    check_shown(config, plot)
    dataset = gather_dataset(images, labels, classes, val)
    session = Session(dataset, config, val, checkpoint)
    train_items = dataset.split("train")
    if not train_items:
        raise InputError(f"{dataset.name} has no training images: list some in train.txt")
    held = val_items(dataset)
    sources = OpenedImages(train_items)
    config = choose_augmentation(config, sources, dataset.pixel_size)
    with open_shelf(config) as shelf:
        with staged(ledger, "regions"):
            scaling = fit_scaling(sources, by_image=config.contrast == "image")
            config = choose_compactness(config, held or train_items, scaling, dataset.num_classes)
            model = _new_model(dataset, sources, scaling, config)
            samples, val_samples = _samples(dataset, held, model, config, shelf, val=val)
            first = (piece for variants in samples for piece in variants[0])
            warn_of_unseen(dataset, _pixels(first), _pixels(val_samples))
            _set_statistics(model, samples)
            trim()
        shown = None if plot is None else Path(plot)
        with watching(config, shown, session.first_epoch) as watch:
            bounds = session.deadline, session.checkpoint
            work = Work(Trainer, model, samples, val_samples, config, *bounds)
            history = train_on_devices(work, watch, ledger)
    session.end(model, config, history)
    return model


def gather_dataset(images: Any, labels: Any, classes: Any, val: float) -> Dataset:
    """A dataset by path, or one of images and labels."""
    if labels is None:
        return open_dataset(images, val=val)
    if classes is None:
        classes = int(max(np.max(label[label != 255], initial=0) for label in labels)) + 1
    if not isinstance(classes, int) and not hasattr(classes, "num_classes"):
        from gnnseg.io import ClassInfo

        classes = ClassInfo(tuple(classes))
    return ArrayDataset(images, labels, classes, val)


def pixel_size_of(
    sizes: Iterable[tuple[float, float] | None], dataset: Dataset
) -> tuple[float, float] | None:
    """The pixel size (y, x) in micrometres that all images have which tell it; or the dataset's."""
    told = {size for size in sizes if size is not None}
    return told.pop() if len(told) == 1 else dataset.pixel_size


def _samples(
    dataset: Dataset,
    held: list[Item],
    model: Model,
    config: TrainConfig,
    shelf: Shelf,
    *,
    val: float,
) -> tuple[list[list[list[Kept]]], list[Kept]]:
    """Pieces of each variant of each image that trains, and those that validate.

    Those with labels only. Where no image is `held`, pieces are, and images are not varied.
    """
    make = partial(
        make_samples,
        scaling=model.scaling,
        config=config,
        num_classes=dataset.num_classes,
        keep=shelf.keep,
        stem=model.network.stem,
    )
    train_items = dataset.split("train")
    if held:
        made = make(train_items, tile=config.tile, augment=True)
        seen = make(held, tile=max(config.tile, VAL_TILE))
        varied = _labelled(made, dataset.name, "training")
        return varied, _pieces(_labelled(seen, dataset.name, "val"))

    def labelled(tile: int) -> list[list[list[Kept]]]:
        return _labelled(make(train_items, tile=tile), dataset.name, "training")

    tile = config.tile
    images = labelled(tile)
    while len(_pieces(images)) == 1 and tile > LEAST_TILE:
        tile = max(tile // 2, LEAST_TILE)
        images = labelled(tile)
    return _hold_out(images, val, dataset.name)


def _labelled(images: list[list[list[Kept]]], name: str, split: str) -> list[list[list[Kept]]]:
    """What has a labelled pixel: the rest has nothing to teach, and nothing to measure.

    Images count by what they are, not varied.
    """
    kept = []
    for variants in images:
        if any(piece.labelled for piece in variants[0]):
            seen = [[piece for piece in pieces if piece.labelled] for pieces in variants]
            kept.append([pieces for pieces in seen if pieces])
    if not kept:
        raise InputError(
            f"{name}: no pixel of the {split} images has a label (255 means none): label some"
        )
    return kept


def _pieces(images: list[list[list[Kept]]]) -> list[Kept]:
    """All pieces of images that are not varied."""
    return [piece for [pieces] in images for piece in pieces]


def _pixels(pieces: Iterable[Kept]) -> np.ndarray:
    """Labelled pixels by class, (classes,)."""
    return np.sum([piece.pixels for piece in pieces], axis=0)


def _hold_out(
    images: list[list[list[Kept]]], val: float, name: str
) -> tuple[list[list[list[Kept]]], list[Kept]]:
    """Let every n-th piece validate where no image does; a single one validates itself."""
    pieces = _pieces(images)
    if len(pieces) == 1:
        warn_of_itself(name)
        return images, pieces
    held = held_numbers(len(pieces), val)
    numbers = count()
    kept = [[[piece for piece in own if next(numbers) not in held]] for [own] in images]
    return [image for image in kept if image[0]], [pieces[index] for index in held]


def _new_model(
    dataset: Dataset,
    images: Iterable[ImageSource],
    scaling: Any,
    config: TrainConfig,
) -> Model:
    """A model whose features have no statistics yet."""
    preset = get_preset(config.preset)
    about = [(image.height, image.width, image.pixel_size_um) for image in images]
    fixed_view = len({size[:2] for size in about}) == 1 and len(about) >= FIXED_VIEW_IMAGES
    place = config.place == "yes" or (config.place == "auto" and fixed_view)
    return Model(
        preset=config.preset,
        options=config.options,
        settings=config.slic,
        scaling=scaling,
        features=select_features(preset, scaling, place=place, patterns=config.features),
        mean=np.zeros(0, np.float32),
        std=np.ones(0, np.float32),
        classes=dataset.classes,
        pixel_size=pixel_size_of((size for *_, size in about), dataset),
    )


def _set_statistics(model: Model, samples: Sequence[Sequence[Sequence[Kept]]]) -> None:
    loaded = (kept.load() for variants in samples for pieces in variants for kept in pieces)
    mean, std = _statistics(loaded, model.columns)
    object.__setattr__(model, "mean", mean.astype(np.float32))
    object.__setattr__(model, "std", np.where(std > 1e-6, std, 1).astype(np.float32))


def _statistics(samples: Iterable[Sample], columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of some features, (F,) float64, over the regions of samples."""
    count, mean, square = 0, np.zeros(len(columns)), np.zeros(len(columns))
    for sample in samples:
        table = sample.table
        x = table.x[table.area > 0][:, columns].astype(np.float64)
        if len(x) == 0:
            continue
        # Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983, eq. 1.5.
        away = x.mean(axis=0) - mean
        share = len(x) / (count + len(x))
        square += ((x - x.mean(axis=0)) ** 2).sum(axis=0) + away**2 * count * share
        mean += away * share
        count += len(x)
    return mean, np.sqrt(square / max(count, 1))
