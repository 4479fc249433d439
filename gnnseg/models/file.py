"""Models as files: one `.safetensors` with a JSON header, and nothing that could run code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import GnnsegError, InputError, MissingInputError
from gnnseg.io.atomic import replacing
from gnnseg.io.classes import ClassInfo
from gnnseg.models.model import Model
from gnnseg.superpixels import Scaling, SlicSettings

FORMAT_VERSION = 3
_READABLE = (2, FORMAT_VERSION)  # format 2 had no temperature
_KEY = "gnnseg"
_MEAN, _STD = "features.mean", "features.std"


def save_model(model: Model, path: str | Path) -> None:
    """Write a model file, whole or not at all."""
    from safetensors.torch import save

    tensors = {f"network.{k}": v.contiguous() for k, v in model.network.state_dict().items()}
    tensors |= {_MEAN: _tensor(model.mean), _STD: _tensor(model.std)}
    data = save(tensors, metadata={_KEY: json.dumps(_header(model))})
    with replacing(Path(path)) as partial:
        partial.write_bytes(data)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises
    ------
    InputError
        The file is absent, is no model of gnnseg, or was written by a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path}: no such model file; `gnnseg train` makes one")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_KEY)
            if header is None:
                raise InputError(f"{path}: is no model of gnnseg (its header is missing)")
            return _restore(
                json.loads(header),
                {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
            )
    except GnnsegError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: is no readable model of gnnseg: {error}") from error


def read_header(path: str | Path) -> dict[str, Any]:
    """The JSON header of a model file, without its weights."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable model of gnnseg: {error}") from error
    if not isinstance(header, dict):
        raise InputError(f"{path}: is no model of gnnseg (its header is missing)")
    return header


def _header(model: Model) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
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


def _restore(header: Any, tensors: dict[str, Any]) -> Model:
    if not isinstance(header, dict):
        raise InputError("is no model of gnnseg (its header is no table)")
    version = header.get("format_version")
    if version not in _READABLE:
        raise InputError(
            f"the model has format {version} and this gnnseg reads {_READABLE[0]} to "
            f"{FORMAT_VERSION}: update gnnseg, or train the model again"
        )
    scaling = header["scaling"]
    pixel_size = header["pixel_size"]
    model = Model(
        preset=header["preset"],
        options=header["options"],
        settings=SlicSettings(**header["settings"]),
        scaling=Scaling(_floats(scaling["low"]), _floats(scaling["high"]), scaling["rgb"]),
        features=tuple(header["features"]),
        mean=tensors.pop(_MEAN).numpy(),
        std=tensors.pop(_STD).numpy(),
        classes=ClassInfo.from_dict(header["classes"]),
        pixel_size=None if pixel_size is None else tuple(pixel_size),
        training=header["training"],
        temperature=_temperature(header),
    )
    if not len(model.columns) == len(model.mean) == len(model.std):
        raise InputError("the model's features and their statistics do not fit each other")
    state = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    model.network.load_state_dict(state)
    return model


def _temperature(header: dict[str, Any]) -> float:
    temperature = float(header["temperature"]) if header["format_version"] > 2 else 1.0
    if not 0 < temperature < float("inf"):
        raise InputError(f"the model's temperature must be above 0, got {temperature}")
    return temperature


def _floats(values: list[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def fingerprint(model: Model) -> str:
    """A hash of everything that decides what a model answers."""
    digest = hashlib.sha256()
    header = {k: v for k, v in _header(model).items() if k != "training"}
    digest.update(json.dumps(header, sort_keys=True).encode())
    for array in (model.mean, model.std):
        digest.update(array.tobytes())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
