"""Edge-gated layers over lattice levels: fine, coarser by 2 x 2 cells, and back with skips."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from gnnseg.errors import UsageError
from gnnseg.graph import EDGE_NAMES
from gnnseg.graph.table import COARSE_REACH, FINE_REACH
from gnnseg.kernels.colour import TOP
from gnnseg.models.group import FEATURES, LOGITS, STEM, Group
from gnnseg.models.layers import Perceptron, ResidualBlock, RowLinear, pool
from gnnseg.models.level import Level, adjacency_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gnnseg.graph import RegionTable
    from gnnseg.models.stem import Stem


class LatticeGNN(nn.Module):
    """A U-Net on regions.

    Parameters
    ----------
    num_features, num_classes : int
    widths : sequence of int
        Channels on each level, finest first; their number fixes the model's reach.
    down, up : sequence of int
        Layers on each level on the way to the coarsest and on the way back (one fewer).
    dropout : float
    contrast_top : int
        Largest grey difference, in working units.
    stem : Stem, optional
        Its states are read beside the features.

    Raises
    ------
    UsageError
        `widths`, `down` and `up` do not fit each other.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        widths: Sequence[int] = (32, 64, 96, 96, 96),
        down: Sequence[int] = (1, 1, 2, 2, 2),
        up: Sequence[int] = (1, 1, 1, 1),
        dropout: float = 0.15,
        contrast_top: int = TOP,
        stem: Stem | None = None,
    ) -> None:
        super().__init__()
        if not len(widths) == len(down) == len(up) + 1 >= 2:
            raise UsageError(
                "a network of levels has widths and layers down for two levels or more, and layers "
                f"up for all but the last: got widths {widths}, down {down}, up {up}"
            )
        self.num_levels = len(widths)
        self.contrast_top = contrast_top
        self.stem = stem
        num_inputs = num_features + (stem.out_channels if stem else 0)
        self.embed = Perceptron(num_inputs, 2 * widths[0], widths[0], dropout)
        pairs = list(pairwise(widths))
        self.sink = nn.ModuleList(RowLinear(fine, coarse) for fine, coarse in pairs)
        self.lift = nn.ModuleList(RowLinear(fine + coarse, fine) for fine, coarse in pairs)
        self.down = nn.ModuleList(
            _blocks(*args, dropout) for args in zip(widths, down, strict=True)
        )
        self.up = nn.ModuleList(_blocks(*args, dropout) for args in zip(widths, up, strict=False))
        self.head = nn.Sequential(nn.LayerNorm(widths[0]), RowLinear(widths[0], num_classes))
        self.groups = _groups(widths, down, up, num_classes, stem=stem is not None)

    @property
    def output_bias(self) -> torch.Tensor:
        """What is added to the logits of each class, (classes,)."""
        return self.get_parameter("head.1.bias")

    def make_level(self, table: RegionTable, index: int) -> Level:
        return adjacency_level(table, self.contrast_top)

    def run_group(
        self, group: Group, states: Mapping[str, torch.Tensor], levels: Mapping[int, Level]
    ) -> torch.Tensor:
        index, level = group.level, levels[group.level]
        inputs = [states[name] for name, _ in group.inputs]
        if group.name.startswith("down"):
            x = self._descend(index, torch.cat(inputs, dim=1), levels)
            return _run(self.down[index].children(), x, level)
        x = self._ascend(index, inputs[0], inputs[1], level)
        x = _run(self.up[index].children(), x, level)
        return self.head(x) if index == 0 else x

    def modules_of(self, group: Group) -> tuple[nn.Module, ...]:
        """What `run_group` calls: each module belongs to one group, or to the stem."""
        index = group.level
        if group.name.startswith("down"):
            return (self.sink[index - 1] if index else self.embed), self.down[index]
        return self.lift[index], self.up[index], *(() if index else (self.head,))

    def _descend(self, index: int, x: torch.Tensor, levels: Mapping[int, Level]) -> torch.Tensor:
        if index == 0:
            return self.embed(x) * levels[0].occupied
        fine = levels[index - 1]
        pooled = pool(x, fine.area, fine.parent, fine.num_parents)
        return self.sink[index - 1](pooled) * levels[index].occupied

    def _ascend(
        self, index: int, skip: torch.Tensor, coarse: torch.Tensor, level: Level
    ) -> torch.Tensor:
        joined = torch.cat([skip, coarse[level.parent]], dim=1)
        return torch.relu(self.lift[index](joined)) * level.occupied


def _blocks(channels: int, number: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(channels, len(EDGE_NAMES), dropout) for _ in range(number))


def _run(layers: Iterable[nn.Module], x: torch.Tensor, level: Level) -> torch.Tensor:
    occupied = level.occupied
    for layer in layers:
        x = layer(x, level.edge_index, level.edge_attr, occupied)
    return x


def _groups(
    widths: Sequence[int],
    down: Sequence[int],
    up: Sequence[int],
    num_classes: int,
    *,
    stem: bool,
) -> tuple[Group, ...]:
    top = len(widths) - 1
    groups = []
    for level, number in enumerate(down):
        halo = number * (FINE_REACH if level == 0 else COARSE_REACH)
        name = f"down_{level}"
        sources: tuple[tuple[str, int], ...] = ((f"down_{level - 1}", level - 1),)
        if level == 0:
            sources = ((FEATURES, 0), (STEM, 0)) if stem else ((FEATURES, 0),)
        groups.append(Group(name, level, halo, sources, name, widths[level], widths[level]))
    for level in reversed(range(top)):
        halo = up[level] * (FINE_REACH if level == 0 else COARSE_REACH)
        coarse = f"down_{top}" if level + 1 == top else f"up_{level + 1}"
        inputs = ((f"down_{level}", level), (coarse, level + 1))
        name = f"up_{level}"
        output, channels = (LOGITS, num_classes) if level == 0 else (name, widths[level])
        groups.append(Group(name, level, halo, inputs, output, channels, widths[level]))
    return tuple(groups)
