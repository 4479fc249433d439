"""Variants of labelled images."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.superpixels import fit_scaling
from gnnseg.training import make_config
from gnnseg.training.augment import Variant, draw_variants, load_variant


@pytest.fixture(scope="module")
def item():
    return synthetic_dataset(2, height=60, width=84, num_classes=3, val=0.5).split("train")[0]


@pytest.fixture(scope="module")
def scaling(item):
    return fit_scaling([item.open_image()])


def pixels_of(image):
    return image.read(image.bounds)


def test_the_first_variants_are_the_image_and_its_mirror_image():
    config = make_config(variants=3)
    variants = draw_variants("a", 3, config)
    assert variants[:2] == [Variant(), Variant(mirror=True)]
    assert len(variants) == 5
    assert draw_variants("a", 3, config) == variants
    assert draw_variants("b", 3, config)[2:] != variants[2:]
    assert draw_variants("a", 3, make_config(variants=3, seed=1))[2:] != variants[2:]
    assert not any(v.mirror for v in draw_variants("a", 3, make_config(mirror=False)))


def test_a_mirrored_image_has_mirrored_labels(item, scaling):
    image, labels = load_variant(item, Variant(mirror=True), scaling)
    np.testing.assert_array_equal(pixels_of(image), pixels_of(item.open_image())[:, :, ::-1])
    np.testing.assert_array_equal(labels, item.read_labels()[:, ::-1])


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_labels_scale_with_the_pixels_and_stay_labels(item, scaling, scale):
    image, labels = load_variant(item, Variant(scale=scale), scaling)
    assert labels.shape == (image.height, image.width) == (round(60 * scale), round(84 * scale))
    assert set(np.unique(labels)) <= set(np.unique(item.read_labels()))
    before, after = item.read_labels(), labels
    shares = [np.bincount(a.ravel(), minlength=3)[:3] / a.size for a in (before, after)]
    assert np.abs(shares[0] - shares[1]).max() < 0.03


def test_light_is_a_curve_on_the_scale_of_the_model(item, scaling):
    variant = Variant(gains=(1.2,) * scaling.num_channels, gamma=0.8)
    image, labels = load_variant(item, variant, scaling)
    before = pixels_of(item.open_image())
    expected = np.rint(255 * np.clip((before / 255) ** 0.8 * 1.2, 0, 1))
    assert np.abs(pixels_of(image) - expected).max() <= 1
    assert image.dtype == before.dtype
    np.testing.assert_array_equal(labels, item.read_labels())
