"""Colour conversion and scaling against scikit-image and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from gnnseg.kernels.colour import (
    CURVE,
    LAB_OFFSET,
    LAB_UNIT,
    LEVELS,
    LINEAR,
    MATRIX,
    rgb_to_lab,
    scale_by_table,
    scale_linear,
)

LIGHT = np.stack([LINEAR] * 3)


def lab_of(levels):
    out = np.empty(levels.shape, np.int16)
    rgb_to_lab(levels, LIGHT, out)
    assert out.min() >= 0
    return out.astype(float) / LAB_UNIT - np.array([0, LAB_OFFSET, LAB_OFFSET])[:, None, None]


def test_lab_is_that_of_scikit_image():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, LEVELS, (3, 100, 100)).astype(np.int16)
    levels[:, :20] //= 20  # dark pixels, where the curve is steepest
    difference = np.abs(lab_of(levels) - rgb2lab(levels / (LEVELS - 1), channel_axis=0))
    assert difference[0].max() < 0.2
    assert difference[1:].max() < 0.6
    assert difference.mean() < 0.08


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_each_channel_has_its_own_table(dtype):
    """Native values through tables of light are their levels through `LINEAR`, rule by rule."""
    rng = np.random.default_rng(4)
    limit = np.iinfo(dtype).max
    pixels = rng.integers(0, limit, (3, 30, 41), endpoint=True).astype(dtype)
    levels = rng.integers(0, LEVELS, (3, limit + 1))
    out = np.empty(pixels.shape, np.int16)
    rgb_to_lab(pixels, LINEAR[levels], out)
    light = np.stack([LINEAR[levels[c, pixels[c]]] for c in range(3)]).astype(int)
    fx, fy, fz = CURVE[np.tensordot(MATRIX, light, 1) >> 14].astype(int)
    half = 1 << 11
    lightness = np.maximum((116 * LAB_UNIT * fy + half >> 12) - 16 * LAB_UNIT, 0)
    np.testing.assert_array_equal(out[0], lightness)
    a, b = 500 * LAB_UNIT * (fx - fy), 200 * LAB_UNIT * (fy - fz)
    np.testing.assert_array_equal(out[1], (a + half >> 12) + LAB_OFFSET * LAB_UNIT)
    np.testing.assert_array_equal(out[2], (b + half >> 12) + LAB_OFFSET * LAB_UNIT)


def test_grey_has_no_colour_and_white_is_a_hundred():
    levels = np.broadcast_to(np.arange(LEVELS, dtype=np.int16), (3, 1, LEVELS)).copy()
    lab = lab_of(levels)
    np.testing.assert_array_equal(lab[1:], 0)
    assert (lab[0, 0, 0], lab[0, 0, -1]) == (0, 100)
    assert (np.diff(lab[0, 0]) >= 0).all()


def test_lab_in_place_is_the_same():
    levels = np.random.default_rng(1).integers(0, LEVELS, (3, 9, 7)).astype(np.int16)
    out = np.empty_like(levels)
    rgb_to_lab(levels, LIGHT, out)
    rgb_to_lab(levels, LIGHT, levels)
    np.testing.assert_array_equal(levels, out)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_table_is_looked_up_by_channel(dtype):
    rng = np.random.default_rng(2)
    limit = np.iinfo(dtype).max
    pixels = rng.integers(0, limit, (3, 8, 5), endpoint=True).astype(dtype)
    table = rng.integers(0, 1000, (3, limit + 1)).astype(np.int16)
    out = np.empty(pixels.shape, np.int16)
    scale_by_table(pixels, table, out)
    np.testing.assert_array_equal(out, [table[c][pixels[c]] for c in range(3)])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_other_types_are_scaled_linearly(dtype):
    rng = np.random.default_rng(3)
    pixels = rng.uniform(0, 120, (2, 20, 30)).astype(dtype)
    if pixels.dtype.kind == "f":
        pixels[0, 2, 3], pixels[1, 4, 5], pixels[1, 6, 7] = np.nan, np.inf, -np.inf
    low, high = np.array([10.0, 20.0]), np.array([90.0, 100.0])
    gain = 800 / (high - low)
    valid, out = np.ones((20, 30), bool), np.empty(pixels.shape, np.int16)
    scale_linear(pixels, low, gain, 800, valid, out)
    finite = np.isfinite(pixels)
    exact = np.clip((pixels.astype(np.float64) - low[:, None, None]) * gain[:, None, None], 0, 800)
    expected = np.floor(np.where(finite, exact, 0) + 0.5)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(valid, finite.all(axis=0))
