"""Groups of layers: the steps in which a model runs over a lattice, whole or block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn

    from gnnseg.graph import RegionTable
    from gnnseg.models.level import Level
    from gnnseg.models.stem import Stem

FEATURES = "x"
"""Name of the state that every model starts from."""
STEM = "stem"
"""Name of what a learned stem makes of the pixels of a region."""
LOGITS = "logits"
"""Name of the state that every model ends with."""


@dataclass(frozen=True)
class Group:
    """Layers that run without going to disk in between.

    Attributes
    ----------
    name : str
    level : int
        Lattice level of the result.
    halo : int
        Cells of that level, around a block, that the result depends on.
    inputs : tuple of (state, level)
        States that are read, and the level they live on: one finer (they are pooled), the same,
        or one coarser (they are handed down).
    output : str
        State that is written.
    channels : int
        Width of that state.
    width : int
        Width of the layers inside; memory follows from it.
    edge_bytes : int
        Held for each edge beside its index and attributes.
    edges : int or None
        Directed edges of each node, where they are not those of touching regions.
    """

    name: str
    level: int
    halo: int
    inputs: tuple[tuple[str, int], ...]
    output: str
    channels: int
    width: int
    edge_bytes: int = 0
    edges: int | None = None


@dataclass(frozen=True)
class State:
    """An array of a run over a lattice: `channels` float32 values for each cell of a level."""

    name: str
    level: int
    channels: int


class NodeClassifier(Protocol):
    """What every model offers; all are `torch.nn.Module`s as well."""

    groups: tuple[Group, ...]
    num_levels: int
    stem: Stem | None

    @property
    def output_bias(self) -> torch.Tensor:
        """What is added to the logits of each class, (classes,)."""
        ...

    def make_level(self, table: RegionTable, index: int) -> Level:
        """The tensors of one level from its table."""
        ...

    def run_group(
        self, group: Group, states: Mapping[str, torch.Tensor], levels: Mapping[int, Level]
    ) -> torch.Tensor:
        """Run one group on the nodes of a window, a whole image, or a batch."""
        ...

    def modules_of(self, group: Group) -> tuple[nn.Module, ...]:
        """The modules that this group runs: each belongs to one group, or to the stem."""
        ...


def stored_states(model: NodeClassifier) -> tuple[State, ...]:
    """What a run over a lattice keeps: the stem's states, then the output of each group."""
    stem = () if model.stem is None else (State(STEM, 0, model.stem.out_channels),)
    return (*stem, *(State(g.output, g.level, g.channels) for g in model.groups))


def run_groups(
    model: NodeClassifier, states: Mapping[str, torch.Tensor], levels: Mapping[int, Level]
) -> torch.Tensor:
    """Logits (N, classes) of a whole graph.

    `states` are what the model starts from: the features (N, F) as `FEATURES` and, of a model with
    a stem, its states as `STEM`.
    """
    states = dict(states)
    for group in model.groups:
        states[group.output] = model.run_group(group, states, levels)
    return states[LOGITS]
