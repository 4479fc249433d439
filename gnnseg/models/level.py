"""One level of a lattice as tensors, for a window, a whole image or a batch of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnseg.counters import moved
from gnnseg.graph import RegionGraph, nearest_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnseg.blocks import Window
    from gnnseg.graph import RegionTable


@dataclass(frozen=True)
class Level:
    """A graph on one level and, for levels that are pooled, where each node goes.

    Attributes
    ----------
    edge_index : (2, E) int64
        Sorted by target, then source.
    edge_attr : (E, D) float32
    area : (N, 1) float32
        Pixels of each region; 0 for empty ones.
    parent : (N,) int64
        Index of each node's cell on the next coarser level.
    num_parents : int
    """

    edge_index: torch.Tensor
    edge_attr: torch.Tensor
    area: torch.Tensor
    parent: torch.Tensor
    num_parents: int

    @property
    def num_nodes(self) -> int:
        return len(self.area)

    @property
    def occupied(self) -> torch.Tensor:
        """(N, 1) float32: 1 for regions that have pixels."""
        return (self.area > 0).float()

    def to(self, device: torch.device) -> Level:
        return Level(
            moved(self.edge_index, device),
            moved(self.edge_attr, device),
            moved(self.area, device),
            moved(self.parent, device),
            self.num_parents,
        )


def parents(window: Window) -> tuple[np.ndarray, int]:
    """For each cell of a window, the index of its parent in the coarser one; and their number."""
    coarse = window.coarsen(2)
    y = np.arange(window.y0, window.y1) // 2 - coarse.y0
    x = np.arange(window.x0, window.x1) // 2 - coarse.x0
    return (y[:, None] * coarse.shape[1] + x[None, :]).ravel(), coarse.size


def adjacency_level(table: RegionTable, contrast_top: int) -> Level:
    """The adjacency graph of a table."""
    graph = RegionGraph.from_table(table, contrast_top=contrast_top)
    return _level(table, graph.edge_index, graph.edge_attr)


def nearest_level(table: RegionTable, k: int) -> Level:
    """The graph of the `k` nearest centroids, weighted by exp(-distance in cells)."""
    edge_index, distance = nearest_graph(table, k)
    return _level(table, edge_index, np.exp(-distance.astype(np.float64))[:, None])


def node_level(table: RegionTable) -> Level:
    """Regions without edges."""
    return _level(table, np.zeros((2, 0), np.int64), np.zeros((0, 1), np.float32))


def _level(table: RegionTable, edge_index: np.ndarray, edge_attr: np.ndarray) -> Level:
    parent, num_parents = parents(table.window)
    return Level(
        torch.from_numpy(np.ascontiguousarray(edge_index)),
        torch.from_numpy(edge_attr.astype(np.float32)),
        torch.from_numpy(table.area.reshape(-1, 1).astype(np.float32)),
        torch.from_numpy(parent),
        num_parents,
    )


def concatenate(levels: Sequence[Level]) -> Level:
    """Graphs side by side, as one graph without edges between them."""
    nodes = np.cumsum([0, *(level.num_nodes for level in levels)])
    coarse = np.cumsum([0, *(level.num_parents for level in levels)])
    return Level(
        torch.cat([level.edge_index + int(n) for level, n in zip(levels, nodes, strict=False)], 1),
        torch.cat([level.edge_attr for level in levels]),
        torch.cat([level.area for level in levels]),
        torch.cat([level.parent + int(n) for level, n in zip(levels, coarse, strict=False)]),
        int(coarse[-1]),
    )
