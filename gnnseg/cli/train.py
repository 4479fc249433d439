"""`gnnseg train`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnnseg.cli.model_output import ModelOut, check_absent, check_model_out
from gnnseg.cli.options import AsJson, DatasetPath, Step, whole
from gnnseg.cli.output import emit, percent, seconds
from gnnseg.errors import UsageError

if TYPE_CHECKING:
    from gnnseg.baselines import PixelModel
    from gnnseg.datasets.base import Dataset
    from gnnseg.models import Model

Run = Callable[..., Any]
"""Trains on a dataset, writes the model, and returns it."""


class Device(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def train(
    dataset: DatasetPath,
    *,
    out: ModelOut,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Model of regions: default, small, large, jain2023 or mlp.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Or a convolutional network to compare with, such as unet or enet.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="TOML file with settings.")
    ] = None,
    step: Step = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", parser=whole(1), metavar="N", help="Most epochs.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", metavar="M", help="Most minutes, in all.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", parser=whole(0), metavar="N", help="Of all chance.")
    ] = None,
    device: Annotated[Device | None, typer.Option("--device", help="Where to train.")] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices",
            parser=whole(1, 64),
            metavar="N",
            help="GPUs, or processes on the CPU, that train together; each takes a batch.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep region graphs here for other trainings."),
    ] = None,
    graph_memory: Annotated[
        str | None,
        typer.Option(
            "--graph-memory",
            metavar="SIZE",
            help="Most memory for region graphs; those beyond lie in a file. Default: half.",
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Write events for TensorBoard here."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that exists; start anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on labelled images.

    Writes the model and, beside it, a plot that is drawn anew meanwhile.
    Options stand over --config, and both over what the preset says. Stopped
    at any time, the same command goes on from a checkpoint beside the model.
    """
    plot, checkpoint = out.with_suffix(".png"), out.with_name(f"{out.name}.checkpoint")
    _check_output(out, plot, checkpoint, overwrite=overwrite)
    from gnnseg.datasets import open_dataset

    data = open_dataset(dataset)
    given = {
        "step": step,
        "epochs": epochs,
        "max_minutes": max_minutes,
        "seed": seed,
        "device": None if device is None else device.value,
        "devices": devices,
        "cache": cache,
        "graph_memory": graph_memory,
        "tensorboard": tensorboard,
    }
    name = _named_network(model, config)
    regions = name is None
    run = _regions(preset, config, given) if regions else _network(name, preset, config, given)
    if overwrite:
        checkpoint.unlink(missing_ok=True)
    trained = run(data, out, checkpoint, plot)
    checkpoint.unlink(missing_ok=True)
    result = _result(trained, out, plot)
    emit(
        result,
        [
            ("model", str(out)),
            ("network", f"{trained.title}, {result['num_parameters']:,} parameters"),
            ("val mIoU", f"{percent(result['val_miou'])} after epoch {result['best_epoch'] + 1}"),
            ("epochs", str(result["epochs"])),
            ("time", seconds(result["seconds"])),
            ("plot", str(plot)),
        ],
        as_json=as_json,
    )


def _named_network(model: str | None, config: Path | None) -> str | None:
    """The convolutional network that is asked for, on the command line or in the file."""
    if model is not None or config is None:
        return model
    from gnnseg.training.learning import read_toml

    return read_toml(config).get("model")


def _regions(preset: str | None, config: Path | None, given: dict[str, Any]) -> Run:
    """Trains a model of regions and writes it."""
    from gnnseg.models import get_preset, save_model

    get_preset(preset or "default")
    from gnnseg.training import make_config, train

    settings = make_config(config, preset=preset, **given)
    return _run(train, save_model, settings)


def _network(
    name: str | None, preset: str | None, config: Path | None, given: dict[str, Any]
) -> Run:
    """Trains a convolutional network and writes it."""
    if preset is not None:
        raise UsageError("--preset and --model name two models: give one of them")
    own = ("step", "cache", "graph_memory")
    foreign = [f"--{key.replace('_', '-')}" for key in own if given.pop(key) is not None]
    if foreign:
        raise UsageError(f"{foreign[0]} is of regions: a convolutional network (--model) has none")
    from gnnseg.baselines import make_cnn_config, save_pixel_model, train

    settings = make_cnn_config(config, model=name, **given)
    return _run(train, save_pixel_model, settings)


def _run(train: Callable[..., Any], save: Callable[..., None], settings: Any) -> Run:
    """Trains, writes the model, and draws the plot."""
    from gnnseg.training.plot import save_plot

    def run(data: Dataset, out: Path, checkpoint: Path, plot: Path) -> Model | PixelModel:
        model: Model | PixelModel = train(data, config=settings, checkpoint=checkpoint, plot=plot)
        save(model, out)
        save_plot(model, plot)
        return model

    return run


def _check_output(out: Path, plot: Path, checkpoint: Path, *, overwrite: bool) -> None:
    """Everything that could keep the model from being written, before hours of training."""
    from gnnseg.io.atomic import check_replaceable
    from gnnseg.io.picture import check_picture

    check_model_out(out)
    check_replaceable(checkpoint, overwrite=True)
    check_picture(plot)
    for path in (out, plot):
        check_absent(path, overwrite=overwrite or checkpoint.exists())


def _result(model: Model | PixelModel, out: Path, plot: Path) -> dict[str, Any]:
    record = model.training
    keys = ("dataset", "val_miou", "best_epoch", "epochs", "seconds", "config")
    return {
        "model": str(out),
        "plot": str(plot),
        "preset": record["config"].get("preset"),
        "network": record["config"].get("model"),
        "num_parameters": model.num_parameters,
        "classes": list(model.classes.names),
        **{key: record[key] for key in keys},
    }
