"""Sections of sstem_vnc as region graphs: in slabs of some thickness, or one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

import gnnseg
from gnnseg.datasets import open_dataset
from gnnseg.graph import RegionGraph, VolumeTable
from gnnseg.graph.volume import sum_up_volume, volume_features
from gnnseg.io import ClassInfo
from gnnseg.models.jain2023 import NEIGHBOURS
from gnnseg.models.level import Level, concatenate
from gnnseg.superpixels import BoxBlock
from gnnseg.superpixels.volume import read_volume, supervoxel_map

DATA = Path(os.environ.get("GNNSEG_DATA", "../shared/data")) / "sstem_vnc"
SPACING = (47.0, 4.6, 4.6)
COLUMN = 256
"""Pixels on a side of what is trained on at once, in all sections."""


@dataclass(frozen=True)
class Stack:
    """Sections (Z, Y, X) uint8, their labels, and what these mean."""

    pixels: np.ndarray
    labels: np.ndarray
    classes: ClassInfo

    @property
    def num_classes(self) -> int:
        return self.classes.num_classes

    @property
    def ignore_index(self) -> int:
        return self.classes.ignore_index

    def cut(self, part: tuple[slice, ...]) -> Stack:
        """A part of it."""
        return self._with(self.pixels[part], self.labels[part])

    def turned(self, quarters: int) -> Stack:
        """Turned by so many quarters; by two or three, with the last section first as well."""
        way = slice(None, None, -1 if quarters > 1 else 1)
        pixels, labels = (
            np.ascontiguousarray(np.rot90(array, quarters, (1, 2))[way])
            for array in (self.pixels, self.labels)
        )
        return self._with(pixels, labels)

    def columns(self) -> Iterator[Stack]:
        """Squares of `COLUMN` pixels that tile the sections, in all of them."""
        for y in range(0, self.pixels.shape[1], COLUMN):
            for x in range(0, self.pixels.shape[2], COLUMN):
                yield self.cut(np.s_[:, y : y + COLUMN, x : x + COLUMN])

    def slabs(self, depth: int) -> Iterator[Stack]:
        """So many sections at a time."""
        for z in range(0, len(self.pixels), depth):
            yield self.cut(np.s_[z : z + depth])

    def pixels_by_class(self) -> np.ndarray:
        """How many voxels each class has."""
        known = self.labels[self.labels != self.ignore_index]
        return np.bincount(known, minlength=self.num_classes)

    def _with(self, pixels: np.ndarray, labels: np.ndarray) -> Stack:
        return Stack(pixels, labels, self.classes)


def read_stack(split: str) -> Stack:
    """The sections of a split, in their order."""
    items = sorted(open_dataset(DATA).split(split), key=lambda item: item.stem)
    images = [item.open_image() for item in items]
    pixels = np.stack([image.read(image.bounds)[0] for image in images])
    labels = np.stack([item.read_labels() for item in items])
    return Stack(pixels, labels, items[0].classes)


@dataclass
class Piece:
    """Region graphs side by side.

    Attributes
    ----------
    x : (N, F) float32
    levels : dict of Level
    counts : (N, classes) int64
        Voxels of each region by class.
    """

    x: torch.Tensor
    levels: dict[int, Level]
    counts: torch.Tensor


@dataclass(frozen=True)
class GraphMaker:
    """Makes pieces of stacks.

    Attributes
    ----------
    step : int
        Size of a cell in pixels; its depth follows from `SPACING`.
    depth : int
        Sections of a slab; regions of different slabs know nothing of each other.
    num_levels : int
        Of touching regions; 1: one level on which each region knows its nearest.
    grey : bool
        Whether mean, deviation and deciles of grey are all features.
    """

    step: int
    depth: int
    num_levels: int
    grey: bool

    def piece(self, stack: Stack) -> tuple[Piece, np.ndarray]:
        """The graphs of a stack's slabs, and the region of each voxel, (Z, Y, X) int64."""
        parts, ids, nodes = [], [], 0
        for slab in stack.slabs(self.depth):
            part, own = self._slab(slab)
            parts.append(part)
            ids.append(own + nodes)
            nodes += len(part.x)
        levels = {
            n: concatenate([part.levels[n] for part in parts]) for n in range(self.num_levels)
        }
        x, counts = (torch.cat([getattr(p, name) for p in parts]) for name in ("x", "counts"))
        return Piece(x, levels, counts), np.concatenate(ids)

    def _slab(self, slab: Stack) -> tuple[Piece, np.ndarray]:
        image = gnnseg.open_image(slab.pixels, axes="ZYX")
        volume = read_volume(image, self.step, spacing=SPACING)
        regions, cells = supervoxel_map(volume), volume.lattice.cells
        table = sum_up_volume(volume, regions.slots, BoxBlock(cells, cells))
        names, top = volume_features(volume), volume.planes.scaling.top
        graph = RegionGraph.from_table(table, contrast_top=top, feature_names=names)
        x = torch.from_numpy(graph.x[:, [names.index(name) for name in self._features(names)]])
        levels = [nearest(graph, self.step)] if self.num_levels == 1 else self._levels(graph)
        ids = regions.ids()
        counts = torch.from_numpy(count(ids, slab, graph.num_nodes))
        return Piece(x, dict(enumerate(levels)), counts), ids

    def _features(self, names: Sequence[str]) -> list[str]:
        if self.grey:
            own = names[0].removeprefix("mean_")
            kept = f"mean_{own}", f"std_{own}"
            return [name for name in names if name in kept or name.startswith("decile_")]
        return [name for name in names if not name.startswith("place_")]

    def _levels(self, graph: RegionGraph) -> list[Level]:
        """The lattice's levels, coarsened as `VolumeTable.coarsen` does."""
        levels = []
        for _ in range(self.num_levels):
            coarse = graph.table.coarsen(SPACING[0] / SPACING[1])
            levels.append(_level(graph.edge_index, graph.edge_attr, graph, coarse))
            graph = RegionGraph.from_table(coarse, contrast_top=graph.contrast_top)
        return levels


