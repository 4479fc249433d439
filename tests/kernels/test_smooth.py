"""Smoothing against SciPy with the same integer weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gnnseg.kernels.smooth import WEIGHT_BITS, gaussian_weights, smooth


def oracle(image, weights):
    half = 1 << (WEIGHT_BITS - 1)
    for axis in (1, 2):
        total = ndimage.correlate1d(image.astype(np.int64), weights, axis, mode="nearest")
        image = (total + half) >> WEIGHT_BITS
    return image


@settings(max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(1, 25),
    st.integers(1, 25),
    st.sampled_from([0.3, 1.0, 2.5]),
    st.integers(0, 2**32 - 1),
)
def test_it_is_scipy_with_the_same_weights(channels, height, width, sigma, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 2049, (channels, height, width)).astype(np.int16)
    weights = gaussian_weights(sigma)
    radius = weights.size // 2
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    out = np.empty_like(image)
    smooth(padded, weights, out)
    np.testing.assert_array_equal(out, oracle(image, weights))


@pytest.mark.parametrize("sigma", [0.0, 0.2, 1.0, 3.7, 32.0])
def test_the_weights_are_a_gaussian_that_sums_to_one(sigma):
    weights = gaussian_weights(sigma)
    assert weights.sum() == 1 << WEIGHT_BITS
    assert weights.size == 2 * int(np.ceil(3 * sigma)) + 1
    np.testing.assert_array_equal(weights, weights[::-1])
    if sigma >= 1:
        offset = np.arange(weights.size) - weights.size // 2
        exact = np.exp(-0.5 * (offset / sigma) ** 2)
        assert np.abs(weights / (1 << WEIGHT_BITS) - exact / exact.sum()).max() < 0.01


def test_a_flat_image_stays_flat():
    out = np.empty((1, 4, 4), np.int16)
    smooth(np.full((1, 10, 10), 777, np.int16), gaussian_weights(1.0), out)
    np.testing.assert_array_equal(out, 777)
