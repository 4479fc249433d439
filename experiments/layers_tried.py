"""Layers and features that `ablation.py` tries, the former mostly from PyTorch Geometric.

Layers count operations as the edge-gated layer does: products, and what is done to each message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, GINEConv, SAGEConv

from gnnseg.graph import EDGE_NAMES
from gnnseg.models import Model, presets
from gnnseg.models.layers import Dropout, EdgeGatedConv, ResidualBlock
from gnnseg.models.operations import add_operations


class Edgeless(nn.Module):
    """The edge-gated layer when it is told nothing of the edge."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.conv = EdgeGatedConv(channels, edge_channels)

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        return self.conv(x, edge_index, torch.zeros_like(edge_attr))


class OneKind(Edgeless):
    """The edge-gated layer when it is told some attributes of the edge only."""

    def __init__(self, channels: int, edge_channels: int, *, keep: tuple[int, ...]) -> None:
        super().__init__(channels, edge_channels)
        self.register_buffer("kept", torch.zeros(edge_channels), persistent=False)
        self.kept[list(keep)] = 1

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        return self.conv(x, edge_index, edge_attr * self.kept)


class Sage(nn.Module):
    """Mean of the neighbours: Hamilton et al., arXiv:1706.02216."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.conv = SAGEConv(channels, channels)

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        _count(x, edge_attr, products=2, by_edge=1)
        return self.conv(x, edge_index)


class Gatv2(nn.Module):
    """Four heads of attention that see the edge: Brody et al., arXiv:2105.14491."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.conv = GATv2Conv(
            channels, channels // 4, heads=4, edge_dim=edge_channels, add_self_loops=False
        )

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        # Two sums and a rectifier, the product with the attention, and the weighted sum.
        _count(x, edge_attr, products=2, by_edge=2 * edge_attr.shape[1] + 3 + 2 + 2)
        return self.conv(x, edge_index, edge_attr)


class Gine(nn.Module):
    """Sum of neighbours with their edges, then two linear layers: Hu et al., arXiv:1905.12265."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        inner = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )
        self.conv = GINEConv(inner, edge_dim=edge_channels)

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        # A sum, a rectifier, and the sum of messages.
        _count(x, edge_attr, products=2, by_edge=2 * edge_attr.shape[1] + 3)
        return self.conv(x, edge_index, edge_attr)


def _count(x: torch.Tensor, edge_attr: torch.Tensor, *, products: int, by_edge: int) -> None:
    """Add `products` of channels by channels a node, and some operations an edge and channel."""
    nodes, channels = x.shape
    add_operations(2 * products * nodes * channels**2 + by_edge * len(edge_attr) * channels)


class TriedBlock(ResidualBlock):
    """A residual block with another layer, or without normalisation."""

    def __init__(self, channels: int, edge_channels: int, dropout: float, *, layer: Any) -> None:
        nn.Module.__init__(self)
        plain = layer is None
        self.norm = nn.Identity() if plain else nn.LayerNorm(channels)
        self.conv = (EdgeGatedConv if plain else layer)(channels, edge_channels)
        self.dropout = Dropout(dropout)


def _told(*names: str) -> Any:
    keep = tuple(EDGE_NAMES.index(name) for name in names)
    return partial(TriedBlock, layer=partial(OneKind, keep=keep))


LAYERS = {
    "edgeless": partial(TriedBlock, layer=Edgeless),
    "sage": partial(TriedBlock, layer=Sage),
    "gatv2": partial(TriedBlock, layer=Gatv2),
    "gine": partial(TriedBlock, layer=Gine),
    "plain": partial(TriedBlock, layer=None),
    "way": _told("dy", "dx", "distance"),
    "border": _told("contact", "contrast", "area_ratio"),
}


@contextmanager
def image_features(way: str) -> Iterator[None]:
    """Let networks read means of features over the image.

    With "beside" each region also reads these means; with "less" its own features less them. For
    images that are one block: what `Model.standardise` is given is then the whole image.
    """
    standardise, build = Model.standardise, presets.build_network

    def with_means(model: Model, x: np.ndarray) -> torch.Tensor:
        own = standardise(model, x)
        mean = own.mean(0, keepdim=True).expand_as(own)
        return torch.cat([own, mean], dim=1) if way == "beside" else own - mean

    def wider(preset: Any, num_features: int, *others: Any) -> nn.Module:
        return build(preset, (1 + (way == "beside")) * num_features, *others)

    with (
        patch.object(Model, "standardise", with_means),
        patch("gnnseg.models.model.build_network", wider),
    ):
        yield
