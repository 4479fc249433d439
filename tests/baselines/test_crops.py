"""Crops: pixels and labels of one place, drawn anew in each epoch."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.baselines import make_cnn_config
from gnnseg.baselines.crops import CropMaker, Picture, prefetched
from gnnseg.superpixels import Scaling

NOTHING = {
    "scale": 1.0, "brightness": 0.0, "colour": 0.0, "gamma": 0.0, "angle": 0.0, "stain": 0.0,
}  # fmt: skip
"""Ranges of an augmentation that changes nothing."""
RGB = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
CODE = 60
"""Grey of a class, times its number."""


def stripes(height=90, width=70):
    """A picture whose pixels tell their labels: three wide stripes."""
    labels = np.broadcast_to((np.arange(width) * 3 // width)[None], (height, width)).astype(
        np.uint8
    )
    return Picture("stripes", np.repeat(labels[None] * CODE, 3, axis=0), labels, RGB)


@pytest.fixture
def maker(model):
    def make(picture, **settings):
        given = {"crop": 32, "mirror": False, "augmentation": NOTHING, **settings}
        return CropMaker([picture], model, make_cnn_config(**given))

    return make


def shown(x):
    """The pixels of a network's input."""
    return np.rint((x * 0.2 + 0.4) * 255)


def test_a_crop_that_is_not_varied_is_a_part_of_the_picture(maker):
    rng = np.random.default_rng(0)
    noise = Picture(
        "noise",
        rng.integers(0, 256, (3, 90, 70), np.uint8),
        rng.integers(0, 3, (90, 70), np.uint8),
        RGB,
    )
    x, labels = maker(noise)(0, 0, 0)
    assert (x.dtype, x.shape, labels.dtype, labels.shape) == (
        np.float32, (3, 32, 32), np.int64, (32, 32),
    )  # fmt: skip
    places = [
        (y, column)
        for y in range(90 - 31)
        for column in range(70 - 31)
        if (noise.labels[y : y + 32, column : column + 32] == labels).all()
    ]
    assert len(places) == 1
    (y, column), *_ = places
    np.testing.assert_array_equal(shown(x), noise.pixels[:, y : y + 32, column : column + 32])


@pytest.mark.parametrize(
    "settings", [{"angle": 180.0}, {"scale": 2.0}, {"flip": True}, {"turns": True}]
)
def test_labels_go_where_their_pixels_go(maker, settings):
    crops = maker(stripes(), augmentation={**NOTHING, **settings}, mirror=True)
    for number in range(20):
        x, labels = crops(0, 0, number)
        grey, known = shown(x)[0], labels != 255
        assert known.mean() > 0.3
        # A pixel between two stripes may be mixed of both.
        assert (np.abs(grey - CODE * labels)[known] <= CODE / 2 + 1).mean() > 0.97


def test_outside_the_picture_there_are_no_labels(maker):
    x, labels = maker(stripes(20, 24))(0, 0, 0)
    assert (labels != 255).sum() == 20 * 24
    assert np.isfinite(x).all()


def test_each_epoch_draws_other_crops_and_each_time_the_same(maker):
    crops = maker(stripes(), augmentation={**NOTHING, "brightness": 0.3})
    first, again = crops(0, 0, 0), crops(0, 0, 0)
    np.testing.assert_array_equal(first[0], again[0])
    others = [crops(1, 0, 0), crops(0, 0, 1)]
    assert all((other[0] != first[0]).any() for other in others)


def test_an_epoch_covers_the_pictures_once(maker):
    picture = stripes(128, 96)
    assert maker(picture).numbers() == [(0, n) for n in range(12)]
    assert maker(stripes(8, 8)).numbers() == [(0, 0)]


def test_pixels_that_are_not_finite_have_no_label(maker):
    picture = stripes()
    pixels = picture.pixels.astype(np.float32)
    pixels[1, ::2] = np.nan
    x, labels = maker(Picture("nan", pixels, picture.labels, RGB))(0, 0, 0)
    assert np.isfinite(x).all()
    assert (labels == 255).mean() == 0.5


def test_prefetched_results_keep_their_order_and_pass_errors_on():
    assert list(prefetched(range(7), lambda n: n * n)) == [n * n for n in range(7)]
    assert list(prefetched([], str)) == []
    with pytest.raises(ZeroDivisionError):
        list(prefetched([1, 0], lambda n: 1 / n))
