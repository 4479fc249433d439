"""Painting and counting of labels against superpixel ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels.paint import count_labels, paint, paint_volume
from gnnseg.kernels.slots import MASKED


def homes_of(slots, step):
    y, x = np.indices(slots.shape)
    wide = slots.astype(int)
    return y // step + wide // 5 - 2, x // step + wide % 5 - 2


def draw_slots(data, *, inside):
    """Random codes, no slots among them; with homes inside the window on request."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step = data.draw(st.integers(2, 6))
    shape = data.draw(st.tuples(st.integers(1, 20), st.sampled_from([*range(1, 21), 530, 1100])))
    slots = rng.integers(0, 25, shape).astype(np.uint8)
    cells = np.array([-(-size // step) for size in shape])
    if inside:
        homes = np.stack(homes_of(slots, step), -1)
        slots[((homes < 0) | (homes >= cells)).any(-1)] = 12
    wild = rng.random(shape) < 0.2
    slots[wild] = rng.integers(25, 256, np.count_nonzero(wild))
    slots[rng.random(shape) < 0.1] = MASKED
    return rng, step, slots, cells


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
@settings(max_examples=15)
@given(st.data())
def test_paint_is_a_gather_by_id(dtype, data):
    rng, step, slots, cells = draw_slots(data, inside=False)
    values = rng.integers(0, 250, cells + 4).astype(dtype)
    fill = values.dtype.type(255)
    home_y, home_x = homes_of(slots, step)
    masked = slots >= 25
    rows, columns = np.where(masked, 0, home_y + 2), np.where(masked, 0, home_x + 2)
    expected = np.where(masked, fill, values[rows, columns])
    out = np.empty(slots.shape, dtype)
    paint(slots, step, values, 2, 2, fill, out)
    np.testing.assert_array_equal(out, expected)


@settings(max_examples=15)
@given(st.data())
def test_paint_of_a_whole_image_needs_no_margin(data):
    rng, step, slots, cells = draw_slots(data, inside=True)
    values = rng.integers(0, 250, cells).astype(np.uint8)
    home_y, home_x = homes_of(slots, step)
    expected = np.full(slots.shape, 255, np.uint8)
    known = slots < 25
    expected[known] = values[home_y[known], home_x[known]]
    out = np.empty(slots.shape, np.uint8)
    paint(slots, step, values, 0, 0, np.uint8(255), out)
    np.testing.assert_array_equal(out, expected)


@settings(max_examples=30)
@given(st.data())
def test_count_labels_is_a_histogram_by_id(data):
    rng, step, slots, cells = draw_slots(data, inside=False)
    classes = data.draw(st.integers(1, 4))
    dtype = data.draw(st.sampled_from([np.uint16, np.int64]))
    least = -2 if dtype == np.int64 else 0
    labels = rng.integers(least, classes + 2, slots.shape).astype(dtype)
    home_y, home_x = homes_of(slots, step)
    inside = (home_y >= 0) & (home_y < cells[0]) & (home_x >= 0) & (home_x < cells[1])
    kept = (slots < 25) & inside & (labels >= 0) & (labels < classes)
    expected = np.zeros((*cells, classes), int)
    np.add.at(expected, (home_y[kept], home_x[kept], labels[kept]), 1)
    around = np.zeros((cells[0] + 2, *cells[1:], classes), np.int32)
    counts = around[1:-1]
    count_labels(slots, step, labels, counts)
    np.testing.assert_array_equal(counts, expected)
    assert around.sum() == expected.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_wild_slots_of_a_volume_are_filled(dtype):
    """Codes that are no slot, and those that lead out of the values, on all sides."""
    rng = np.random.default_rng(0)
    steps, shape = np.array([2, 3, 3]), (7, 10, 11)
    slots = rng.integers(0, 256, shape).astype(np.uint8)
    whole = np.full((12, 12, 12), 250, dtype)
    values = whole[4:8, 4:8, 4:8]
    values[:] = rng.integers(0, 200, values.shape)
    wide = slots.astype(int)
    homes = np.stack(np.indices(shape), -1) // steps - 2
    homes += np.stack([wide // 25, wide % 25 // 5, wide % 5], -1)
    near = ((homes >= 0) & (homes < 4)).all(-1)
    known = near & (slots < 125)
    assert (known.any(), (near & ~known).any()) == (True, True)
    expected = np.full(shape, 255, dtype)
    expected[known] = values[tuple(homes[known].T)]
    out = np.zeros(shape, dtype)
    paint_volume(slots, (2, 3), values, (0, 0, 0), values.dtype.type(255), out)
    np.testing.assert_array_equal(out, expected)
