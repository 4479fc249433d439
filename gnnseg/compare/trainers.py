"""The two kinds of models that are compared: their settings, their training and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.baselines import CnnConfig, make_cnn_config, save_pixel_model
from gnnseg.baselines import train as train_pixels
from gnnseg.baselines.networks import build_network as build_pixel_network
from gnnseg.errors import MissingInputError, UsageError
from gnnseg.models import get_preset, save_model
from gnnseg.models.presets import build_network
from gnnseg.pipeline import learn_borders
from gnnseg.superpixels import Scaling
from gnnseg.training import TrainConfig, make_config, train
from gnnseg.training.loop import pick_device

if TYPE_CHECKING:
    from gnnseg.datasets.base import Dataset
    from gnnseg.ledger import Ledger


def settings_of(configuration: dict[str, Any]) -> TrainConfig | CnnConfig:
    """The settings of a cell's training; raises `UsageError` where one is wrong."""
    model = configuration["model"]
    kind = "model" if model["preset"] is None else "preset"
    given = {kind: model[kind], "seed": configuration["seed"], "options": model["options"]}
    if twice := [name for name in given if name in model["training"]]:
        raise UsageError(f"{twice[0]!r} stands beside the settings of a training, not among them")
    make = make_cnn_config if kind == "model" else make_config
    return make(None, **given, **model["training"])


def check_start(settings: TrainConfig | CnnConfig) -> None:
    """Raise `UsageError` or `InputError` where a training could not begin, here or at all."""
    pick_device(settings.device, size=settings.devices)
    if not isinstance(settings, CnnConfig):
        return
    settings.check_reach()
    if settings.vgg16 is not None and not settings.vgg16.is_file():
        raise MissingInputError(f"vgg16: {settings.vgg16}: no such file of weights")


def check_options(configuration: dict[str, Any]) -> None:
    """Raise `UsageError` where a network has other options, or lacks a package it needs."""
    model = configuration["model"]
    if model["preset"] is None:
        build_pixel_network(model["model"], 3, 2, model["options"])
        return
    scaling = Scaling(low=(0.0,), high=(1.0,), rgb=False)
    build_network(get_preset(model["preset"]), 1, 2, scaling, model["options"])


def train_model(
    dataset: Dataset,
    settings: TrainConfig | CnnConfig,
    *,
    borders: bool,
    checkpoint: Path,
    out: Path,
    ledger: Ledger,
) -> Any:
    """Train a model with what `settings_of` gave, going on from its checkpoint, and write it.

    `borders`: let a model of regions learn what the pixels along them are, too.
    """
    if isinstance(settings, CnnConfig):
        network = train_pixels(dataset, config=settings, checkpoint=checkpoint, ledger=ledger)
        save_pixel_model(network, out)
        return network
    model = train(dataset, config=settings, checkpoint=checkpoint, ledger=ledger)
    if borders:
        with ledger.stage("borders"):
            model = learn_borders(dataset, model, seed=settings.seed)
    save_model(model, out)
    return model
