"""What works on tables of regions, on a GPU: the bits of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, cuda, njit

from gnnseg.errors import UsageError
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.coarsen import coarsen, coarsen_volume
from gnnseg.kernels.cuda import scan
from gnnseg.kernels.cuda.expf import exp as exp_there
from gnnseg.kernels.cuda.launch import per_item
from gnnseg.kernels.deciles import deciles
from gnnseg.kernels.edges import edge_list
from gnnseg.kernels.expf import exp
from gnnseg.kernels.gated import gated_messages
from gnnseg.kernels.nearest import nearest
from gnnseg.kernels.pool import pool
from gnnseg.kernels.slots import MASKED

TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, tables of several blocks of threads."""
FEW = settings(max_examples=12)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 3), min_size=2, max_size=3)


def moved(arrays):
    return tuple(map(cuda.to_device, arrays))


def same(there, here):
    for got, expected in zip(there, here, strict=True):
        assert is_device_array(got)
        np.testing.assert_array_equal(got.copy_to_host(), expected)


def draw_sides(rng, shape, codes):
    """Contact and contrast, some of them between regions that do not touch."""
    contact = (rng.integers(0, 50, (*shape, codes)) * rng.integers(0, 2, codes)).astype(np.int32)
    return contact, contact * rng.integers(0, 800, contact.shape, np.int32)


@pytest.mark.parametrize("high", [2, 50])
def test_deciles_are_those_of_the_cpu(high):
    histogram = np.random.default_rng(high).integers(0, high, (20 * TIMES, 40)).astype(np.int32)
    histogram[0] = 0
    percents, out = np.arange(10, 100, 10), np.empty((len(histogram), 9))
    there = cuda.to_device(out)
    deciles(cuda.to_device(histogram)[:, :32], percents, there)
    deciles(histogram[:, :32], percents, out)
    same([there], [out])


@FEW
@given(SEEDS, SHAPES, st.sampled_from([1, 2]))
def test_edges_are_those_of_the_cpu(seed, shape, reach):
    rng, axes = np.random.default_rng(seed), len(shape)
    sides = draw_sides(rng, shape, (2 * reach + 1) ** axes)
    tables = *sides, rng.uniform(0, 100, (*shape, axes)), rng.integers(0, 300, shape)
    rest = reach, (8, (3, 8, 8)[-axes:])[seed % 2], 800
    same(edge_list(*moved(tables), *rest), edge_list(*tables, *rest))


def test_edges_of_a_part_of_a_table_are_those_of_the_cpu():
    """Neither tables nor the parts of a volume that planes are need lie in one piece."""
    rng = np.random.default_rng(0)
    tables = *draw_sides(rng, (4, 5), 9), rng.uniform(0, 9, (4, 5, 2)), rng.integers(0, 9, (4, 5))
    part = slice(1, 4), slice(2, 5)
    there = edge_list(*(table[part] for table in moved(tables)), 1, 4, 800)
    same(there, edge_list(*(np.ascontiguousarray(table[part]) for table in tables), 1, 4, 800))


@pytest.mark.parametrize("number", [1, 4, 9, 3000])
def test_shares_of_a_list_begin_one_after_the_other(number, monkeypatch):
    monkeypatch.setattr(scan, "_PIECE", 4 if config.ENABLE_CUDASIM else scan._PIECE)
    numbers = np.random.default_rng(number).integers(0, 9, min(number, 30 * TIMES))
    starts, total = scan.starts_of(cuda.to_device(numbers.astype(np.int32)))
    assert total == numbers.sum()
    same([starts], [np.cumsum(numbers) - numbers])


@FEW
@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 25))
def test_the_nearest_are_those_of_the_cpu(seed, height, width, k):
    rng = np.random.default_rng(seed)
    pos = np.stack(np.indices((height, width)), -1) * 8.0 + rng.uniform(0, 9, (height, width, 2))
    if seed % 2:
        pos = np.rint(pos)  # many ties
    area = rng.integers(0, 4, (height, width))
    chosen = np.ones((height, width, 25), np.int32)
    there = cuda.to_device(chosen)
    nearest(*moved((pos, area)), k, there)
    nearest(pos, area, k, chosen)
    same([there], [chosen])


def draw_tables(rng, shape, codes):
    area, moment = rng.integers(0, 300, shape), rng.integers(-300, 3000, (*shape, len(shape)))
    return area, moment, *draw_sides(rng, shape, codes)


