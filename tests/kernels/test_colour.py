"""Scaling and opponent colours against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.kernels.colour import (
    NEUTRAL,
    TOP,
    levels_of_bytes,
    scale_floats,
    scale_integers,
    scale_rows,
    view_colours,
)

SHAPES = [(3, 5, 7), (3, 1, 7), (3, 5, 1), (3, 1, 1), (1, 5, 7), (2, 4, 6)]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16]


def scaled(pixels, low, high, *, top=TOP, rgb=False):
    out = np.empty(pixels.shape, np.int16)
    scale_integers(pixels, np.array(low, float), np.array(high, float), top, rgb, out)
    return out


def levels(pixels, low, high, top):
    """The documented rule in exact arithmetic, before rounding."""
    low, high = (np.array(end, float)[:, None, None] for end in (low, high))
    return np.clip((pixels - low) * top / (high - low), 0, top)


@settings(max_examples=60)
@given(st.data())
def test_integers_are_scaled_and_rounded(data):
    dtype = data.draw(st.sampled_from(INTEGERS))
    limits = np.iinfo(dtype)
    span = st.sampled_from([1.0, 3.7, 255.0, 65535.0, 1e6, 1e9])
    low = [data.draw(st.floats(-2e5, 2e5)) for _ in range(2)]
    high = [start + data.draw(span) for start in low]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    pixels = rng.integers(limits.min, limits.max, (2, 7, 40), endpoint=True).astype(dtype)
    for row, ends in enumerate(zip(low, high, strict=True)):  # where the scale begins and ends
        near = np.concatenate([np.rint(end) + np.arange(-9, 11) for end in ends])
        pixels[row, 0] = np.clip(near, limits.min, limits.max)
    top = data.draw(st.sampled_from([10, 255, TOP]))
    out = scaled(pixels, low, high, top=top)
    assert np.abs(out - levels(pixels, low, high, top)).max() < 0.6


def test_eight_bits_are_exact():
    values = np.arange(256, dtype=np.uint8)[None, None]
    np.testing.assert_array_equal(scaled(values, [0], [255])[0, 0], 4 * np.arange(256))


def test_a_range_without_length_is_one_long():
    values = np.arange(256, dtype=np.uint8)[None, None]
    np.testing.assert_array_equal(scaled(values, [7], [7])[0, 0], TOP * (values[0, 0] > 7))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_opponent_colours(dtype):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (3, 30, 41)).astype(dtype)
    pixels[:, 0, :8] = 255 * np.indices((2, 2, 2)).reshape(3, 8)
    out = np.empty(pixels.shape, np.int16)
    low, high = np.zeros(3), np.full(3, 255.0)
    if dtype == np.uint8:
        scale_integers(pixels, low, high, TOP, True, out)
    else:
        scale_floats(pixels, low, high, TOP, True, np.ones((30, 41), bool), out)
    red, green, blue = pixels.astype(int)
    np.testing.assert_array_equal(out[0], red + 2 * green + blue)
    np.testing.assert_array_equal(out[1], NEUTRAL + 8 * (red - green))
    np.testing.assert_array_equal(out[2], NEUTRAL + 4 * (red + green - 2 * blue))
    assert (out.min(), out[0].max(), out.max()) == (0, TOP, 2 * NEUTRAL)


def views(pixels):
    """The same pixels, lying in memory in every order."""
    beside = np.ascontiguousarray(pixels.transpose(1, 2, 0)).transpose(2, 0, 1)
    with_alpha = np.pad(pixels, ((0, 1), (0, 0), (0, 0))).transpose(1, 2, 0).copy()
    wider = np.pad(pixels, ((0, 0), (2, 3), (4, 5)))
    wider_beside = wider.transpose(1, 2, 0).copy()
    yield from (pixels, beside, np.asfortranarray(pixels), pixels[:, ::-1].copy()[:, ::-1])
    yield from (pixels[::-1].copy()[::-1], pixels.repeat(2, 2)[..., ::2])
    yield with_alpha[..., : len(pixels)].transpose(2, 0, 1)
    height, width = pixels.shape[1:]
    yield wider[:, 2 : 2 + height, 4 : 4 + width]
    yield wider_beside[2 : 2 + height, 4 : 4 + width].transpose(2, 0, 1)
    yield beside[..., ::-1].transpose(0, 2, 1).copy().transpose(0, 2, 1)[..., ::-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_may_lie_in_any_order(dtype, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype(dtype)
    ends = [0.0] * len(pixels), [255.0] * len(pixels)
    expected = scaled(pixels, *ends, rgb=len(pixels) == 3)
    for view in views(pixels):
        np.testing.assert_array_equal(view, pixels)
        view.flags.writeable = False
        np.testing.assert_array_equal(scaled(view, *ends, rgb=len(pixels) == 3), expected)


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.float32, np.float64])
def test_other_types_are_scaled_in_floats(dtype):
    rng = np.random.default_rng(3)
    pixels = rng.uniform(0, 120, (2, 20, 30)).astype(dtype)
    if pixels.dtype.kind == "f":
        pixels[0, 2, 3], pixels[1, 4, 5], pixels[1, 6, 7] = np.nan, np.inf, -np.inf
    low, high = np.array([10.0, 20.0]), np.array([90.0, 100.0])
    valid, out = np.ones((20, 30), bool), np.empty(pixels.shape, np.int16)
    valid[0] = False  # stays so
    scale_floats(pixels, low, high, 800, False, valid, out)
    finite = np.isfinite(pixels)
    exact = np.floor(levels(np.where(finite, pixels, 0).astype(float), low, high, 800) + 0.5)
    expected = finite.all(axis=0)
    expected[0] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(out[:, valid], exact[:, valid])


@pytest.mark.parametrize(("end", "top", "times"), [(255, TOP, 4), (255, 510, 2), (510, 1020, 2)])
def test_rows_of_colours_are_what_all_of_them_are(end, top, times):
    """In any order, from any row on, with edges once more."""
    pixels = np.random.default_rng(4).integers(0, 256, (3, 9, 37)).astype(np.uint8)
    low, high = np.zeros(3), np.full(3, float(end))
    assert levels_of_bytes(low, high, top) == times
    whole = np.empty(pixels.shape, np.int16)
    scale_integers(pixels, low, high, top, True, whole)
    whole = np.pad(whole, ((0, 0), (4, 4), (2, 1)), mode="edge")
    for view in views(pixels):
        for first, rows in ((-4, 6), (0, 1), (3, 5), (5, 8)):
            out = np.full((3, rows + 1, 40), -7, np.int16)
            scale_rows(view_colours(view, times), first, rows, (2, 1), out)
            np.testing.assert_array_equal(out[:, :rows], whole[:, first + 4 : first + 4 + rows])
            assert (out[:, rows:] == -7).all()


@pytest.mark.parametrize("ends", [(0, 254), (1, 255), (0, 250.5), (-3, 255), (0, 1100)])
def test_levels_that_are_not_whole_are_told(ends):
    low, high = (np.full(3, float(end)) for end in ends)
    assert levels_of_bytes(low, high, TOP) == 0
    assert levels_of_bytes(np.zeros(3), np.array([255.0, 255.0, 254.0]), TOP) == 0
