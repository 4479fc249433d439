"""Region models as files, which hold nothing that could run code."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo
from gnnseg.models.container import (
    REGIONS,
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
from gnnseg.models.model import Model
from gnnseg.superpixels import SlicSettings

FORMAT_VERSION = 6
WITHOUT_BORDERS = 5
"""The format of files that hold no borders: earlier versions read it."""
_READABLE = (2, 3, 4, WITHOUT_BORDERS, FORMAT_VERSION)  # format 2 had no temperature
_WIDTHS_TO_4 = {"large": {"widths": (32, 64, 96, 96, 96)}}
"""Options of presets that have others since; from format 5 on, files hold those of their preset."""
_MEAN, _STD, _BORDERS = "features.mean", "features.std", "borders."


def save_model(model: Model, path: str | Path) -> None:
    """Write a model file, whole or not at all."""
    tensors = {_MEAN: as_tensor(model.mean), _STD: as_tensor(model.std)}
    if model.borders is not None:
        tensors |= weights_of(model.borders, _BORDERS)
    write_container(path, _header(model), weights_of(model.network) | tensors)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises
    ------
    InputError
        The file is absent, is no region model of gnnseg, or was written by a newer version.
    """
    return read_container(path, REGIONS, _restore)


def _header(model: Model) -> dict[str, Any]:
    return {
        "format_version": WITHOUT_BORDERS if model.borders is None else FORMAT_VERSION,
        "preset": model.preset,
        "options": model.options,
        "settings": asdict(model.settings),
        "scaling": asdict(model.scaling),
        "features": list(model.features),
        "classes": model.classes.to_dict(),
        "pixel_size": model.pixel_size,
        "training": model.training,
        "temperature": model.temperature,
    }


def _restore(header: dict[str, Any], tensors: dict[str, Any]) -> Model:
    version = header.get("format_version")
    check_version(version, _READABLE)
    pixel_size, preset = header["pixel_size"], header["preset"]
    before = {} if version in (WITHOUT_BORDERS, FORMAT_VERSION) else _WIDTHS_TO_4.get(preset, {})
    found = [name for name in tensors if name.startswith(_BORDERS)]
    learnt = {name: tensors.pop(name) for name in found}
    if bool(learnt) != (version == FORMAT_VERSION):
        raise InputError(f"the model has format {version}, which does not fit what it holds")
    model = Model(
        preset=preset,
        options={**before, **header["options"]},
        settings=SlicSettings(**header["settings"]),
        scaling=read_scaling(header["scaling"]),
        features=tuple(header["features"]),
        mean=tensors.pop(_MEAN).numpy(),
        std=tensors.pop(_STD).numpy(),
        classes=ClassInfo.from_dict(header["classes"]),
        pixel_size=None if pixel_size is None else tuple(pixel_size),
        training=header["training"],
        temperature=read_temperature(header["temperature"] if version != 2 else 1.0),
    )
    if not len(model.columns) == len(model.mean) == len(model.std):
        raise InputError("the model's features and their statistics do not fit each other")
    load_weights(model.network, tensors)
    return replace(model, borders=_restore_borders(model, learnt)) if learnt else model


def _restore_borders(model: Model, tensors: dict[str, Any]) -> Any:
    from gnnseg.models.borders import Borders

    borders = Borders(model.classes.num_classes, model.scaling.num_channels)
    load_weights(borders, tensors, _BORDERS)
    return borders.eval()


def fingerprint(model: Model) -> str:
    """A hash of everything that decides what a model answers."""
    learnt = () if model.borders is None else model.borders.state_dict().values()
    arrays = (model.mean, model.std, *(tensor.numpy() for tensor in learnt))
    return hash_model(_header(model), arrays, model.network)
