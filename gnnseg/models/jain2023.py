"""The published reference point: three GraphConv layers on intensity features.

Jain, Laidlaw, Bajcsy, Singh, "Memory-efficient semantic segmentation of large microscopy images
using graph-based neural networks", Microscopy, 2023, doi 10.1093/jmicro/dfad049. Deviations: the
ten nearest centroids are sought among the homes within two cells (ties by id), the weight is
exp(-distance / step), since in pixels it would vanish, and deciles come from a 32-bin histogram.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torch_geometric.nn import GraphConv

from gnnseg.models.group import FEATURES, LOGITS, Group
from gnnseg.models.layers import Dropout, RowLinear
from gnnseg.models.level import Level, nearest_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnseg.graph import RegionTable

NEIGHBOURS = 10
REACH = 2
LAYERS = 3


class Jain2023(nn.Module):
    """GraphConv, 32 wide, with leaky ReLU and dropout; 2,946 parameters for two classes."""

    num_levels = 1
    stem = None

    def __init__(
        self, num_features: int, num_classes: int, *, hidden: int = 32, dropout: float = 0.1
    ) -> None:
        super().__init__()
        widths = [num_features] + [hidden] * (LAYERS - 1) + [num_classes]
        self.convs = nn.ModuleList(_graph_conv(a, b) for a, b in pairwise(widths))
        self.dropout = Dropout(dropout)
        self.groups = (
            Group(
                name="jain2023",
                level=0,
                halo=LAYERS * REACH,
                inputs=((FEATURES, 0),),
                output=LOGITS,
                channels=num_classes,
                width=hidden,
                edge_bytes=16 * hidden,
                edges=NEIGHBOURS + 1,
            ),
        )

    @property
    def output_bias(self) -> torch.Tensor:
        """What is added to the logits of each class, (classes,)."""
        return self.get_parameter(f"convs.{LAYERS - 1}.lin_rel.bias")

    def make_level(self, table: RegionTable, index: int) -> Level:
        return nearest_level(table, NEIGHBOURS)

    def modules_of(self, group: Group) -> tuple[nn.Module, ...]:
        """All of them, in the one group."""
        return (self.convs,)

    def run_group(
        self,
        group: Group,
        states: Mapping[str, torch.Tensor],
        levels: Mapping[int, Level],
    ) -> torch.Tensor:
        level, x = levels[0], states[FEATURES]
        edge_index, weight = _with_self_loops(level)
        for conv in self.convs[:-1]:
            x = self.dropout(functional.leaky_relu(conv(x, edge_index, weight)))
        return self.convs[-1](x, edge_index, weight)


def _graph_conv(inner: int, outer: int) -> GraphConv:
    conv = GraphConv(inner, outer)
    conv.lin_rel = RowLinear(inner, outer)
    conv.lin_root = RowLinear(inner, outer, bias=False)
    return conv


def _with_self_loops(level: Level) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a loop of weight exp(0) to each occupied node, after its other edges."""
    nodes = torch.nonzero(level.area[:, 0] > 0)[:, 0]
    edge_index = torch.cat([level.edge_index, nodes.expand(2, -1)], dim=1)
    weight = torch.cat([level.edge_attr[:, 0], level.edge_attr.new_ones(len(nodes))])
    return edge_index, weight
