"""Layers that `ablation.py` puts in the place of the edge-gated one; all from PyTorch Geometric."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, GINEConv, SAGEConv

from gnnseg.models.layers import Dropout, EdgeGatedConv, ResidualBlock


class Edgeless(nn.Module):
    """The edge-gated layer when it is told nothing of the edge."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.conv = EdgeGatedConv(channels, edge_channels)

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        return self.conv(x, edge_index, torch.zeros_like(edge_attr))


class Sage(nn.Module):
    """Mean of the neighbours: Hamilton et al., arXiv:1706.02216."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.conv = SAGEConv(channels, channels)

    def forward(self, x: torch.Tensor, edge_index: Any, edge_attr: torch.Tensor) -> torch.Tensor:
        return self.conv(x, edge_index)


def _gatv2(channels: int, edge_channels: int) -> nn.Module:
    """Four heads of attention that see the edge: Brody et al., arXiv:2105.14491."""
    return GATv2Conv(channels, channels // 4, heads=4, edge_dim=edge_channels, add_self_loops=False)


def _gine(channels: int, edge_channels: int) -> nn.Module:
    """Sum of neighbours with their edges, then two linear layers: Hu et al., arXiv:1905.12265."""
    inner = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))
    return GINEConv(inner, edge_dim=edge_channels)


class TriedBlock(ResidualBlock):
    """A residual block with another layer, or without normalisation."""

    def __init__(self, channels: int, edge_channels: int, dropout: float, *, layer: Any) -> None:
        nn.Module.__init__(self)
        plain = layer is None
        self.norm = nn.Identity() if plain else nn.LayerNorm(channels)
        self.conv = (EdgeGatedConv if plain else layer)(channels, edge_channels)
        self.dropout = Dropout(dropout)


LAYERS = {
    "edgeless": partial(TriedBlock, layer=Edgeless),
    "sage": partial(TriedBlock, layer=Sage),
    "gatv2": partial(TriedBlock, layer=_gatv2),
    "gine": partial(TriedBlock, layer=_gine),
    "plain": partial(TriedBlock, layer=None),
}
FOREIGN = ("sage", "gatv2", "gine")
"""Those of PyTorch Geometric."""
