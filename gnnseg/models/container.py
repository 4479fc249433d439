"""One `.safetensors` with a JSON header: what files of all kinds of models have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gnnseg.errors import GnnsegError, InputError, MissingInputError, UsageError
from gnnseg.io.atomic import replacing

_KEY = "gnnseg"
REGIONS, PIXELS = "regions", "pixels"
"""Kinds of models by what they classify; files that do not tell theirs are of regions."""
_MADE_BY = {REGIONS: "a model of regions", PIXELS: "a convolutional network (`--model`)"}
NETWORK = "network."

Made = TypeVar("Made")


def write_container(path: str | Path, header: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Write a file, whole or not at all."""
    from safetensors.torch import save

    data = save(tensors, metadata={_KEY: json.dumps(header)})
    with replacing(Path(path)) as partial:
        partial.write_bytes(data)


def read_container(
    path: str | Path,
    kind: str,
    restore: Callable[[dict[str, Any], dict[str, Any]], Made],
) -> Made:
    """What `restore` makes of the header and the tensors of a file of one kind.

    Raises
    ------
    InputError
        The file is absent, is no model of gnnseg, or one of another kind.
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
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return restore(_of_kind(json.loads(header), kind), tensors)
    except GnnsegError as error:
        if str(path) in str(error):
            raise
        wrong = InputError if isinstance(error, UsageError) else type(error)
        raise wrong(f"{path}: {error}") from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: is no readable model of gnnseg: {error}") from error


def _of_kind(header: Any, kind: str) -> dict[str, Any]:
    if not isinstance(header, dict):
        raise InputError("is no model of gnnseg (its header is no table)")
    found = header.get("kind", REGIONS)
    if found != kind:
        raise InputError(
            f"is {_MADE_BY.get(found, f'a model of the kind {found!r}')}, and this needs "
            f"{_MADE_BY[kind]}"
        )
    return header


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


def read_kind(path: str | Path) -> str:
    """What the model of a file classifies: `regions` or `pixels`."""
    if not Path(path).is_file():
        raise MissingInputError(f"{path}: no such model file; `gnnseg train` makes one")
    return str(read_header(path).get("kind", REGIONS))


def check_version(found: Any, readable: tuple[int, ...]) -> None:
    """Raise `InputError` for a format that this version does not read."""
    if found not in readable:
        raise InputError(
            f"the model has format {found} and this gnnseg reads {readable[0]} to "
            f"{readable[-1]}: update gnnseg, or train the model again"
        )


def weights_of(network: Any, prefix: str = NETWORK) -> dict[str, Any]:
    """The weights of a network as a file has them."""
    state = network.state_dict().items()
    return {f"{prefix}{name}": tensor.contiguous() for name, tensor in state}


def load_weights(network: Any, tensors: dict[str, Any], prefix: str = NETWORK) -> None:
    """The reverse."""
    network.load_state_dict({name.removeprefix(prefix): t for name, t in tensors.items()})


def hash_model(header: dict[str, Any], arrays: Iterable[np.ndarray], network: Any) -> str:
    """A hash of everything that decides what a model answers; how it was trained does not."""
    digest = hashlib.sha256()
    decisive = {key: value for key, value in header.items() if key != "training"}
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    for array in arrays:
        digest.update(array.tobytes())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def as_tensor(array: np.ndarray) -> Any:
    """An array as float32 tensor."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def read_scaling(about: dict[str, Any]) -> Any:
    """The scaling that a header holds."""
    from gnnseg.superpixels import Scaling

    low, high = (tuple(float(value) for value in about[end]) for end in ("low", "high"))
    return Scaling(low, high, about["rgb"], about.get("by_image", False))  # not in older formats


def read_temperature(value: Any) -> float:
    """A temperature above 0."""
    temperature = float(value)
    if not 0 < temperature < float("inf"):
        raise InputError(f"the model's temperature must be above 0, got {temperature}")
    return temperature
