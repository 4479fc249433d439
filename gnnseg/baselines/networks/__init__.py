"""Convolutional networks by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gnnseg.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

NETWORKS = {"unet": ("unet", "UNet")}
"""Module and class of each."""


def check_name(name: Any) -> None:
    """Raise `UsageError` unless a network has that name."""
    if not isinstance(name, str) or name not in NETWORKS:
        raise UsageError(
            f"no network is named {name!r}: choose one of {', '.join(sorted(NETWORKS))}"
        )


def build_network(
    name: str, num_channels: int, num_classes: int, options: dict[str, Any]
) -> nn.Module:
    """A network with fresh weights, from images (B, C, H, W) to logits (B, classes, H, W)."""
    check_name(name)
    module, kind = NETWORKS[name]
    build = getattr(import_module(f"gnnseg.baselines.networks.{module}"), kind)
    try:
        network: nn.Module = build(num_channels, num_classes, **options)
    except TypeError as error:
        raise UsageError(f"the options {options} do not fit {name}: {error}") from error
    return network
