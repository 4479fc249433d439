"""The arrays that phases hand to each other, in one zarr group beside the output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.features import feature_names
from gnnseg.graph import TableStore, create_tables, describe, open_tables
from gnnseg.kernels.slic import MASKED

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.windows import Grid
    from gnnseg.superpixels import Scaling

SLOTS = "slots"
_CONFIG = {"write_empty_chunks": True}


@dataclass(frozen=True)
class Scratch:
    """Slots (Z, Y, X), the tables of each level, and the states (Z, cells_y, cells_x, channels)."""

    slots: Any
    tables: list[TableStore]
    states: dict[str, Any]

    def read_state(self, name: str, plane: int, window: Window) -> np.ndarray:
        """A state as (N, channels), in raster order of the window's cells."""
        state = np.asarray(self.states[name][(plane, *window.slices)])
        return state.reshape(window.size, -1)


def mark_graphs_complete(path: Path, levels: int) -> None:
    """Say that the tables that were asked for are whole, so that `RegionGraph.open` reads them."""
    import zarr

    for level in range(levels):
        group = zarr.open_group(path / f"graph_{level}", mode="r+")
        about: Any = group.attrs["gnnseg"]
        group.attrs["gnnseg"] = {**about, "complete": True}


def open_scratch(
    path: Path, grid: Grid, planes: int, scaling: Scaling, model: Model | None = None
) -> Scratch:
    """Open the arrays, creating those that do not exist; without a model slots and tables only."""
    import zarr

    root = zarr.open_group(path, mode="a")
    levels = 1 if model is None else model.num_levels
    return Scratch(
        _slots(root, grid, planes),
        [_tables(root, grid, planes, scaling, level) for level in range(levels)],
        {} if model is None else _states(root, grid, planes, model),
    )


def _slots(root: Any, grid: Grid, planes: int) -> Any:
    from zarr.codecs import ZstdCodec

    if SLOTS in root:
        return root[SLOTS].with_config(_CONFIG)
    lattice, side = grid.lattice, grid.chunk * grid.lattice.step
    return root.create_array(
        SLOTS,
        shape=(planes, lattice.height, lattice.width),
        chunks=(1, side, side),
        dtype=np.uint8,
        fill_value=MASKED + 1,
        compressors=ZstdCodec(level=1, checksum=True),
        config=_CONFIG,
    )


def _tables(root: Any, grid: Grid, planes: int, scaling: Scaling, level: int) -> TableStore:
    name, cell = f"graph_{level}", grid.lattice.step << level
    if name in root:
        return open_tables(root[name], cell)
    names = feature_names(scaling.num_channels, lab=scaling.lab) if level == 0 else ()
    group = root.create_group(name)
    describe(group, cell=cell, contrast_top=scaling.top, names=names)
    return create_tables(
        group,
        planes=planes,
        cells=grid.cells(level).shape,
        cell=cell,
        num_features=len(names),
        chunk=grid.chunk_at(level),
    )


def _states(root: Any, grid: Grid, planes: int, model: Model) -> dict[str, Any]:
    states = {}
    for group in model.network.groups:
        name = f"state_{group.output}"
        if name not in root:
            side = grid.chunk_at(group.level)
            root.create_array(
                name,
                shape=(planes, *grid.cells(group.level).shape, group.channels),
                chunks=(1, side, side, group.channels),
                dtype=np.float32,
                compressors=None,
                config=_CONFIG,
            )
        states[group.output] = root[name].with_config(_CONFIG)
    return states