def count(ids: np.ndarray, stack: Stack, num_nodes: int) -> np.ndarray:
    """Voxels of each region by class, (N, classes) int64."""
    known = stack.labels != stack.ignore_index
    place = ids[known] * stack.num_classes + stack.labels[known]
    size = num_nodes * stack.num_classes
    return np.bincount(place, minlength=size).reshape(num_nodes, stack.num_classes)


def nearest(graph: RegionGraph, step: int) -> Level:
    """Edges from the nearest centroids, weighted by exp(-distance in cells), all in nanometres."""
    where = np.flatnonzero(graph.area)
    pos = graph.pos[where] * SPACING
    distance, found = cKDTree(pos).query(pos, NEIGHBOURS + 1)
    target = np.repeat(where, NEIGHBOURS)
    edge_index = np.stack([where[found[:, 1:]].ravel(), target])
    weight = np.exp(-distance[:, 1:].reshape(-1, 1) / (step * SPACING[1]))
    return _level(edge_index, weight.astype(np.float32), graph, None)


def _level(
    edge_index: np.ndarray, edge_attr: np.ndarray, graph: RegionGraph, coarse: VolumeTable | None
) -> Level:
    """The tensors of a level; `coarse` is the table of the next one, if there is one."""
    parent, num_parents = np.zeros(graph.num_nodes, np.int64), 1
    if coarse is not None:
        layers = coarse.cell[0] // graph.table.cell[0]
        z, y, x = np.indices(graph.table.window.shape)
        _, height, width = coarse.window.shape
        parent = (((z // layers) * height + y // 2) * width + x // 2).ravel()
        num_parents = coarse.window.size
    return Level(
        torch.from_numpy(edge_index),
        torch.from_numpy(edge_attr),
        torch.from_numpy(graph.area.reshape(-1, 1).astype(np.float32)),
        torch.from_numpy(parent),
        num_parents,
    )
