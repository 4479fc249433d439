"""Scaling constants."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gnnseg.errors import InputError
from gnnseg.io import open_image
from gnnseg.kernels.ruler import SPAN
from gnnseg.superpixels import Scaling, fit_scaling


def test_uint8_keeps_its_whole_range():
    scaling = fit_scaling([open_image(np.full((2, 9, 9), 3, np.uint8), axes="CYX")])
    assert scaling == Scaling((0.0, 0.0), (255.0, 255.0), rgb=False)


def test_colours_are_taken_for_such_and_grey_ones_are_repeated():
    colour = open_image(np.zeros((9, 9, 3), np.uint8))
    grey = open_image(np.zeros((9, 9), np.uint8))
    scaling = fit_scaling([grey, colour])
    assert scaling.rgb
    assert scaling.num_channels == 3
    scaling.check(grey)
    work, valid = scaling.apply(grey.read(grey.bounds))
    assert work.shape == (3, 9, 9)
    assert valid is None


def test_other_types_use_robust_extremes_of_finite_pixels():
    image = np.random.default_rng(0).normal(100, 1, (500, 500)).astype(np.float32)
    image[0, 0], image[1, 1], image[2] = 1e30, -1e30, np.nan
    scaling = fit_scaling([open_image(image)])
    assert 95 < scaling.low[0] < 98
    assert 102 < scaling.high[0] < 105


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_and_floats_agree(dtype, rgb):
    """A number gives the same working value whatever its type, but for ties in rounding."""
    limit = np.iinfo(dtype).max
    values = np.arange(limit + 1, dtype=dtype)
    pixels = np.stack([values, values[::-1], np.roll(values, limit // 3)])[:, None]
    scaling = Scaling((17.0,) * 3, (float(limit // 4 * 3),) * 3, rgb)
    integers, floats = scaling.apply(pixels)[0], scaling.apply(pixels.astype(np.float64))[0]
    assert np.abs(integers - floats).max() <= (4 if rgb else 1)


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (0.4, 90), (1, -20)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_with_a_scale_of_its_own_an_image_looks_alike_however_it_was_exposed(
    channels, gain, offset
):
    random = np.random.default_rng(0)
    pixels = random.uniform(20, 250, (channels, 300, 280)).astype(np.float32)
    pixels[0] *= 0.9
    axes = {"axes": "CYX", "rgb": channels == 3}
    scaling = fit_scaling([open_image(pixels, **axes)], by_image=True)
    assert scaling.by_image
    found = []
    for seen in (pixels, pixels * gain + offset):
        image = open_image(seen.astype(np.float32), **axes)
        own = scaling.of(image)
        assert not own.by_image
        assert own.of(image) is own
        found.append(own.apply(image.read(image.bounds))[0].astype(np.int64))
    assert np.abs(found[0] - found[1]).max() <= (4 if channels == 3 else 1)
    if channels < 3:  # of colours, the first is the mean
        low, high = np.percentile(found[0][0], [2, 98]) / own.top
        assert (low, high) == pytest.approx((0.08, 0.92), abs=0.02)


def test_a_scale_of_its_own_keeps_hues_and_leaves_a_blank_image_blank():
    random = np.random.default_rng(0)
    bluish = random.integers(80, 120, (60, 70, 3), np.uint8)
    bluish[..., 2] += 100
    blank = random.integers(200, 203, (60, 70, 3), np.uint8)
    scaling = fit_scaling([open_image(bluish)], by_image=True)
    own = scaling.of(open_image(bluish))
    assert len(set(own.low)) == len(set(own.high)) == 1
    flat = scaling.of(open_image(blank))
    assert flat.high[0] - flat.low[0] == pytest.approx(25.5)
    assert flat.low[0] < blank.min()
    assert flat.high[0] > blank.max()


def test_a_channel_without_a_finite_pixel_keeps_the_common_ends_in_the_middle():
    image = np.random.default_rng(0).random((2, 20, 20))
    scaling = fit_scaling([open_image(image, axes="CYX")], by_image=True)
    image[1] = np.nan
    own = scaling.of(open_image(image, axes="CYX"))
    assert np.isfinite([own.low, own.high]).all()
    assert own.low[1] < (scaling.low[1] + scaling.high[1]) / 2 < own.high[1]


def test_the_scale_of_an_image_takes_less_memory_than_what_it_is_for():
    """The sample of 16 x 256 x 256 colours as it is stored, twice; a channel at a time as float."""
    image = open_image(np.random.default_rng(0).integers(0, 256, (520, 520, 3), np.uint8))
    scaling = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True, by_image=True)
    scaling.of(image)
    tracemalloc.start()
    scaling.of(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 * (2 * 3 + 2 * 8)


def test_an_image_without_a_finite_sample_has_the_common_ends():
    image = np.random.default_rng(0).random((20, 20))
    scaling = fit_scaling([open_image(image)], by_image=True)
    own = scaling.of(open_image(np.full((20, 20), np.nan)))
    assert own == fit_scaling([open_image(image)])


def test_a_flat_image_does_not_divide_by_zero():
    scaling = fit_scaling([open_image(np.full((9, 9), 5.0))])
    work, valid = scaling.apply(np.full((1, 2, 2), 5.0))
    assert (work == 0).all()
    assert valid is None


def test_a_channel_without_a_finite_sample_is_empty_and_no_error():
    image = np.random.default_rng(0).random((2, 20, 20))
    image[1] = np.nan
    scaling = fit_scaling([open_image(image, axes="CYX")])
    assert np.isfinite([scaling.low, scaling.high]).all()
    _, valid = scaling.apply(image)
    assert not valid.any()


def test_no_finite_pixel_is_an_error():
    with pytest.raises(InputError, match="finite"):
        fit_scaling([open_image(np.full((9, 9), np.nan))])


def test_channels_must_agree():
    two = open_image(np.zeros((2, 9, 9), np.uint8), axes="CYX")
    five = open_image(np.zeros((5, 9, 9), np.uint8), axes="CYX")
    with pytest.raises(InputError, match=r"\[2, 5\]"):
        fit_scaling([two, five])
    with pytest.raises(InputError, match="5 channel"):
        fit_scaling([two]).check(five)
    with pytest.raises(InputError, match="at least one image"):
        fit_scaling([])


@pytest.mark.parametrize("channels", [1, 2, 16, 17, 200, 1500])
def test_distances_fit_sixteen_bits(channels):
    scaling = Scaling((0.0,) * channels, (255.0,) * channels, rgb=False)
    work, _ = scaling.apply(np.full((channels, 1, 2), 255, np.uint8))
    assert 0 < work.sum(axis=0, dtype=int).max() <= SPAN


def test_too_many_channels_are_refused():
    with pytest.raises(InputError, match="channels"):
        Scaling((0.0,) * 2000, (1.0,) * 2000, rgb=False)


def test_distances_of_colours_fit_sixteen_bits():
    """The largest differences between colours, by the corners of their cube."""
    scaling = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
    cube = np.stack(np.meshgrid(*[[0, 255]] * 3), 0).reshape(3, 1, 8).astype(np.uint8)
    work = scaling.apply(cube)[0].reshape(3, 8).astype(int)
    assert np.ptp(work, axis=1).sum() <= SPAN


def test_wrong_constants_are_refused():
    with pytest.raises(InputError, match="as many lows"):
        Scaling((0.0,), (1.0, 2.0), rgb=False)
    with pytest.raises(InputError, match="3 channels"):
        Scaling((0.0,), (1.0,), rgb=True)
