"""The region adjacency graph, with PyTorch Geometric's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.errors import UsageError
from gnnseg.graph.table import FINE_REACH, RegionTable, VolumeTable
from gnnseg.kernels.arrays import as_rows, contiguous, cut, full, is_device_array
from gnnseg.kernels.edges import edge_list
from gnnseg.kernels.nearest import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

EDGE_NAMES = ("dy", "dx", "distance", "contact", "contrast", "area_ratio")
"""Columns of `edge_attr`: source minus target, in cells; `contact` is a share of the target's."""
VOLUME_EDGE_NAMES = ("dz", *EDGE_NAMES)
"""The same of supervoxels."""


@dataclass(frozen=True)
class RegionGraph:
    """Regions as nodes, one for each home cell in raster order; touching regions joined by edges.

    All arrays lie in memory, or all on a GPU.

    Attributes
    ----------
    table : RegionTable, of supervoxels VolumeTable
        The integer tables that the graph was derived from.
    x : (N, F) float32
        Features, named `feature_names`.
    edge_index : (2, E) int64
        Source and target, sorted by target, then source.
    edge_attr : (E, 6) float32, of supervoxels (E, 7)
        See `EDGE_NAMES` and `VOLUME_EDGE_NAMES`.
    pos : (N, 2) float64, of supervoxels (N, 3)
        Centroids (y, x) or (z, y, x) in pixels of the whole image.
    area : (N,) int64
        Pixels or voxels; 0 for empty regions, which have no edges.
    contrast_top : int
        The grey difference, in working units, that counts as a contrast of 1.
    """

    table: RegionTable | VolumeTable
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
        if is_device_array(self.edge_index):
            return  # what names no node there would have to come to memory to be found
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
        cls,
        table: RegionTable | VolumeTable,
        *,
        contrast_top: int = 1,
        feature_names: tuple[str, ...] = (),
    ) -> RegionGraph:
        """Derive the adjacency graph of a table; `contrast_top` is the largest grey difference."""
        pos, axes = table.pos(), table.area.ndim
        edge_index, edge_attr = edge_list(
            table.contact, table.contrast, pos, table.area, table.reach, table.cell, contrast_top
        )
        return cls(
            table=table,
            x=as_rows(table.x, axes),
            edge_index=edge_index,
            edge_attr=edge_attr,
            pos=as_rows(pos, axes),
            area=as_rows(table.area, axes),
            feature_names=feature_names,
            contrast_top=contrast_top,
        )

    @classmethod
    def open(cls, path: str | Path, plane: int = 0) -> RegionGraph:
        """Read a graph that `gnnseg graph` (or `save`) wrote."""
        from gnnseg.graph.store import open_graph

        return open_graph(path, plane)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the graph as a zarr group: its features, and the table that it is made of."""
        from gnnseg.graph.store import save_graph

        save_graph(self, path, overwrite=overwrite)

    def to_data(self) -> Data:
        """The graph as PyTorch Geometric data that shares this graph's memory, where it lies."""
        import torch
        from torch_geometric.data import Data

        device = "cuda" if is_device_array(self.x) else "cpu"
        names = "x", "edge_index", "edge_attr", "pos", "area"
        return Data(**{name: torch.as_tensor(getattr(self, name), device=device) for name in names})


def nearest_graph(table: RegionTable, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges from the `k` nearest centroids within two cells, and their distances in cells.

    Returns `edge_index` (2, E) int64, by target, then source, and distance (E,) float32.
    """
    pos = table.pos()
    chosen = full((*table.window.shape, 25), np.int32, 0, like=table.area)
    nearest(pos, contiguous(table.area), k, chosen)
    edge_index, edge_attr = edge_list(chosen, chosen, pos, table.area, FINE_REACH, table.cell, 1)
    return edge_index, cut(edge_attr, np.s_[:, EDGE_NAMES.index("distance")])
