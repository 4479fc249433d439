"""The region adjacency graph, with PyTorch Geometric's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.errors import UsageError
from gnnseg.graph.table import RegionTable
from gnnseg.kernels.nearest import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

EDGE_NAMES = ("dy", "dx", "distance", "contact", "contrast", "area_ratio")
"""Columns of `edge_attr`: source minus target, in cells; `contact` is a share of the target's."""


@dataclass(frozen=True)
class RegionGraph:
    """Regions as nodes, one for each home cell in raster order; touching regions joined by edges.

    Attributes
    ----------
    table : RegionTable
        The integer tables that the graph was derived from.
    x : (N, F) float32
        Features, named `feature_names`.
    edge_index : (2, E) int64
        Source and target, sorted by target, then source.
    edge_attr : (E, 6) float32
        See `EDGE_NAMES`.
    pos : (N, 2) float64
        Centroids (y, x) in pixels of the whole image.
    area : (N,) int64
        Pixels; 0 for empty regions, which have no edges.
    contrast_top : int
        The grey difference, in working units, that counts as a contrast of 1.
    """

    table: RegionTable
    x: np.ndarray
    edge_index: np.ndarray
    edge_attr: np.ndarray
    pos: np.ndarray
    area: np.ndarray
    feature_names: tuple[str, ...] = ()
    contrast_top: int = 1

    def __post_init__(self) -> None:
        nodes = self.table.window.size
        if not (len(self.x) == len(self.pos) == len(self.area) == nodes):
            raise UsageError(
                f"x, pos and area must have {nodes} rows, "
                f"got {len(self.x)}, {len(self.pos)}, {len(self.area)}"
            )
        if self.edge_index.shape != (2, len(self.edge_attr)):
            raise UsageError(
                f"edge_index must be (2, {len(self.edge_attr)}), got {self.edge_index.shape}"
            )
        if self.edge_index.size and not 0 <= self.edge_index.min() <= self.edge_index.max() < nodes:
            raise UsageError(f"edge_index must name nodes 0 .. {nodes - 1}")

    @property
    def num_nodes(self) -> int:
        return len(self.area)

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    @classmethod
    def from_table(
        cls, table: RegionTable, *, contrast_top: int = 1, feature_names: tuple[str, ...] = ()
    ) -> RegionGraph:
        """Derive the adjacency graph of a table; `contrast_top` is the largest grey difference."""
        edge_index, code = lattice_edges(table.contact > 0, table.reach)
        target = edge_index[1]
        contact = table.contact.reshape(table.window.size, -1)[target, code].astype(np.float64)
        contrast = table.contrast.reshape(table.window.size, -1)[target, code]
        total = table.contact.sum(axis=-1, dtype=np.int64).ravel()
        extra = [contact / total[target], contrast / (contact * contrast_top)]
        pos, area = table.pos().reshape(-1, 2), table.area.ravel()
        return cls(
            table=table,
            x=table.x.reshape(table.window.size, -1),
            edge_index=edge_index,
            edge_attr=_edge_attr(edge_index, pos, area, table.cell, extra),
            pos=pos,
            area=area,
            feature_names=feature_names,
            contrast_top=contrast_top,
        )

    @classmethod
    def open(cls, path: str | Path, plane: int = 0) -> RegionGraph:
        """Read a graph that `gnnseg graph` (or `save`) wrote."""
        from gnnseg.graph.store import open_graph

        return open_graph(path, plane)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the graph as a zarr group."""
        from gnnseg.graph.store import save_graph

        save_graph(self, path, overwrite=overwrite)

    def to_data(self) -> Data:
        """The graph as PyTorch Geometric data that shares this graph's memory."""
        import torch
        from torch_geometric.data import Data

        return Data(
            x=torch.from_numpy(self.x),
            edge_index=torch.from_numpy(self.edge_index),
            edge_attr=torch.from_numpy(self.edge_attr),
            pos=torch.from_numpy(self.pos),
            area=torch.from_numpy(self.area),
        )


def lattice_edges(present: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges from a (h, w, codes) bool table: `edge_index` (2, E) by target, then source; and codes.

    Edges whose source lies outside the window are left out.
    """
    height, width = present.shape[:2]
    side = 2 * reach + 1
    target_y, target_x, code = np.nonzero(present)
    source_y = target_y + code // side - reach
    source_x = target_x + code % side - reach
    inside = (source_y >= 0) & (source_y < height) & (source_x >= 0) & (source_x < width)
    source = source_y[inside] * width + source_x[inside]
    target = target_y[inside] * width + target_x[inside]
    return np.stack([source, target]), code[inside]


def nearest_graph(table: RegionTable, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges from the `k` nearest centroids within two cells, and their distances in cells.

    Returns `edge_index` (2, E) int64 and distance (E,) float32.
    """
    pos = table.pos()
    chosen = np.zeros((*table.window.shape, 25), np.bool_)
    nearest(pos, np.ascontiguousarray(table.area), k, chosen)
    edge_index, _ = lattice_edges(chosen, 2)
    distance = _offsets(edge_index, pos.reshape(-1, 2), table.cell)[:, 2]
    return edge_index, distance.astype(np.float32)


def _offsets(edge_index: np.ndarray, pos: np.ndarray, cell: int) -> np.ndarray:
    """(E, 3) float64: dy, dx and distance from target to source, in cells."""
    source, target = edge_index
    delta = (pos[source] - pos[target]) / cell
    distance = np.sqrt(delta[:, :1] ** 2 + delta[:, 1:] ** 2)
    return np.concatenate([delta, distance], axis=1)


def _edge_attr(
    edge_index: np.ndarray, pos: np.ndarray, area: np.ndarray, cell: int, extra: list[np.ndarray]
) -> np.ndarray:
    source, target = edge_index
    ratio = area[source] / np.maximum(area[source] + area[target], 1)
    columns = [_offsets(edge_index, pos, cell), *(e[:, None] for e in extra), ratio[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)
