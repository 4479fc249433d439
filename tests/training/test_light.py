"""Other light and other stains, against the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import combine_stains, hed2rgb, rgb2hed, rgb_from_hed
from skimage.data import immunohistochemistry

from gnnseg.superpixels import Scaling
from gnnseg.training.light import Light, relight, restain

RGB = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
UNIT = -np.log(1e-6)
"""Optical density of what scikit-image calls 1."""


def stained_picture(seed=0):
    """Shares of light (3, H, W) behind positive amounts of all three stains."""
    amounts = np.random.default_rng(seed).uniform(0.01, 0.05, (30, 20, 3))
    return np.moveaxis(combine_stains(amounts, rgb_from_hed), -1, 0).astype(np.float32)


@pytest.mark.parametrize("factors", [(0, 0, 0), (0.05, -0.03, 0.04)])
@pytest.mark.parametrize("added", [(0, 0, 0), (0.02, 0.05, 0.01)])
def test_stains_change_by_a_factor_and_a_term(factors, added):
    share = stained_picture()
    before = rgb2hed(np.moveaxis(share, 0, -1))
    after = rgb2hed(np.moveaxis(restain(share, factors, added), 0, -1))
    expected = before * (1 + np.array(factors)) + np.array(added) / UNIT
    np.testing.assert_allclose(after, expected, atol=2e-6)


def test_it_is_what_scikit_image_would_paint():
    share = stained_picture()
    stains = rgb2hed(np.moveaxis(share, 0, -1)) * [1.04, 0.97, 1.01]
    expected = np.moveaxis(hed2rgb(stains), -1, 0)
    np.testing.assert_allclose(restain(share, (0.04, -0.03, 0.01), (0, 0, 0)), expected, atol=1e-5)


def test_nothing_changes_a_real_slide_by_nothing():
    pixels = np.moveaxis(immunohistochemistry(), -1, 0)[:, :128, :128]
    still = Light(stains=((0.0,) * 3, (0.0,) * 3))
    np.testing.assert_array_equal(relight(pixels, still, RGB), pixels)
    assert relight(pixels, Light(), RGB) is pixels


def test_stains_change_where_light_is_absorbed_only():
    bright = np.moveaxis(immunohistochemistry(), -1, 0)[:, :128, :128]
    light = Light(stains=((0.05, 0.05, 0.05), (0.05, 0, 0)))
    assert (relight(bright, light, RGB) != bright).mean() > 0.5
    dark = bright // 4
    np.testing.assert_array_equal(relight(dark, light, RGB), dark)
    grey = Scaling((0.0,), (255.0,), rgb=False)
    np.testing.assert_array_equal(relight(bright[:1], light, grey), bright[:1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_light_is_a_curve_on_the_scale_of_the_model(dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 30)).astype(dtype)
    scaling = Scaling((10.0, 0.0), (200.0, 255.0), rgb=False)
    got = relight(pixels, Light(gains=(1.2, 0.9), gamma=0.8), scaling)
    low, high = np.array([[[10.0]], [[0.0]]]), np.array([[[200.0]], [[255.0]]])
    share = np.clip((pixels - low) / (high - low), 0, 1)
    expected = low + (high - low) * np.clip(share**0.8 * np.array([[[1.2]], [[0.9]]]), 0, 1)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, atol=0.51 if dtype != np.float32 else 1e-3)