def coarse_tables(shape, codes):
    counts = np.zeros(shape, np.int64), np.zeros((*shape, len(shape)), np.int64)
    return *counts, np.zeros((*shape, codes), np.int32), np.zeros((*shape, codes), np.int32)


@FEW
@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2]))
def test_coarse_planes_are_those_of_the_cpu(seed, height, width, reach):
    rng = np.random.default_rng(seed)
    tables = draw_tables(rng, (2 * height, 2 * width), (2 * reach + 1) ** 2)
    out = coarse_tables((height, width), 9)
    there = moved(out)
    coarsen(*moved(tables), reach, 16, *there)
    coarsen(*tables, reach, 16, *out)
    same(there, out)


@pytest.mark.parametrize(("layers", "reach", "out_reach"), [(1, 2, 2), (2, 2, 1), (2, 1, 1)])
def test_coarse_volumes_are_those_of_the_cpu(layers, reach, out_reach):
    rng, shape = np.random.default_rng(layers + reach), (2, 1, 2)
    fine = layers * shape[0], 2 * shape[1], 2 * shape[2]
    tables = draw_tables(rng, fine, (2 * reach + 1) ** 3)
    tables[3][0] += (tables[2][0] > 0) * np.int32(2**30)  # so that sums of contrast stop
    out = coarse_tables(shape, (2 * out_reach + 1) ** 3)
    there = moved(out)
    coarsen_volume(moved(tables), reach, (3, 8, 8), layers, there, out_reach)
    coarsen_volume(tables, reach, (3, 8, 8), layers, out, out_reach)
    same(there, out)
    assert out[3].max() == np.iinfo(np.int32).max


@FEW
@given(SEEDS, st.integers(1, 12), st.integers(1, 14), st.sampled_from([1, 4, 8]))
def test_pooled_maps_are_those_of_the_cpu(seed, height, width, stride):
    """Sums of floats: in another order they would be others."""
    rng, step, shape = np.random.default_rng(seed), 2 + seed % 5, (height, width)
    size = [-(-side // stride) for side in shape]
    maps = rng.normal(size=(*size, 2)).astype(np.float32)
    slots = np.repeat(rng.choice([0, 6, 7, 12, 12, 13, 24, MASKED], shape), 3, axis=1)
    slots = np.ascontiguousarray(slots[:, :width]).astype(np.uint8)
    sums = rng.normal(size=(*(-(-side // step) for side in shape), 2)).astype(np.float32)
    there = cuda.to_device(sums)
    pool(*moved((maps, slots)), step, stride, there)
    pool(maps, slots, step, stride, sums)
    same([there], [sums])


def draw_messages(rng, nodes, edges, width, attributes=6):
    edge_index = rng.integers(nodes, size=(2, edges))
    floats = [(nodes, 2 * width), (nodes, 2 * width), (edges, attributes), (width, attributes)]
    target, source, attr, weight, bias = (
        (3 * rng.normal(size=shape)).astype(np.float32) for shape in (*floats, width)
    )
    return target, source, edge_index[:, np.lexsort(edge_index)], attr, weight, bias


@FEW
@given(SEEDS, st.integers(1, 9), st.integers(0, 20), st.integers(1, 5))
def test_messages_are_those_of_the_cpu(seed, nodes, edges, width):
    """Gates of all sizes; nodes without edges, first and last ones among them."""
    given = draw_messages(np.random.default_rng(seed), nodes, edges, width)
    same([gated_messages(*moved(given))], [gated_messages(*given)])


def test_messages_over_edges_in_another_order_are_refused():
    target, source, edge_index, *rest = draw_messages(np.random.default_rng(0), 5, 9, 2)
    backwards = np.ascontiguousarray(edge_index[:, ::-1])
    with pytest.raises(UsageError, match="sorted by target"):
        gated_messages(*moved((target, source, backwards, *rest)))


@cuda.jit
def exps_there(x, out):
    at = cuda.grid(1)
    if at < x.size:
        out[at] = exp_there(x[at])


@njit
def exps_here(x, out):
    for at in range(x.size):
        out[at] = exp(x[at])


def test_exponentials_are_those_of_the_cpu():
    spread = np.linspace(-90, 90, 61 * TIMES), np.linspace(-1, 1, 30 * TIMES)
    x = np.concatenate([*spread, [-0.0, np.inf, -np.inf]]).astype(np.float32)
    out = np.empty_like(x)
    there = cuda.to_device(out)
    exps_there[per_item(x.size)](cuda.to_device(x), there)
    exps_here(x, out)
    same([there], [out])
