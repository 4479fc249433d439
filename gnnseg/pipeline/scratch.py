"""The arrays that phases hand to each other, in one zarr group beside the output."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gnnseg.blocks import Window
from gnnseg.features import feature_names
from gnnseg.graph import TableStore, create_tables, describe, open_tables
from gnnseg.io.raw_array import RawArray
from gnnseg.pipeline.slot_map import create_slots, open_slots

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.models.group import State
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.windows import Grid
    from gnnseg.superpixels import Scaling

Arrays = TypeVar("Arrays")


@dataclass(frozen=True)
class Scratch:
    """Slots (Z, Y, X), the tables of each level, and the states (Z, cells_y, cells_x, channels)."""

    slots: Any
    tables: list[TableStore]
    states: dict[str, Any]

    def read_state(self, name: str, plane: int, window: Window) -> np.ndarray:
        """A state as (N, channels), in raster order of the window's cells."""
        state = self.states[name][(plane, *window.slices)]
        return state.reshape(window.size, -1)


def mark_graphs_complete(path: Path, levels: int) -> None:
    """Say that the tables that were asked for are whole, so that `RegionGraph.open` reads them."""
    import zarr

    for level in range(levels):
        group = zarr.open_group(path / f"graph_{level}", mode="r+")
        about: Any = group.attrs["gnnseg"]
        group.attrs["gnnseg"] = {**about, "complete": True}


def open_scratch(
    run: Run, grid: Grid, planes: int, scaling: Scaling, model: Model | None = None
) -> Scratch:
    """Open a run's arrays, without a model slots and tables only."""
    return open_arrays(
        run,
        lambda root: _create(root, grid, planes, scaling, model),
        lambda root: _open(root, grid, model),
    )


def open_arrays(run: Run, create: Callable[[Any], None], open_: Callable[[Any], Arrays]) -> Arrays:
    """Open what a run keeps in its scratch: `open_` raises KeyError if an array is missing.

    Arrays that are not there (any more) are created, and the marks of what was in them dropped.
    """
    import zarr

    if not run.scratch.exists():
        run.forget("")
        partial = run.scratch.with_name("scratch.partial")
        shutil.rmtree(partial, ignore_errors=True)
        create(zarr.open_group(partial, mode="w-"))
        partial.rename(run.scratch)
    try:
        return open_(zarr.open_group(run.scratch, mode="r+"))
    except KeyError:
        shutil.rmtree(run.scratch)
        return open_arrays(run, create, open_)


def scratch_in_memory(grid: Grid, scaling: Scaling, model: Model | None = None) -> Scratch:
    """Arrays for one plane of a small image, without a model slots and tables only.

    They go with the object.
    """
    import zarr

    root = zarr.open_group({}, mode="w")
    _create(root, grid, 1, scaling, model)
    return _open(root, grid, model)


def _open(root: Any, grid: Grid, model: Model | None) -> Scratch:
    """The arrays; KeyError if one is missing."""
    levels = 1 if model is None else model.num_levels
    return Scratch(
        open_slots(root),
        [
            open_tables(root[f"graph_{n}"], grid.lattice.step << n, raw=model is not None)
            for n in range(levels)
        ],
        {s.name: RawArray.open(root, f"state_{s.name}") for s in _states(model)},
    )


def _create(root: Any, grid: Grid, planes: int, scaling: Scaling, model: Model | None) -> None:
    _create_slots(root, grid, planes)
    for level in range(1 if model is None else model.num_levels):
        _create_tables(root, grid, planes, scaling, level, raw=model is not None)
    for state in _states(model):
        shape = planes, *grid.cells(state.level).shape, state.channels
        RawArray.create(root, f"state_{state.name}", shape, np.float32)


def _states(model: Model | None) -> tuple[State, ...]:
    from gnnseg.models.group import stored_states

    return () if model is None else stored_states(model.network)


def _create_slots(root: Any, grid: Grid, planes: int) -> None:
    lattice, side = grid.lattice, grid.chunk * grid.lattice.step
    create_slots(root, (planes, lattice.height, lattice.width), (1, side, side))


def _create_tables(
    root: Any, grid: Grid, planes: int, scaling: Scaling, level: int, *, raw: bool
) -> None:
    names = feature_names(scaling.num_channels, rgb=scaling.rgb) if level == 0 else ()
    group, cell = root.create_group(f"graph_{level}"), grid.lattice.step << level
    describe(group, cell=cell, contrast_top=scaling.top, names=names)
    create_tables(
        group,
        planes=planes,
        cells=grid.cells(level).shape,
        cell=cell,
        num_features=len(names),
        chunk=None if raw else grid.chunk_at(level),
    )
