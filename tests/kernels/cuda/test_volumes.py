"""Sums, sides, homes and painting of volumes on a GPU: the numbers of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, cuda

from gnnseg.errors import UsageError
from gnnseg.features import NUM_BINS, RINGS, plane_table, planes
from gnnseg.kernels.adjacency_volume import (
    CODES,
    LAYERS,
    MOST_CONTRAST,
    adjacency_along_z,
    adjacency_in_plane,
)
from gnnseg.kernels.cuda.launch import per_voxel
from gnnseg.kernels.homes_volume import count_homes
from gnnseg.kernels.paint import paint_volume
from gnnseg.kernels.region_sums import GEOMETRY
from gnnseg.kernels.region_sums_volume import DEPTH, region_sums_in_plane
from gnnseg.kernels.slots import MASKED, VOLUME_SLOTS

MARGIN = 4
TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, volumes of several blocks of threads."""
SEEDS = st.integers(0, 2**32 - 1)


def draw(data, *, most=(4, 9, 10)):
    """Slots of any of the 125 homes, masked ones among them, and the steps (z, yx) of cells.

    The volume has at most so many planes, rows and columns.
    """
    rng = np.random.default_rng(data.draw(SEEDS))
    steps = data.draw(st.tuples(st.integers(1, 4), st.integers(2, 5)))
    depth, height, width = (data.draw(st.integers(min(size, 3), size)) for size in most)
    shape = depth, height * TIMES, width * TIMES
    slots = rng.choice(data.draw(st.sampled_from([125, 63, 70])), shape).astype(np.uint8)
    slots[rng.random(shape) < data.draw(st.sampled_from([0.0, 0.2, 0.9]))] = MASKED
    return rng, slots, steps


def grey_of(rng, slots):
    wide = slots.shape[0], slots.shape[1] + 2 * MARGIN, slots.shape[2] + 2 * MARGIN
    return rng.integers(0, 1021, wide).astype(np.int16)


def cells_of(slots, step):
    return tuple(-(-size // step) for size in slots.shape[1:])


def there(arrays):
    return tuple(map(cuda.to_device, arrays))


def same(here, copies):
    for table, copy in zip(here, copies, strict=True):
        np.testing.assert_array_equal(copy.copy_to_host(), table)


@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=5)
@given(st.data())
def test_sums_of_a_plane_are_those_of_the_cpu(channels, data):
    rng, slots, steps = draw(data, most=(1, 9, 10))
    cells, grey, z = cells_of(slots, steps[1]), grey_of(rng, slots)[0], steps[0] - 1
    work = rng.integers(0, 1021, (channels, *grey.shape)).astype(np.int16)
    rows = plane_table(planes(channels, rgb=channels == 3))
    tables = (
        np.ones((5, *cells, GEOMETRY + 2 * len(rows)), np.int64),
        np.ones((5, *cells, NUM_BINS), np.int32),
        np.ones((5, *cells, DEPTH), np.int64),
    )
    kinds, corner, copies = (rows, np.array(RINGS), 1020), (MARGIN, MARGIN), there(tables)
    region_sums_in_plane(*there((work, grey, slots[0])), steps, z, *kinds, copies, corner)
    region_sums_in_plane(work, grey, slots[0], steps, z, *kinds, tables, corner)
    same(tables, copies)


def side_tables(cells, contrast):
    """Counts of before, and contrasts that are near their end in some places."""
    return (
        np.ones((LAYERS, *cells, CODES), np.int32),
        np.full((LAYERS, *cells, CODES), contrast, np.int32),
        np.ones((LAYERS, *cells), np.int32),
    )


@settings(max_examples=8)
@given(st.data())
def test_sides_are_those_of_the_cpu(data):
    rng, slots, (_, step) = draw(data, most=(2, 9, 10))
    grey, cells = grey_of(rng, slots), cells_of(slots, step)
    weight, contrast = data.draw(st.sampled_from([(1, 0), (8, 3), (256, MOST_CONTRAST - 10**5)]))
    tables = side_tables(cells, contrast)
    copies, corner = there(tables), (MARGIN, MARGIN)
    adjacency_in_plane(*there((grey[0], slots[0])), step, copies, corner, weight)
    adjacency_in_plane(grey[0], slots[0], step, tables, corner, weight)
    same(tables, copies)
    if len(slots) == 2:
        # The layers after the last are those of the second plane, where a layer of cells begins.
        new_layer = data.draw(st.booleans())
        moved = step, new_layer, copies, corner, weight
        adjacency_along_z(there(grey), there(slots), *moved)
        adjacency_along_z(tuple(grey), tuple(slots), step, new_layer, tables, corner, weight)
        same(tables, copies)


def test_contrasts_stop_at_their_end_in_whatever_order_sides_come():
    """Regions in turn, black and white, of a plane and of the next, of which one is in no table."""
    striped = np.indices((6, 8)).sum(axis=0) % 2
    slots, grey = (62 + striped).astype(np.uint8), (1020 * striped).astype(np.int16)
    tables = side_tables((1, 2), MOST_CONTRAST - 256 * 1020 * 20)
    copies = there(tables)
    pair = (grey, 1020 - grey), (slots, 125 - slots)
    adjacency_in_plane(*there((grey, slots)), 4, copies, (0, 0), 256)
    adjacency_in_plane(grey, slots, 4, tables, (0, 0), 256)
    same(tables, copies)
    assert (tables[1][2] == MOST_CONTRAST).sum() == 3
    adjacency_along_z(there(pair[0]), there(pair[1]), 4, True, copies, (0, 0), 256)
    adjacency_along_z(*pair, 4, True, tables, (0, 0), 256)
    same(tables, copies)


@settings(max_examples=6)
@given(st.data())
def test_homes_are_counted_as_on_the_cpu(data):
    """In boxes as large as the volume, and in others, deep enough for where 254 would lead."""
    _, slots, steps = draw(data)
    shape = -(-len(slots) // steps[0]), *cells_of(slots, steps[1])
    for first, box in (((0, 0, 0), shape), ((-1, -2, 1), (12, 4, 5)), ((0, 1, 0), (1, 2, 2))):
        number = count_homes(cuda.to_device(slots), steps, first, box)
        assert number == count_homes(slots, steps, first, box)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@settings(max_examples=4)
@given(st.data())
def test_volumes_are_painted_as_on_the_cpu(dtype, data):
    """Codes that are no slots too, in values deep enough for where they would lead."""
    rng, slots, steps = draw(data)
    wild = rng.random(slots.shape) < 0.2
    slots[wild] = rng.integers(VOLUME_SLOTS, 256, np.count_nonzero(wild))
    values = rng.integers(0, 200, (11, 2 * TIMES, 3 * TIMES)).astype(dtype)
    first = data.draw(st.sampled_from([(0, 0, 0), (-1, 2, 1)]))
    out = np.empty(slots.shape, dtype)
    copy = cuda.to_device(out)
    paint_volume(*there((slots,)), steps, *there((values,)), first, dtype(201), copy)
    paint_volume(slots, steps, values, first, dtype(201), out)
    same((out,), (copy,))


def test_deeper_volumes_than_a_launch_has_blocks_are_refused():
    assert per_voxel(65_535, 9, 9)[0][2] == 65_535
    with pytest.raises(UsageError, match="65536 planes are too many for a GPU"):
        per_voxel(65_536, 9, 9)
