"""How fast each kind of phase runs, measured on a few cells of an image in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Block, Window
from gnnseg.execution import one_torch_thread
from gnnseg.io import label_dtype
from gnnseg.memory import reused_memory
from gnnseg.pipeline.canvas import Canvas
from gnnseg.pipeline.paint_phase import PaintPhase
from gnnseg.pipeline.paint_source import PaintSource
from gnnseg.pipeline.phases import (
    GroupPhase,
    StemPhase,
    coarsen_phase,
    regions_phase,
)
from gnnseg.pipeline.refine import load_refinement
from gnnseg.pipeline.sample import made_up
from gnnseg.pipeline.scratch import scratch_in_memory
from gnnseg.pipeline.tiling import Task
from gnnseg.pipeline.windows import Grid

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.options import PaintOptions
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.superpixels import PixelReader


@dataclass(frozen=True)
class Rates:
    """Seconds on one thread: a pixel read, for regions and for a stem; a cell; a pixel painted."""

    pixel: float
    stem: float
    coarse: float
    nodes: dict[str, float]
    paint: float
    density: float

    @classmethod
    def mean(cls, found: Sequence[Rates]) -> Rates:
        return cls(
            pixel=fmean(rates.pixel for rates in found),
            stem=fmean(rates.stem for rates in found),
            coarse=fmean(rates.coarse for rates in found),
            nodes={name: fmean(rates.nodes[name] for rates in found) for name in found[0].nodes},
            paint=fmean(rates.paint for rates in found),
            density=found[0].density,
        )


@reused_memory()
def load_loops(reader: PixelReader, model: Model, options: PaintOptions) -> None:
    """Load, or compile, every loop of a segmentation, on a few cells.

    Compiling takes memory and leaves code behind: both before the plan that counts.
    """
    few = made_up(reader)
    if options.refine:
        load_refinement(label_dtype(model.classes.num_classes, options.label_offset))
    with one_torch_thread():
        measure(few, model, options)


def measure(reader: PixelReader, model: Model, options: PaintOptions) -> Rates:
    """Run one block of every kind of phase on the whole of a small image in memory."""
    from gnnseg.models.layers import ROWS

    grid = Grid(reader.lattice)
    scratch = scratch_in_memory(grid, reader.scaling, model)
    cells, coarse = grid.cells(0), grid.cells(1)
    whole = partial(regions_phase, reader, scratch)
    region_seconds, found = _timed(whole, cells)
    coarse_seconds = 0.0
    if model.num_levels > 1:
        coarse_seconds, _ = _timed(partial(coarsen_phase, 1, grid, scratch), coarse)
    stem_seconds = 0.0
    if model.network.stem is not None:
        stem_seconds, _ = _timed(StemPhase(model.network.stem, reader, scratch), cells)
    rows = -(-cells.size // ROWS) * ROWS
    nodes = {
        group.name: _timed(GroupPhase(model, group, grid, scratch), cells)[0] / rows
        for group in model.network.groups
        if group.level == 0
    }
    bounds = reader.lattice.bounds
    paint_seconds, _ = _timed(_painter(reader, scratch, model, options), bounds)
    return Rates(
        pixel=region_seconds / bounds.size,
        stem=stem_seconds / bounds.size,
        coarse=coarse_seconds / coarse.size,
        nodes=nodes,
        paint=paint_seconds / bounds.size,
        density=found["max_density"],
    )


def _timed(work: Callable[[Task], dict[str, Any]], window: Window) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    result = work(Task(0, 0, Block(window, window)))
    return time.perf_counter() - started, result


def _painter(
    reader: PixelReader, scratch: Scratch, model: Model, options: PaintOptions
) -> PaintPhase:
    """Paints the image into arrays in memory."""
    import zarr

    classes, shape = model.classes.num_classes, reader.lattice.bounds.shape
    arrays: Any = zarr.open_group({}, mode="w")

    def make(name: str, dtype: Any, *channels: int) -> Any:
        chunks = (*(1 for _ in channels), *shape)
        return arrays.create_array(name, shape=(*channels, *shape), chunks=chunks, dtype=dtype)

    canvas = Canvas(
        classes,
        model.temperature,
        options.label_offset,
        make("labels", label_dtype(classes, options.label_offset)),
        make("probabilities", np.uint8, classes) if options.probabilities else None,
        make("uncertainty", np.uint8, 1) if options.uncertainty else None,
    )
    return PaintPhase(PaintSource(reader, scratch, options.band, model.borders), (0, 0), canvas)
