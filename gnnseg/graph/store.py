"""Region tables on disk: a zarr group chunked along the lattice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import InputError, MissingInputError, StateError, UsageError
from gnnseg.graph.region_graph import RegionGraph
from gnnseg.graph.table import COARSE_REACH, FINE_REACH, RegionTable, VolumeTable
from gnnseg.io.raw_array import RawArray
from gnnseg.io.zarr_output import FLAT_KEYS
from gnnseg.superpixels.box import Box, VolumeLattice

if TYPE_CHECKING:
    from collections.abc import Iterable

KIND, VOLUME_KIND = "region_graph", "supervoxel_graph"
FORMAT_VERSION = 1
_PATHS = {
    "x": "nodes/x",
    "area": "nodes/area",
    "moment": "nodes/moment",
    "contact": "edges/contact",
    "contrast": "edges/contrast",
}
_SPARSE = ("contact", "contrast")
_CHUNK = 1, 64, 64
"""Cells of a chunk of a graph that lies in memory."""


@dataclass(frozen=True)
class TableStore:
    """The tables of one level of every plane: arrays (Z, cells_y, cells_x, ...).

    The arrays cover the whole lattice; chunks exist only where something was written.
    """

    arrays: dict[str, Any]
    cell: int

    @property
    def cells(self) -> Window:
        return Window(0, self.arrays["area"].shape[1], 0, self.arrays["area"].shape[2])

    def write(self, plane: int, table: RegionTable) -> None:
        """Write a table whose window covers whole chunks."""
        for name, array in table.arrays().items():
            if name in self.arrays:
                self.arrays[name][(plane, *table.window.slices)] = array

    def read(self, plane: int, window: Window, names: Iterable[str] = tuple(_PATHS)) -> RegionTable:
        """The table of a window; what is not in `names` stays empty."""
        wanted = {name for name in names if name in self.arrays}
        reach = (round(self.arrays["contact"].shape[-1] ** 0.5) - 1) // 2
        parts = {name: self.arrays[name][(plane, *window.slices)] for name in wanted}
        blank = {
            "x": ((0,), np.float32),
            "area": ((), np.int64),
            "moment": ((2,), np.int64),
            "contact": (((2 * reach + 1) ** 2,), np.int32),
            "contrast": (((2 * reach + 1) ** 2,), np.int32),
        }
        for name, (shape, dtype) in blank.items():
            if name not in parts:
                parts[name] = np.broadcast_to(np.zeros((), dtype), (*window.shape, *shape))
        return RegionTable(window=window, cell=self.cell, **parts)


def create_tables(
    group: Any,
    *,
    planes: int,
    cells: tuple[int, int],
    cell: int,
    num_features: int,
    chunk: int | None,
) -> None:
    """Create the arrays of one level in a zarr group; `num_features` 0 makes a coarse level.

    In compressed chunks of so many cells on a side, or without, as raw arrays.
    """
    reach = FINE_REACH if num_features else COARSE_REACH
    blank = RegionTable.empty(Window(0, 1, 0, 1), cell, num_features, reach)
    if chunk is not None:
        _create_arrays(group, blank, (planes, *cells), (1, chunk, chunk))
        return
    for name, array in blank.arrays().items():
        if array.size:
            RawArray.create(group, _PATHS[name], (planes, *cells, *array.shape[2:]), array.dtype)


@dataclass(frozen=True)
class VolumeStore:
    """The table of a volume on disk: arrays (cells_z, cells_y, cells_x, ...)."""

    arrays: dict[str, Any]
    cell: tuple[int, int, int]

    @classmethod
    def create(
        cls,
        group: Any,
        lattice: VolumeLattice,
        *,
        chunk: tuple[int, int, int],
        contrast_top: int,
        names: tuple[str, ...],
    ) -> VolumeStore:
        """Create the arrays of a volume in a zarr group; the graph is then incomplete."""
        blank = VolumeTable.empty(Box(0, 1, Window(0, 1, 0, 1)), lattice.steps, len(names))
        steps = {"step_z": lattice.step_z, "step": lattice.step}
        _describe(group, VOLUME_KIND, steps, contrast_top, names)
        return cls(_create_arrays(group, blank, lattice.shape, chunk), lattice.steps)

    @classmethod
    def open(cls, group: Any, cell: tuple[int, int, int]) -> VolumeStore:
        """The arrays of a fine table in a group; KeyError if one is missing."""
        store = cls(open_tables(group, cell[-1]).arrays, cell)
        _require_features(store.arrays)
        return store

    def write(self, table: VolumeTable) -> None:
        """Write a table whose box covers whole chunks."""
        for name, array in table.arrays().items():
            if name in self.arrays:
                self.arrays[name][table.window.slices] = array

    def read(self) -> VolumeTable:
        """The table of the whole volume; without features on coarse levels."""
        depth, height, width = self.arrays["area"].shape
        window = Box(0, depth, Window(0, height, 0, width))
        arrays = {"x": np.empty((*window.shape, 0), np.float32)}
        arrays |= {name: array[:] for name, array in self.arrays.items()}
        return VolumeTable(window=window, cell=self.cell, **arrays)


def _create_arrays(
    group: Any,
    like: RegionTable | VolumeTable,
    shape: tuple[int, int, int],
    chunk: tuple[int, int, int],
) -> dict[str, Any]:
    """Create the arrays of a table over (planes or layers, rows, columns) of cells."""
    from zarr.codecs import ZstdCodec

    arrays = {}
    for name, array in like.arrays().items():
        if array.size == 0:
            continue
        rest = array.shape[like.area.ndim :]
        level = 1 if name in _SPARSE else 0
        arrays[name] = group.create_array(
            _PATHS[name],
            shape=(*shape, *rest),
            chunks=(*chunk, *rest),
            dtype=array.dtype,
            fill_value=0,
            chunk_key_encoding=FLAT_KEYS,
            compressors=ZstdCodec(level=1, checksum=True) if level else None,
            config={"write_empty_chunks": True},
        )
    return arrays


def open_tables(group: Any, cell: int, *, raw: bool = False) -> TableStore:
    """The arrays of one level; KeyError if one is missing (but for the features)."""
    coarse = _PATHS["x"] not in group
    names = [name for name in _PATHS if not (coarse and name == "x")]
    if raw:
        return TableStore({name: RawArray.open(group, _PATHS[name]) for name in names}, cell)
    full = {"write_empty_chunks": True}
    return TableStore({name: group[_PATHS[name]].with_config(full) for name in names}, cell)


def _require_features(arrays: dict[str, Any]) -> None:
    """Raise KeyError for a table without features."""
    if "x" not in arrays:
        raise KeyError(_PATHS["x"])


def describe(store_group: Any, *, cell: int, contrast_top: int, names: tuple[str, ...]) -> None:
    """Write what a reader needs to know beside the arrays; the graph is then incomplete."""
    _describe(store_group, KIND, {"step": cell}, contrast_top, names)


def _describe(
    group: Any, kind: str, steps: dict[str, int], contrast_top: int, names: tuple[str, ...]
) -> None:
    group.attrs["gnnseg"] = {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        "complete": False,
        **steps,
        "contrast_top": contrast_top,
        "feature_names": list(names),
    }


def open_graph(path: str | Path, plane: int = 0) -> RegionGraph:
    """Read a graph that `gnnseg graph` or `RegionGraph.save` wrote."""
    from gnnseg.io.zarr_source import open_node

    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such region graph; `gnnseg graph` makes one")
    try:
        group = open_node(path)
        about: Any = group.attrs["gnnseg"]
        if about["kind"] not in (KIND, VOLUME_KIND):
            raise InputError(f"{path}: is a {about['kind']}, not a region graph")
        if about["format_version"] != FORMAT_VERSION:
            raise InputError(f"{path}: unknown format {about['format_version']}; update gnnseg")
        if about["complete"] is not True:
            raise StateError(f"{path}: the graph is incomplete; finish the run that writes it")
        store = open_tables(group, _positive(about, "step"))
        volume = about["kind"] == VOLUME_KIND
        top, names = _positive(about, "contrast_top"), tuple(about["feature_names"])
        if names:
            _require_features(store.arrays)
        planes = 1 if volume else store.arrays["area"].shape[0]
        if not 0 <= plane < planes:
            raise UsageError(f"{path} has planes 0 to {planes - 1}, got {plane}")
        table: RegionTable | VolumeTable
        if volume:
            table = VolumeStore(
                store.arrays, (_positive(about, "step_z"), *2 * (store.cell,))
            ).read()
        else:
            table = store.read(plane, store.cells)
        table = replace(table, window=_placed(table.window, about.get("corner")))
        return RegionGraph.from_table(table, contrast_top=top, feature_names=names)
    except (KeyError, OSError, ValueError, TypeError) as error:
        if isinstance(error, (InputError, UsageError)):
            raise
        raise InputError(f"{path}: is no readable region graph: {error}") from error


def _placed(window: Window | Box, corner: Any) -> Any:
    """A window that begins at (0, 0), or a box, where a graph of a part says that it begins."""
    if corner is None:
        return window
    sides = len(window.shape)
    if not (isinstance(corner, list) and len(corner) == sides and all(map(_is_whole, corner))):
        raise ValueError(f"corner must be {sides} whole numbers, got {corner!r}")
    (y0, x0), (rows, columns) = corner[-2:], window.shape[-2:]
    placed = Window(y0, y0 + rows, x0, x0 + columns)
    return placed if sides == 2 else Box(corner[0], corner[0] + window.shape[0], placed)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(about: dict[str, Any], name: str) -> int:
    """A whole number above 0; ValueError for anything else."""
    value = about[name]
    if not _is_whole(value) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, got {value!r}")
    return value


def save_graph(graph: RegionGraph, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a graph that no file holds yet: its features, and the rest of its table."""
    import zarr

    from gnnseg.io import remove_output

    path = Path(path)
    if path.exists():
        if not overwrite:
            raise StateError(f"{path}: exists; choose another name, or allow overwriting")
        remove_output(path)
    features = graph.x.reshape(*graph.table.window.shape, graph.x.shape[1])
    table = replace(graph.table, x=features).on_host()
    about_it = graph.contrast_top, graph.feature_names if table.x.shape[-1] else ()
    group = zarr.open_group(path, mode="w-")
    if isinstance(table, VolumeTable):
        steps = {"step_z": table.cell[0], "step": table.cell[1]}
        _describe(group, VOLUME_KIND, steps, *about_it)
        arrays = _create_arrays(group, table, table.window.shape, _CHUNK)
    else:
        _describe(group, KIND, {"step": table.cell}, *about_it)
        arrays = _create_arrays(group, table, (1, *table.window.shape), _CHUNK)
    for name, array in arrays.items():
        array[:] = table.arrays()[name].reshape(array.shape)
    corner = [part.start for part in table.window.slices]
    about: Any = group.attrs["gnnseg"]
    group.attrs["gnnseg"] = {**about, "corner": corner, "complete": True}
