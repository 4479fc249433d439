"""The phases of a run: each is one pure function of a block, reading and writing whole chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window, chunk_cells
from gnnseg.graph import compute_regions
from gnnseg.models.group import STEM
from gnnseg.pipeline.windows import Grid, between

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.models.group import Group
    from gnnseg.models.level import Level
    from gnnseg.models.stem import Stem
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.pipeline.tiling import Task
    from gnnseg.superpixels import PixelReader

_EDGES = ("area", "moment", "contact", "contrast")


def regions_phase(reader: PixelReader, scratch: Scratch, task: Task) -> dict[str, Any]:
    """Slots and tables of a block of cells, those of the next coarser level with them."""
    part = compute_regions(reader, task.plane, task.block)
    scratch.slots[(task.plane, *part.pixels.slices)] = part.slots
    scratch.tables[0].write(task.plane, part.table)
    if len(scratch.tables) > 1:
        scratch.tables[1].write(task.plane, part.table.coarsen())
    edges = int((part.table.contact > 0).sum())
    return {
        "leftover": part.num_leftover,
        "regions": int((part.table.area > 0).sum()),
        "edges": edges,
        "max_density": _densest(part.table.contact, reader.settings.step),
    }


def _densest(contact: np.ndarray, step: int) -> float:
    """Edges a region in the densest chunk of a block."""
    edges = (contact > 0).sum(axis=-1)
    height, width = edges.shape
    parts = Window(0, height, 0, width).split(chunk_cells(step))
    return float(max(edges[part.slices].mean() for part in parts))


def coarsen_phase(level: int, grid: Grid, scratch: Scratch, task: Task) -> dict[str, Any]:
    """Tables of a block of a coarse level from those of the next finer one."""
    fine = between(task.block.write, level, level - 1, grid)
    table = scratch.tables[level - 1].read(task.plane, fine, _EDGES)
    scratch.tables[level].write(task.plane, table.coarsen())
    return {}


@dataclass(frozen=True)
class StemPhase:
    """A learned stem on the regions of a chunk, from pixels around it."""

    stem: Stem
    reader: PixelReader
    scratch: Scratch

    def __call__(self, task: Task) -> dict[str, Any]:
        """Read pixels and slots, run the stem, write the states of the regions."""
        from gnnseg.models.operations import counted_operations
        from gnnseg.models.stem_window import read_input, window_states

        plane, cells = task.plane, task.block.write
        slots = self.scratch.slots
        inputs = read_input(
            self.stem,
            self.reader,
            plane,
            cells,
            lambda part: slots[(plane, *part.slices)],
        )
        area = self.scratch.tables[0].read(plane, cells, ("area",)).area
        with counted_operations() as operations:
            states = window_states(self.stem, inputs, area)
        self.scratch.states[STEM][(plane, *cells.slices)] = states
        return {"operations": operations.total}


@dataclass(frozen=True)
class GroupPhase:
    """One group of layers, block by block."""

    model: Model
    group: Group
    grid: Grid
    scratch: Scratch

    def __call__(self, task: Task) -> dict[str, Any]:
        """Read the inputs with the halo, run the layers, write the block without it."""
        import torch

        from gnnseg.models.operations import counted_operations

        plane, block, group = task.plane, task.block, self.group
        levels = {group.level: self._level(plane, block.read, group.level)}
        states = {}
        for name, level in group.inputs:
            window = between(block.read, group.level, level, self.grid)
            states[name] = self._state(plane, name, window)
            if level < group.level:
                levels[level] = self._level(plane, window, level, edges=False)
        with torch.inference_mode(), counted_operations() as operations:
            result = self.model.network.run_group(group, states, levels).numpy()
        shaped = result.reshape(*block.read.shape, group.channels)[block.crop]
        target = self.scratch.states[group.output]
        target[(plane, *block.write.slices)] = shaped
        return {"operations": operations.total}

    def _level(self, plane: int, window: Window, level: int, *, edges: bool = True) -> Level:
        from gnnseg.models.level import node_level

        names = _EDGES if edges else ("area",)
        table = self.scratch.tables[level].read(plane, window, names)
        return self.model.network.make_level(table, level) if edges else node_level(table)

    def _state(self, plane: int, name: str, window: Window) -> Any:
        import torch

        from gnnseg.models.group import FEATURES

        if name == FEATURES:
            table = self.scratch.tables[0].read(plane, window, ("x",))
            return self.model.standardise(table.x.reshape(window.size, -1))
        return torch.from_numpy(self.scratch.read_state(name, plane, window))
