"""Variants of labelled images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.io import open_image
from gnnseg.superpixels import PixelReader, fit_scaling, superpixel_map
from gnnseg.training import make_config
from gnnseg.training.augment import MIRRORED, Variant, draw_variants, load_variant
from gnnseg.training.augmentation import PRESETS, augmentation_of, choose_augmentation
from gnnseg.training.geometry import Pose
from gnnseg.training.light import Light
from gnnseg.training.regions import RegionMaker

MOVED = Variant(Pose(angle=10, shift=(5, -7), crop=0.9, corner=(0.5, 0.5)))


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
    assert variants[:2] == [Variant(), MIRRORED]
    assert len(variants) == 5
    assert draw_variants("a", 3, config) == variants
    assert draw_variants("b", 3, config)[2:] != variants[2:]
    assert draw_variants("a", 3, make_config(variants=3, seed=1))[2:] != variants[2:]
    assert not any(v.pose.mirror for v in draw_variants("a", 3, make_config(mirror=False)))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_variants_stay_within_their_ranges_and_use_them(name):
    config = make_config(augment=name, variants=400)
    ranges, variants = augmentation_of(config), draw_variants("a", 3, config)[2:]
    assert draw_variants("a", 3, config)[2:] == variants
    poses, lights = [v.pose for v in variants], [v.light for v in variants]
    for got, limit in [
        (np.abs([p.shift for p in poses]).max(), ranges.shift),
        (np.abs([p.angle for p in poses]).max(), ranges.angle),
        (np.abs([light.stains or 0 for light in lights]).max(), ranges.stain),
        (1 - min(p.crop for p in poses), 1 - ranges.crop),
        (np.abs(np.log([p.scale for p in poses])).max(), np.log(ranges.scale)),
    ]:
        assert 0.95 * limit <= got <= limit
    assert {p.turns for p in poses} == (set(range(4)) if ranges.turns else {0})
    assert {p.flip for p in poses} == ({False, True} if ranges.flip else {False})
    assert {p.mirror for p in poses} == {False, True}
    gains = np.log([light.gains for light in lights])
    assert abs(gains.mean(axis=1).std() - ranges.brightness) < 0.03
    assert abs((gains - gains.mean(axis=1, keepdims=True)).std() - 0.8 * ranges.colour) < 0.01
    assert abs(np.log([light.gamma for light in lights]).std() - ranges.gamma) < 0.03


def test_streets_have_an_up_and_slides_do_not():
    street, slide = PRESETS["street"], PRESETS["microscopy"]
    assert not street.flip
    assert not street.turns
    assert slide.flip
    assert slide.turns
    assert street.shift == slide.shift == 10


def test_single_ranges_stand_over_the_preset():
    config = make_config(augment="microscopy", augmentation={"angle": 3, "flip": False})
    assert augmentation_of(config).model_dump() == {
        **PRESETS["microscopy"].model_dump(), "angle": 3, "flip": False
    }  # fmt: skip
    assert config.model_dump()["augmentation"] == {"flip": False, "angle": 3}
    for wrong in ({"angle": 500}, {"speed": 1}, {"crop": 0}):
        with pytest.raises(UsageError, match=f"augmentation.{next(iter(wrong))}"):
            make_config(augmentation=wrong)


def test_auto_looks_at_the_images():
    config = make_config(augment="auto")
    photo = open_image(np.zeros((8, 8, 3), np.uint8))
    measured = replace(photo, pixel_size=(0.5, 0.5))
    channels = open_image(np.zeros((2, 8, 8), np.uint8), axes="CYX")

    def chosen(*images, pixel_size=None):
        return choose_augmentation(config, images, pixel_size).augment

    assert chosen(photo, photo) == "street"
    assert chosen(measured, photo) == "street"
    assert chosen(measured, measured) == "microscopy"
    assert chosen(photo, pixel_size=(1, 1)) == "microscopy"
    assert chosen(channels) == "microscopy"
    plain = make_config()
    assert choose_augmentation(plain, [channels]) is plain


def test_a_mirrored_image_has_mirrored_labels(item, scaling):
    made = load_variant(item, MIRRORED, scaling)
    np.testing.assert_array_equal(pixels_of(made.image), pixels_of(item.open_image())[:, :, ::-1])
    np.testing.assert_array_equal(made.labels, item.read_labels()[:, ::-1])
    assert made.mask is None


def test_labels_of_a_narrow_type_are_moved(item, scaling):
    narrow = replace(item, label=item.read_labels().astype(np.int8))
    for variant in (MOVED, Variant(Pose(shift=(9, 9)))):
        found, expected = (load_variant(i, variant, scaling).labels for i in (narrow, item))
        assert (expected == 255).any()
        np.testing.assert_array_equal(found, expected)


def test_light_leaves_the_labels_alone(item, scaling):
    variant = Variant(light=Light(gains=(1.2,) * 3, gamma=0.8))
    made = load_variant(item, variant, scaling)
    before = pixels_of(item.open_image())
    expected = np.rint(255 * np.clip((before / 255) ** 0.8 * 1.2, 0, 1))
    assert np.abs(pixels_of(made.image) - expected).max() <= 1
    assert made.image.dtype == before.dtype
    np.testing.assert_array_equal(made.labels, item.read_labels())


def test_outside_the_picture_there_is_no_region(item, scaling):
    made = load_variant(item, MOVED, scaling)
    mask = made.mask.read(made.mask.bounds)[0]
    assert 0.7 < mask.mean() < 0.98
    np.testing.assert_array_equal(made.labels == 255, mask == 0)
    config = make_config(step=6, n_iter=1)
    reader = PixelReader(made.image, scaling, config.slic, made.mask)
    np.testing.assert_array_equal(superpixel_map(reader).ids() >= 0, mask > 0)
    regions = RegionMaker(scaling, config, 3)(item, MOVED)
    table, counts = regions.table, regions.counts
    assert table.area.sum() == mask.sum()
    np.testing.assert_array_equal(counts.sum(axis=2), table.area)
    expected = np.bincount(made.labels[mask > 0], minlength=3)
    np.testing.assert_array_equal(counts.sum(axis=(0, 1)), expected)
