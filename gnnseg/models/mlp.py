"""A perceptron on each region alone: what the graph brings is measured against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from gnnseg.models.group import FEATURES, LOGITS, Group
from gnnseg.models.layers import Perceptron
from gnnseg.models.level import Level, node_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from gnnseg.graph import RegionTable


class MLP(nn.Module):
    """Two linear layers on the features of a region."""

    num_levels = 1
    stem = None

    def __init__(
        self, num_features: int, num_classes: int, *, hidden: int = 64, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.layers = Perceptron(num_features, hidden, num_classes, dropout)
        self.groups = (Group("mlp", 0, 0, ((FEATURES, 0),), LOGITS, num_classes, hidden),)

    @property
    def output_bias(self) -> torch.Tensor:
        """What is added to the logits of each class, (classes,)."""
        return self.get_parameter("layers.3.bias")

    def make_level(self, table: RegionTable, index: int) -> Level:
        return node_level(table)

    def modules_of(self, group: Group) -> tuple[nn.Module, ...]:
        """All of them, in the one group."""
        return (self.layers,)

    def run_group(
        self,
        group: Group,
        states: Mapping[str, torch.Tensor],
        levels: Mapping[int, Level],
    ) -> torch.Tensor:
        return self.layers(states[FEATURES])
