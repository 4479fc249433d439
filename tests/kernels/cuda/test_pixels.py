"""Scaling, colours, smoothing and margins on a GPU: the bits of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.errors import UsageError
from gnnseg.kernels.arrays import (
    all_set,
    copied,
    mean_of_channels,
    repeat_edges,
    write_where_zero,
)
from gnnseg.kernels.colour import scale_floats, scale_integers
from gnnseg.kernels.cuda.launch import per_pixel
from gnnseg.kernels.fill import fill_rings
from gnnseg.kernels.smooth import gaussian_weights, smooth

TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""
SHAPE = 6 * TIMES, 9 * TIMES
WIDER = SHAPE[0] + 3, SHAPE[1] + 3


def pair(array):
    return array, cuda.to_device(array)


def same(here, there):
    np.testing.assert_array_equal(there.copy_to_host(), here)


@pytest.mark.parametrize(
    ("dtype", "rgb"), [(np.uint8, True), (np.uint16, False), (np.int16, False)]
)
def test_integers_are_scaled_as_on_the_cpu(dtype, rgb):
    limits, rng = np.iinfo(dtype), np.random.default_rng(0)
    pixels = rng.integers(limits.min, limits.max, (3, *SHAPE), dtype, endpoint=True)
    ends = np.array([3.0, limits.min, 40.5]), np.array([200.0, limits.max, 41.0])
    out, there = pair(np.full((3, *WIDER), -7, np.int16))
    scale_integers(cuda.to_device(pixels), *ends, 1020, rgb, there, (1, 2))
    scale_integers(pixels, *ends, 1020, rgb, out, (1, 2))
    same(out, there)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_floats_are_scaled_as_on_the_cpu(dtype):
    pixels = (np.random.default_rng(0).random((3, *SHAPE)) * 300 - 20).astype(dtype)
    if pixels.dtype.kind == "f":
        pixels[0, 2, 3:5], pixels[2, 0, 0], pixels[1, 5, 8] = np.nan, np.inf, -np.inf
    ends = np.zeros(3), np.full(3, 255.0)
    out, there = pair(np.zeros((3, *WIDER), np.int16))
    valid, valid_there = pair(np.ones(SHAPE, bool))
    scale_floats(cuda.to_device(pixels), *ends, 1020, True, valid_there, there, (1, 2))
    scale_floats(pixels, *ends, 1020, True, valid, out, (1, 2))
    same(valid, valid_there)
    same(out, there)


@pytest.mark.parametrize(("share", "rings"), [(0.05, 3), (0.8, 1), (1.0, 1)])
def test_invalid_pixels_are_filled_as_on_the_cpu(share, rings):
    rng = np.random.default_rng(rings)
    valid, valid_there = pair(rng.random(SHAPE) < share)
    work = rng.integers(0, 4081, (2, *WIDER))
    work, there = pair(work.astype(np.int16))
    assert all_set(valid_there) == all_set(valid) == (share == 1)
    fill_rings(valid_there, rings, there, (1, 2))
    fill_rings(valid, rings, work, (1, 2))
    same(work, there)


def test_smoothing_is_that_of_the_cpu():
    weights = gaussian_weights(0.7)
    radius = weights.size // 2
    rng = np.random.default_rng(0)
    padded = rng.integers(0, 1021, (2, SHAPE[0] + 2 * radius, SHAPE[1] + 2 * radius))
    padded, padded_there = pair(padded.astype(np.int16))
    out, there = pair(np.zeros((2, *SHAPE), np.int16))
    smooth(padded_there, weights, there)
    smooth(padded, weights, out)
    same(out, there)


@pytest.mark.parametrize("margins", [(1, 2, 3, 0), (0, 0, 0, 0), (0, 3, 2, 1)])
def test_margins_repeat_the_edges(margins):
    work, there = pair(np.random.default_rng(0).integers(0, 9, (2, *WIDER)).astype(np.int16))
    top, bottom, left, right = margins
    inside = work[:, top : WIDER[0] - bottom, left : WIDER[1] - right]
    expected = np.pad(inside, ((0, 0), (top, bottom), (left, right)), mode="edge")
    repeat_edges(there, margins)
    repeat_edges(work, margins)
    np.testing.assert_array_equal(work, expected)
    same(work, there)


def test_copies_of_views_are_contiguous():
    array, there = pair(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    same(copied(array[:, 1:3, 2:]), copied(there[:, 1:3, 2:]))
    assert copied(array[:, 1:3, 2:]).flags.c_contiguous


def test_channels_have_a_mean_and_flags_mark_pixels():
    work, there = pair(np.random.default_rng(0).integers(0, 9, (3, *SHAPE)).astype(np.int16))
    mean = mean_of_channels(work)
    np.testing.assert_array_equal(mean, work.astype(int).sum(axis=0) // 3)
    same(mean, mean_of_channels(there))
    flags, flags_there = pair((mean > 4).astype(np.uint8))
    write_where_zero(flags_there, 99, there[0])
    write_where_zero(flags, 99, work[0])
    assert (work[0] == np.where(mean > 4, work[0], 99)).all()
    same(work, there)


def test_taller_images_than_a_launch_has_blocks_are_refused():
    rows = per_pixel(1, 1)[1][1]
    assert per_pixel(65_535 * rows, 9)[0][1] == 65_535
    with pytest.raises(UsageError, match="rows of pixels are too many for a GPU"):
        per_pixel(65_535 * rows + 1, 9)
