"""About how long a run will take: one chunk of the image is worked on in memory, and scaled."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Block, Window
from gnnseg.execution import default_workers
from gnnseg.graph.stage import SUM_HALO
from gnnseg.io import label_dtype, open_image
from gnnseg.memory import reused_memory
from gnnseg.models.group import LOGITS
from gnnseg.pipeline.phases import (
    GroupPhase,
    PaintPhase,
    coarsen_phase,
    one_torch_thread,
    regions_phase,
)
from gnnseg.pipeline.scratch import scratch_in_memory
from gnnseg.pipeline.tiling import Task, Tiling
from gnnseg.pipeline.windows import Grid, required

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job
    from gnnseg.superpixels import PixelReader

MOST_SAMPLES = 8
"""Samples worked on at once; each takes some 100 MiB."""
_FEW_CELLS = 8
WIDER = 1.5
"""A node of a coarse level costs the ratio of the widths to this power (measured: 1.2 to 1.7)."""
PYRAMID = 1.25
"""What painting and the pyramid cost together, painting being 1 (measured: 1.24)."""


@dataclass(frozen=True)
class _Rates:
    """Seconds on one thread: a pixel read, a coarse cell, a node by group, a pixel painted."""

    pixel: float
    coarse: float
    nodes: dict[str, float]
    paint: float
    density: float


@reused_memory()
def estimate_seconds(job: Job) -> float:
    """Seconds that a prepared job will take, about; writes nothing, takes a few seconds."""
    reader, reading = _sample(job, job.grid.chunk // 2)
    number = min(_threads(job), MOST_SAMPLES)
    with one_torch_thread(), ThreadPoolExecutor(number) as pool:
        # As many at once as will run, for they share processors, caches and memory.
        found = list(pool.map(partial(_measure, job), [reader] * number))
    rates = _mean(found)
    return sum(_scaled(job, replace(rates, pixel=rates.pixel + reading)).values())


def _threads(job: Job) -> int:
    return min(job.plan.workers, default_workers())


def _mean(found: list[_Rates]) -> _Rates:
    return _Rates(
        pixel=fmean(rates.pixel for rates in found),
        coarse=fmean(rates.coarse for rates in found),
        nodes={name: fmean(rates.nodes[name] for rates in found) for name in found[0].nodes},
        paint=fmean(rates.paint for rates in found),
        density=found[0].density,
    )


@reused_memory()
def load_loops(job: Job) -> None:
    """Load, or compile, every loop that a prepared job needs, on a few cells of its image."""
    reader, _ = _sample(job, _FEW_CELLS)
    with one_torch_thread():
        _measure(job, reader)


def _sample(job: Job, half: int) -> tuple[PixelReader, float]:
    """What lies `half` cells around the middle, in memory, and the seconds to read a pixel."""
    image, step = job.reader.image, job.reader.settings.step
    y, x = (job.roi.y0 + job.roi.y1) // 2, (job.roi.x0 + job.roi.x1) // 2
    y, x = y // step * step, x // step * step
    around = Window(y, y, x, x).grow(half * step)
    window = around.clip(job.grid.lattice.bounds)
    started = time.perf_counter()
    pixels = image.read(window, image.num_planes // 2)
    seconds = time.perf_counter() - started
    source = open_image(pixels, axes="CYX", rgb=image.is_rgb)
    return replace(job.reader, image=source, mask=None), seconds / window.size


def _measure(job: Job, reader: PixelReader) -> _Rates:
    """Run one block of every kind of phase on a sample."""
    from gnnseg.models.layers import ROWS

    grid, model = Grid(reader.lattice), job.model
    scratch = scratch_in_memory(grid, reader.scaling, model)
    cells, coarse = grid.cells(0), grid.cells(1)
    whole = partial(regions_phase, reader, scratch)
    region_seconds, found = _timed(whole, cells)
    coarse_seconds = 0.0
    if model.num_levels > 1:
        coarse_seconds, _ = _timed(partial(coarsen_phase, 1, grid, scratch), coarse)
    rows = -(-cells.size // ROWS) * ROWS
    nodes = {
        group.name: _timed(GroupPhase(model, group, grid, scratch), cells)[0] / rows
        for group in model.network.groups
        if group.level == 0
    }
    bounds = reader.lattice.bounds
    paint_seconds, _ = _timed(_painter(job, grid, scratch), bounds)
    return _Rates(
        pixel=region_seconds / bounds.size,
        coarse=coarse_seconds / coarse.size,
        nodes=nodes,
        paint=paint_seconds / bounds.size,
        density=found["max_density"],
    )


def _timed(work: Callable[[Task], dict[str, Any]], window: Window) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    result = work(Task(0, 0, Block(window, window)))
    return time.perf_counter() - started, result


def _painter(job: Job, grid: Grid, scratch: Any) -> PaintPhase:
    """Paints the sample into arrays in memory."""
    import zarr

    classes, bounds = job.model.classes.num_classes, grid.lattice.bounds
    dtype = label_dtype(classes, job.options.label_offset)
    arrays: Any = zarr.open_group({}, mode="w")
    chances = arrays.create_array(
        "probabilities", shape=(classes, *bounds.shape), chunks=(1, *bounds.shape), dtype=np.uint8
    )
    return PaintPhase(
        grid=grid,
        scratch=scratch,
        logits=LOGITS,
        num_classes=classes,
        label_offset=job.options.label_offset,
        origin=(0, 0),
        labels=arrays.create_array("labels", shape=bounds.shape, chunks=bounds.shape, dtype=dtype),
        probabilities=chances if job.options.probabilities else None,
    )


def _scaled(job: Job, rates: _Rates) -> dict[str, float]:
    """Seconds by phase of the whole run."""
    need = required(job.model.network.groups, job.grid, job.roi)
    planes, step = job.reader.image.num_planes, job.reader.settings.step
    threads = _threads(job)
    chunks, halo = job.plan.region_chunks, job.reader.settings.slot_halo + SUM_HALO
    tiling = job.grid.tiling(need.tables[0], 0, chunks=chunks, halo=halo, planes=planes)
    seconds = {"regions": _over(tiling, threads) * step**2 * rates.pixel}
    coarse = sum(window.size for level, window in need.tables.items() if level > 1)
    seconds["levels"] = coarse * planes * rates.coarse / threads
    for group in job.model.network.groups:
        chunks = job.plan.group_chunks(job.model, group, job.grid, rates.density)
        tiling = job.grid.tiling(
            need.states[group.output], group.level, chunks=chunks, halo=group.halo, planes=planes
        )
        seconds[group.name] = _over(tiling, threads) * _rate(job, group, rates)
    seconds["paint"] = job.roi.size * planes * rates.paint * PYRAMID / threads
    return seconds


def _over(tiling: Tiling, threads: int) -> float:
    """What the blocks read, by each of the threads that have something to do."""
    return tiling.read_size() / min(threads, tiling.count)


def _rate(job: Job, group: Any, rates: _Rates) -> float:
    """Seconds a node of a group, for coarse levels from that of the finest."""
    if group.name in rates.nodes:
        return rates.nodes[group.name]
    width, name = max((g.width, g.name) for g in job.model.network.groups if g.level == 0)
    return rates.nodes[name] * (group.width / width) ** WIDER
