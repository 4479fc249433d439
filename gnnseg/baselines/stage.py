"""Train a network on the pixels of labelled images."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.baselines.config import CnnConfig, make_cnn_config
from gnnseg.baselines.crops import Picture, count_pixels, load_picture
from gnnseg.baselines.model import PixelModel, scale
from gnnseg.baselines.trainer import PixelTrainer
from gnnseg.blocks import Window
from gnnseg.datasets.item import OpenedImages
from gnnseg.errors import InputError
from gnnseg.ledger import staged
from gnnseg.superpixels import fit_scaling
from gnnseg.training.augmentation import choose_augmentation
from gnnseg.training.distributed import train_on_devices
from gnnseg.training.live import check_shown, watching
from gnnseg.training.loop import pick_device
from gnnseg.training.session import Session
from gnnseg.training.stage import gather_dataset, pixel_size_of
from gnnseg.training.validating import held_numbers, val_items, warn_of_itself, warn_of_unseen
from gnnseg.training.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnseg.datasets.base import Dataset
    from gnnseg.datasets.item import Item
    from gnnseg.ledger import Ledger
    from gnnseg.superpixels import Scaling


LEAST_PART = 32
"""Pixels on a side of the parts that the only picture is cut into, so that one may validate."""


def train(
    images: Any,
    labels: Any = None,
    *,
    classes: Any = None,
    val: float = 0.2,
    config: CnnConfig | None = None,
    checkpoint: str | Path | None = None,
    plot: str | Path | None = None,
    ledger: Ledger | None = None,
    **settings: Any,
) -> PixelModel:
    """Train a convolutional network, as `gnnseg.train` trains one on regions.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset folder, or images as arrays or paths, together with `labels`.
    labels : sequence of (H, W) integer arrays, optional
    classes : ClassInfo, int or sequence of names, optional
        With `labels`; default: as many classes as the labels name.
    val : float
        Share of the images that validates, where the dataset does not say.
    config : CnnConfig, optional
        Or its fields as keywords, such as `model="unet"`, `options={"width": 8}`, `epochs=60`.
    checkpoint : path, optional
        File that the training is kept in; where it exists, the training goes on from it.
    plot : path, optional
        PNG that is drawn anew while the training goes on; no other file is replaced.
    ledger : Ledger, optional
        Records the stages `pictures` (reading, and the statistics of what was read), `updates` and
        `validation`; with several devices, the last two are those of process 0.

    Returns
    -------
    PixelModel
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
        The network or `tensorboard` needs a package that is not installed.

    Notes
    -----
    All pixels of the training images are held in memory as they are stored. A run bounded by
    `epochs` gives the same bits each time on one machine with one number of threads, interrupted
    or not. With `devices=2`, two processes take a batch each; a script needs
    `if __name__ == "__main__":` around what it does then.
    """
    config = config or make_cnn_config(**settings)
    config.check_reach()
    pick_device(config.device, size=config.devices)
    check_shown(config, plot)
    dataset = gather_dataset(images, labels, classes, val)
    session = Session(dataset, config, val, checkpoint)
    train_items = dataset.split("train")
    if not train_items:
        raise InputError(f"{dataset.name} has no training images: list some in train.txt")
    sources = OpenedImages(train_items)
    config = choose_augmentation(config, sources, dataset.pixel_size)
    with staged(ledger, "pictures"):
        scaling = fit_scaling(sources, by_image=config.contrast == "image")
        pictures, val_pictures = _pictures(dataset, val_items(dataset), scaling, val)
        warn_of_unseen(dataset, _pixels(pictures, dataset), _pixels(val_pictures, dataset))
        pixel_size = pixel_size_of((image.pixel_size_um for image in sources), dataset)
        model = _new_model(dataset, pictures, scaling, config, pixel_size)
    if config.vgg16 is not None:
        model.network.load_vgg16(config.vgg16)
    shown = None if plot is None else Path(plot)
    with watching(config, shown, session.first_epoch) as watch:
        bounds = session.deadline, session.checkpoint
        work = Work(PixelTrainer, model, pictures, val_pictures, config, *bounds)
        history = train_on_devices(work, watch, ledger)
    session.end(model, config, history)
    return model


def _pictures(
    dataset: Dataset, held: list[Item], scaling: Scaling, val: float
) -> tuple[list[Picture], list[Picture]]:
    """Those that train and those that validate: where none is `held`, every n-th of them."""
    train, seen = (
        _labelled(dataset, [load_picture(item, scaling) for item in items])
        for items in (dataset.split("train"), held)
    )
    if not train:
        raise InputError(
            f"{dataset.name}: no pixel of the training images has a label (255 means none): "
            "label some"
        )
    if seen:
        return train, seen
    if len(train) == 1:
        train = _labelled(dataset, _parts(train[0]))
    if len(train) == 1:
        warn_of_itself(dataset.name)
        return train, [*train]
    chosen = held_numbers(len(train), val)
    parts: tuple[list[Picture], list[Picture]] = ([], [])
    for index, picture in enumerate(train):
        parts[index in chosen].append(picture)
    return parts


def _parts(picture: Picture) -> list[Picture]:
    """A picture in four, or along one side or not at all where the parts would be too small."""
    cuts = [
        [0, length // 2, length] if length >= 2 * LEAST_PART else [0, length]
        for length in picture.labels.shape
    ]
    windows = [Window(*y, *x) for y in pairwise(cuts[0]) for x in pairwise(cuts[1])]
    return [
        replace(
            picture,
            stem=f"{picture.stem} ({number})",
            pixels=picture.pixels[(slice(None), *window.slices)],
            labels=picture.labels[window.slices],
        )
        for number, window in enumerate(windows)
    ]


def _pixels(pictures: Sequence[Picture], dataset: Dataset) -> np.ndarray:
    """Labelled pixels by class, (classes,)."""
    return np.sum([count_pixels(picture, dataset.classes) for picture in pictures], axis=0)


def _labelled(dataset: Dataset, pictures: Sequence[Picture]) -> list[Picture]:
    ignore = dataset.classes.ignore_index
    return [picture for picture in pictures if (picture.labels != ignore).any()]


def _new_model(
    dataset: Dataset,
    pictures: Sequence[Picture],
    scaling: Scaling,
    config: CnnConfig,
    pixel_size: tuple[float, float] | None,
) -> PixelModel:
    mean, std = _statistics(pictures, scaling.num_channels)
    return PixelModel(
        name=config.model,
        options=config.options,
        scaling=scaling,
        mean=mean,
        std=std,
        classes=dataset.classes,
        tile=config.tile,
        overlap=config.overlap,
        pixel_size=pixel_size,
    )


def _statistics(pictures: Sequence[Picture], num_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) float32 of the scaled pixels of all pictures."""
    count, total, square = 0, np.zeros(num_channels), np.zeros(num_channels)
    for picture in pictures:
        share, _ = scale(picture.pixels, picture.scaling)
        flat = share.reshape(len(share), -1).astype(np.float64)
        count += flat.shape[1]
        total += flat.sum(axis=1)
        square += (flat**2).sum(axis=1)
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 0))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32)
