"""Which chunks a result depends on, and what the plan says of memory."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import MemoryBudgetError
from gnnseg.io import open_image
from gnnseg.pipeline.job import prepare
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import group_bytes, make_plan, region_bytes, region_tiling
from gnnseg.pipeline.windows import Grid, chunk_cells, required
from gnnseg.superpixels import PixelReader


@pytest.mark.parametrize("step", [2, 3, 7, 8, 12, 16, 31, 64, 256])
def test_chunks_are_powers_of_two_of_cells(step):
    cells = chunk_cells(step)
    assert cells & (cells - 1) == 0
    assert cells == 16 or cells * step <= 1024 < 2 * cells * step


def test_required_windows_hold_what_every_group_reads(model):
    grid = Grid(Lattice(60_000, 60_000, 8))
    need = required(model.network, grid, Window(29_000, 29_100, 32_000, 32_100))
    for group in model.network.groups:
        read = need.states[group.output].grow(group.halo).clip(grid.cells(group.level))
        assert read.clip(need.tables[group.level]) == read
        for name, level in group.inputs:
            factor = 2 if level < group.level else 1
            window = read.scale(factor) if level <= group.level else read.coarsen(2)
            window = window.clip(grid.cells(level))
            held = need.tables[0] if name == "x" else need.states[name]
            assert window.clip(held) == window
    assert need.tables[0].size < grid.cells(0).size / 2


def reader_of(model, height, width):
    image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (3, height, width))
    return PixelReader(open_image(image, axes="CYX"), model.scaling, model.settings)


def test_more_memory_never_gives_smaller_blocks(model):
    reader = reader_of(model, 30_000, 30_000)
    grid = Grid(reader.lattice)
    plans = [
        make_plan(reader, grid, budget=mib * 2**20, base=0, workers=2, model=model)
        for mib in (600, 800, 1200, 4000)
    ]
    areas = [plan.workers * plan.region_chunks**2 for plan in plans]
    assert areas == sorted(areas)
    for plan, mib in zip(plans, (600, 800, 1200, 4000), strict=True):
        assert plan.projected_bytes <= mib * 2**20


@pytest.mark.parametrize(("side", "workers", "blocks"), [(1000, 2, 1), (2048, 2, 4), (4096, 1, 1)])
def test_every_thread_has_a_block_if_there_are_as_many_chunks(model, side, workers, blocks):
    reader = reader_of(model, side, side)
    grid = Grid(reader.lattice)
    plan = make_plan(reader, grid, budget=2**34, base=0, workers=workers, model=model)
    assert plan.workers == workers
    assert region_tiling(reader, grid, plan.region_chunks, None, 1).count == blocks


def test_planes_of_a_stack_keep_threads_busy_with_large_blocks(model):
    reader = reader_of(model, 2048, 2048)
    grid = Grid(reader.lattice)
    plan = make_plan(reader, grid, budget=2**34, base=0, workers=2, planes=50)
    assert region_tiling(reader, grid, plan.region_chunks, None, 50).count == 50


def test_blocks_of_layers_are_shared_out_too(model):
    image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (3, 2048, 2048))
    source = open_image(image, axes="CYX")
    for workers in (1, 2):
        job = prepare(source, model, SegmentOptions(memory=2**34, workers=workers))
        group = model.network.groups[0]
        assert job.group_tiling(group, job.group_chunks(group, 24.0)).count == workers**2


def test_the_refusal_names_a_budget_that_works(model):
    reader = reader_of(model, 30_000, 30_000)
    grid = Grid(reader.lattice)
    with pytest.raises(MemoryBudgetError) as refusal:
        make_plan(reader, grid, budget=2**20, base=0, workers=2, model=model)
    mib = int(str(refusal.value).split("--memory ")[1].split("MiB")[0])
    assert make_plan(reader, grid, budget=mib * 2**20, base=0, workers=2, model=model)


def test_projections_grow_with_the_block(model):
    reader = reader_of(model, 30_000, 30_000)
    grid = Grid(reader.lattice)
    regions = [region_bytes(reader, grid, chunks) for chunks in (1, 2, 3)]
    assert regions == sorted(regions)
    for group in model.network.groups:
        sizes = [group_bytes(model, group, grid, chunks) for chunks in (1, 2, 3)]
        assert sizes == sorted(sizes)
