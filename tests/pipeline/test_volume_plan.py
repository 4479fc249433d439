"""Chunks, blocks and groups of rounds of a volume, and the memory that they are planned for."""

from __future__ import annotations

import numpy as np
import pytest

import gnnseg
from gnnseg.errors import MemoryBudgetError
from gnnseg.memory import parse_size
from gnnseg.pipeline import volume_stage
from gnnseg.pipeline.volume_grid import VolumeGrid
from gnnseg.superpixels.groups import groups_until
from gnnseg.superpixels.volume import read_volume


def stage_of(shape, **options):
    blank = np.broadcast_to(np.zeros((1,) * len(shape), np.uint8), shape)
    image = gnnseg.open_image(blank, axes="ZYX")
    return volume_stage.VolumeStage(read_volume(image, **options), graph=True)


def test_the_refusal_names_a_budget_that_works_and_more_gives_larger_blocks():
    for options in ({"step": 8}, {"step": 8, "spacing": (8, 1, 1)}, {"step": 16}):
        planner = stage_of((3000, 5000, 5000), **options).planner
        with pytest.raises(MemoryBudgetError, match="use --memory") as refusal:
            planner(2**20, 2)(None)
        least = parse_size(str(refusal.value).split("--memory ")[1].split(" ")[0])
        plans = [planner(least + more * 2**30, 2)(None) for more in (0, 1, 4, 16)]
        sizes = [plan.workers * plan.region_chunks**3 for plan in plans]
        assert sizes == sorted(sizes)
        assert sizes[-1] > sizes[0]
        for plan in plans:
            assert plan.projected_bytes <= plan.budget_bytes


def test_two_threads_have_a_block_each_of_a_volume_of_few_chunks():
    """Of chunks of 128 x 128 x 128 voxels."""
    for threads in (1, 2):
        stage = stage_of((128, 256, 256), step=8)
        plan = stage.planner(2**34, threads)(None)
        assert stage.grid.slot_tiling(plan.region_chunks).count == {1: 1, 2: 4}[threads]


@pytest.mark.parametrize(
    ("step", "deep", "side"),
    [(2, 1, 32), (4, 1, 32), (8, 1, 16), (8, 8, 32), (16, 1, 8), (64, 1, 2), (256, 1, 1)],
)
def test_chunks_hold_two_million_voxels_at_most_or_a_cell(step, deep, side):
    grid = stage_of((4000, 4000, 4000), step=step, spacing=(deep, 1, 1)).grid
    assert grid.chunk == (side,) * 3
    assert np.prod(grid.chunk_voxels) <= 2**21 or side == 1
    assert 8 * np.prod(grid.chunk_voxels) < 2**29, "an array of them can be opened"
    assert grid.table_side == min(16, max(8, side))


@pytest.mark.parametrize(
    ("shape", "step", "chunk", "table"),
    [
        ((12, 4000, 4000), 8, (2, 32, 32), (2, 16, 16)),
        ((12, 4000, 70), 128, (1, 1, 1), (1, 8, 1)),
        ((40, 300, 300), 128, (1, 1, 1), (1, 3, 3)),
    ],
)
def test_chunks_have_no_more_cells_than_the_volume(shape, step, chunk, table):
    grid = stage_of(shape, step=step).grid
    assert (grid.chunk, grid.table_chunk) == (chunk, table)


def test_a_few_large_cells_need_little():
    """Beside what a process takes; chunks and cells count as far as there are any."""
    stage = stage_of((40, 300, 300), step=128)
    assert stage.grid.slot_bytes(1) < 60 * 2**20
    assert stage.grid.sum_bytes(1) < 60 * 2**20


@pytest.mark.parametrize(("step", "ends"), [(8, (1, 2)), (32, (0, 1, 2))])
def test_blocks_of_large_cells_need_no_halo_of_all_rounds(step, ends):
    """All at once, they would hold a byte a voxel and a sample, 8 cells around the block."""
    grid = stage_of((3000, 5000, 5000), step=step).grid
    assert tuple(group.after for group in grid.groups(1)) == ends
    at_once = ((grid.side + 16) * step) ** 3 * (1 + 3 / 4)
    most = max(grid.centre_bytes(1, group) for group in grid.groups(1))
    assert most < at_once / 2
    assert grid.least_bytes(1) == grid.slot_bytes(1) > most


def test_groups_fit_what_a_thread_may_take():
    grid = stage_of((3000, 5000, 5000), step=8).grid
    chunks = grid.most
    assert grid.groups(chunks) == groups_until([2])
    share = max(grid.centre_bytes(chunks, group) for group in groups_until([1, 2]))
    assert grid.groups(chunks, share) == groups_until([1, 2])
    assert grid.centre_bytes(chunks, groups_until([2])[0]) > share


def test_counting_is_part_of_the_plan_of_a_slot_map(monkeypatch):
    monkeypatch.setattr(VolumeGrid, "count_bytes", lambda _self, _chunks: 2**40)
    stage = stage_of((40, 300, 300), step=8)
    assert stage.planner(2**34, 1)(None).workers == 1
    with pytest.raises(MemoryBudgetError, match="use --memory"):
        volume_stage.VolumeStage(stage.volume, graph=False).planner(2**34, 1)(None)


def test_a_filter_reads_a_margin_more():
    sharp, smooth = (stage_of((40, 600, 600), step=8, sigma=s).grid for s in (0.1, 20.0))
    assert smooth._passing_bytes(16, 8) > 1.4 * sharp._passing_bytes(16, 8)
