"""Pooling maps into regions against sums by index, and spreading as its transpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.pool import pool, spread
from gnnseg.kernels.slots import MASKED
from gnnseg.models.pooling import _pool_on_device, pool_pixels


def random_slots(rng, shape):
    """Slots in short runs, some masked, some of homes outside the window."""
    slots = np.repeat(rng.integers(0, 25, shape), 3, axis=1)[:, : shape[1]].astype(np.uint8)
    slots[rng.random(shape) < 0.1] = MASKED
    return slots


def homes(slots, step):
    """Home (y, x) of each pixel, and whether it lies in the window."""
    y, x = (np.arange(size) // step for size in slots.shape)
    home_y = y[:, None] + slots.astype(int) // 5 - 2
    home_x = x[None, :] + slots.astype(int) % 5 - 2
    rows, columns = (-(-size // step) for size in slots.shape)
    inside = (home_y >= 0) & (home_y < rows) & (home_x >= 0) & (home_x < columns)
    return home_y, home_x, inside & (slots != MASKED)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    step, stride = draw(st.integers(2, 9)), draw(st.sampled_from([1, 4, 8]))
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    size = [-(-side // stride) for side in shape]
    maps = rng.integers(-8, 9, (*size, draw(st.integers(1, 5)))).astype(np.float32)
    return maps, random_slots(rng, shape), step, stride


def pooled(maps, slots, step, stride):
    cells = [-(-side // step) for side in slots.shape]
    sums = np.zeros((*cells, maps.shape[2]), np.float32)
    pool(maps, slots, step, stride, sums)
    return sums


@given(cases())
def test_regions_get_the_sum_over_their_pixels(case):
    """Whole numbers, so that sums do not depend on their order."""
    maps, slots, step, stride = case
    home_y, home_x, inside = homes(slots, step)
    y, x = np.nonzero(inside)
    got = pooled(maps, slots, step, stride)
    expected = np.zeros_like(got)
    np.add.at(expected, (home_y[inside], home_x[inside]), maps[y // stride, x // stride])
    np.testing.assert_array_equal(got, expected)


@given(cases())
def test_spreading_is_the_transpose(case):
    maps, slots, step, stride = case
    sums = pooled(maps, slots, step, stride)
    weight = np.random.default_rng(0).integers(-8, 9, sums.shape).astype(np.float32)
    back = np.zeros_like(maps)
    spread(weight, slots, step, stride, back)
    assert (sums * weight).sum() == (maps * back).sum()


@given(cases())
def test_indices_of_a_device_give_the_same_sums(case):
    maps, slots, step, stride = case
    sums = pooled(maps, slots, step, stride)
    moved = torch.from_numpy(maps).permute(2, 0, 1)
    got = _pool_on_device(moved, torch.from_numpy(slots), step, stride, sums.shape[:2])
    np.testing.assert_array_equal(got.numpy(), sums)


@pytest.mark.parametrize("stride", [4, 8])
def test_gradients_flow_back(stride):
    rng = np.random.default_rng(1)
    slots = torch.from_numpy(random_slots(rng, (16, 24)))
    maps = torch.randn(3, 16 // stride, 24 // stride, requires_grad=True)
    weight = torch.randn(4, 5, 3)
    (pool_pixels(maps, slots, 5, stride, (4, 5)) * weight).sum().backward()
    (again,) = torch.autograd.grad(
        (_pool_on_device(maps, slots, 5, stride, (4, 5)) * weight).sum(), maps
    )
    torch.testing.assert_close(maps.grad, again)
