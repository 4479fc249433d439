"""Weights of VGG-16 for an encoder, from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from gnnseg.errors import InputError, MissingInputError

PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Of the convolutions among torchvision's `features`, without batch norm."""
PLACES_BN = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)
"""The same with batch norm, which is one place further each."""

_STATISTICS = ("running_mean", "running_var")


def read_vgg16(path: str | Path, layers: Sequence[tuple[nn.Module, nn.Module]]) -> None:
    """Copy the 13 convolutions of a file into `layers`, pairs of convolution and batch norm.

    Raises `InputError` where the file does not fit, before anything is copied.
    """
    tensors = _read(Path(path))
    targets = dict(_targets(layers, batch_norm="features.1.running_mean" in tensors))
    for name, target in targets.items():
        _check(Path(path), name, tensors.get(name), target)
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(tensors[name])


def _targets(
    layers: Sequence[tuple[nn.Module, nn.Module]], *, batch_norm: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    """Names in the file and the tensors that they are for."""
    places = PLACES_BN if batch_norm else PLACES
    for place, (conv, norm) in zip(places, layers, strict=True):
        for name in ("weight", "bias"):
            yield f"features.{place}.{name}", getattr(conv, name)
        if batch_norm:
            for name in ("weight", "bias", *_STATISTICS):
                yield f"features.{place + 1}.{name}", getattr(norm, name)


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise MissingInputError(f"{path}: no such file of weights")
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path}: weights are read from .safetensors only, for other files can run code when "
            'they are opened. Convert a file of torch that you trust: python -c "import torch, '
            "safetensors.torch as s; s.save_file(torch.load('vgg16.pth', weights_only=True), "
            "'vgg16.safetensors')\""
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable file of weights: {error}") from error


def _check(path: Path, name: str, found: torch.Tensor | None, target: torch.Tensor) -> None:
    if found is None:
        raise InputError(f"{path}: has no {name}; the names must be those of torchvision's vgg16")
    if found.shape != target.shape:
        raise InputError(
            f"{path}: {name} has the shape {tuple(found.shape)}, the encoder needs "
            f"{tuple(target.shape)} (images of 3 channels and a width of 64 fit VGG-16)"
        )
    if not torch.isfinite(found).all():
        raise InputError(f"{path}: {name} holds values that are not finite")
