"""Sums and adjacency of regions on a GPU: the numbers of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.features import NUM_BINS, RINGS, plane_table, planes
from gnnseg.kernels.adjacency import CODES, adjacency
from gnnseg.kernels.region_sums import GEOMETRY, RULES, VALUE, region_sums
from gnnseg.kernels.slots import MASKED

STEP, MARGIN = 4, 4
TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""


def draw(channels, shape=(10 * TIMES, 13 * TIMES)):
    """Channels, lightness and slots, among them homes outside of the window."""
    rng = np.random.default_rng(channels)
    wide = channels, shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN
    work = rng.integers(0, 1021, wide).astype(np.int16)
    slots = rng.choice(np.array([0, 7, 12, 12, 12, 13, 24, MASKED], np.uint8), shape)
    cells = tuple(-(-size // STEP) for size in shape)
    return work, work.mean(axis=0).astype(np.int16), slots, cells


def check(kernel, inputs, tables, *rest):
    """Both add to what is in the tables already."""
    there = [cuda.to_device(table) for table in tables]
    kernel(*map(cuda.to_device, inputs), STEP, *rest[:-1], *there, rest[-1])
    kernel(*inputs, STEP, *rest[:-1], *tables, rest[-1])
    for here, table in zip(tables, there, strict=True):
        np.testing.assert_array_equal(table.copy_to_host(), here)


@pytest.mark.parametrize("channels", [1, 3])
def test_sums_are_those_of_the_cpu(channels):
    *inputs, cells = draw(channels)
    rows = plane_table(planes(channels, rgb=channels == 3))
    tables = (
        np.ones((*cells, GEOMETRY + 2 * len(rows)), np.int64),
        np.ones((*cells, NUM_BINS), np.int32),
    )
    check(region_sums, inputs, tables, rows, np.array(RINGS), 1020, (MARGIN, MARGIN))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_that_of_the_cpu(rule):
    *inputs, cells = draw(1, (6, 7))
    rows = np.array([(rule, 0 if rule == VALUE else 2)])
    tables = np.zeros((*cells, GEOMETRY + 2), np.int64), np.zeros((*cells, NUM_BINS), np.int32)
    check(region_sums, inputs, tables, rows, np.array(RINGS), 1020, (MARGIN, MARGIN))
    assert tables[0][..., GEOMETRY].any()


@pytest.mark.parametrize("where", [np.asarray, cuda.to_device])
def test_a_rule_that_no_loop_knows_is_refused(where):
    *inputs, cells = draw(1, (6, 7))
    tables = np.zeros((*cells, GEOMETRY + 2), np.int64), np.zeros((*cells, NUM_BINS), np.int32)
    kinds = np.array([(len(RULES), 1)]), np.array(RINGS), 1020
    with pytest.raises(ValueError, match=r"rules \[6\], known are"):
        region_sums(*map(where, inputs), STEP, *kinds, *map(where, tables), (MARGIN, MARGIN))


def test_adjacency_is_that_of_the_cpu():
    _, *inputs, cells = draw(2)
    tables = [np.ones((*cells, CODES), np.int32) for _ in range(2)]
    check(adjacency, inputs, [*tables, np.ones(cells, np.int32)], (MARGIN, MARGIN))


def test_more_sums_than_fit_a_block_of_threads_are_refused():
    work, grey, slots, cells = draw(1)
    tables = np.zeros((*cells, 300), np.int64), np.zeros((*cells, NUM_BINS), np.int32)
    kinds = np.zeros((147, 2), np.int64), np.array(RINGS), 1020
    there = map(cuda.to_device, (work, grey, slots))
    with pytest.raises(ValueError, match="at most 256"):
        region_sums(*there, STEP, *kinds, *map(cuda.to_device, tables), (MARGIN, MARGIN))
