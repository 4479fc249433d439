"""Networks on pixels as files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.baselines.model import PixelModel
from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo
from gnnseg.models.container import (
    PIXELS,
    as_tensor,
    check_version,
    hash_model,
    load_weights,
    read_container,
    read_scaling,
    read_temperature,
    weights_of,
    write_container,
)

FORMAT_VERSION = 2
_MEAN, _STD = "pixels.mean", "pixels.std"


def save_pixel_model(model: PixelModel, path: str | Path) -> None:
    """Write a model file, whole or not at all."""
    tensors = {_MEAN: as_tensor(model.mean), _STD: as_tensor(model.std)}
    write_container(path, _header(model), weights_of(model.network) | tensors)


def load_pixel_model(path: str | Path) -> PixelModel:
    """Read a model file.

    Raises
    ------
    InputError
        The file is absent, holds no convolutional network, or was written by a newer version.
    """
    return read_container(path, PIXELS, _restore)


def _header(model: PixelModel) -> dict[str, Any]:
    return {
        "kind": PIXELS,
        "format_version": FORMAT_VERSION,
        "model": model.name,
        "options": model.options,
        "scaling": asdict(model.scaling),
        "tile": model.tile,
        "overlap": model.overlap,
        "classes": model.classes.to_dict(),
        "pixel_size": model.pixel_size,
        "training": model.training,
        "temperature": model.temperature,
    }


def _restore(header: dict[str, Any], tensors: dict[str, Any]) -> PixelModel:
    check_version(header.get("format_version"), (1, FORMAT_VERSION))
    pixel_size = header["pixel_size"]
    model = PixelModel(
        name=header["model"],
        options=header["options"],
        scaling=read_scaling(header["scaling"]),
        mean=tensors.pop(_MEAN).numpy(),
        std=tensors.pop(_STD).numpy(),
        classes=ClassInfo.from_dict(header["classes"]),
        tile=int(header["tile"]),
        overlap=int(header["overlap"]),
        pixel_size=None if pixel_size is None else tuple(pixel_size),
        training=header["training"],
        temperature=read_temperature(header["temperature"]),
    )
    fits = model.mean.shape == model.std.shape == (model.scaling.num_channels,)
    if not (fits and np.isfinite([model.mean, model.std]).all() and (model.std > 0).all()):
        raise InputError("the model's channels and their statistics do not fit each other")
    load_weights(model.network, tensors)
    return model


def fingerprint(model: PixelModel) -> str:
    """A hash of everything that decides what a model answers."""
    return hash_model(_header(model), (model.mean, model.std), model.network)
