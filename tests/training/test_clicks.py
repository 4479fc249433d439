"""Clicks on images and their variants, as labels of superpixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.superpixels import PixelReader, fit_scaling, superpixel_map
from gnnseg.training import make_config
from gnnseg.training.augment import Variant, load_variant
from gnnseg.training.clicks import label_clicked, place_clicks
from gnnseg.training.geometry import Pose, Scene, move, move_point
from gnnseg.training.regions import RegionMaker

POSES = [
    Pose(),
    Pose(mirror=True, scale=1.2),
    Pose(scale=0.8, turns=1, flip=True),
    Pose(angle=20.0, scale=1.1, shift=(5, -7)),
    Pose(turns=3, mirror=True, crop=0.7, corner=(0.5, 0.9)),
]

poses = st.builds(
    Pose,
    mirror=st.booleans(),
    flip=st.booleans(),
    turns=st.integers(0, 3),
    angle=st.sampled_from([0.0, -12.0, 33.0, 90.0]),
    scale=st.sampled_from([0.7, 1.0, 1.5]),
    shift=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    crop=st.sampled_from([0.6, 1.0]),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)


@given(poses, st.integers(0, 39), st.integers(0, 59))
def test_a_point_goes_where_its_label_goes(pose, y, x):
    """The label of the point, spread over 5 x 5 pixels, is found where the point is said to be."""
    labels = np.full((40, 60), 9, np.uint8)
    labels[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 1
    moved = move(Scene(np.zeros((1, 40, 60), np.uint8), labels), pose, 255)
    point = move_point((y, x), labels.shape, pose)
    if point is None:
        assert (moved.labels == 1).sum() < 25 * max(1, pose.scale) ** 2
        return
    assert moved.labels[point] in (1, 255)
    if moved.inside is None or moved.inside[point]:
        assert moved.labels[point] == 1


@pytest.fixture(scope="module")
def item():
    [first, *_] = synthetic_dataset(2, height=80, width=96, num_classes=3).split("train")
    return replace(first, label=None, clicks=((20, 30, 1), (50, 47, 2)))


@pytest.mark.parametrize("pose", POSES)
def test_a_click_labels_the_whole_superpixel_in_every_variant(item, pose):
    scaling = fit_scaling([item.open_image()])
    config = make_config(step=8, n_iter=1)
    variant = Variant(pose)
    regions = RegionMaker(scaling, config, 3)(item, variant)
    made = load_variant(item, variant, scaling)
    ids = superpixel_map(PixelReader(made.image, scaling, config.slic, made.mask)).ids()
    placed = place_clicks(item, variant, (80, 96))
    assert placed
    counts, area = regions.counts.reshape(-1, 3), regions.table.area.ravel()
    for y, x, label in placed:
        assert counts[ids[y, x], label] == area[ids[y, x]]
    clicked = {int(ids[y, x]) for y, x, _ in placed}
    rest = np.delete(counts, sorted(clicked), axis=0)
    assert rest.sum() <= 2 * len(placed), "pixels that scaling moved to a neighbour"


def test_clicks_stand_over_label_images_and_share_a_superpixel():
    slots = np.full((8, 8), 12, np.uint8)
    counts = np.array([[[3, 2], [16, 0]], [[16, 0], [0, 16]]], np.int32)
    area = np.full((2, 2), 16)
    label_clicked(slots, 4, [(0, 0, 1), (3, 3, 1), (1, 1, 0), (4, 4, 0)], area, counts)
    assert counts.tolist() == [[[5, 10], [16, 0]], [[16, 0], [16, 0]]]


def test_a_click_on_a_masked_pixel_labels_nothing():
    slots = np.full((4, 4), 254, np.uint8)
    counts = np.zeros((1, 1, 2), np.int32)
    label_clicked(slots, 4, [(1, 1, 1)], np.zeros((1, 1), np.int64), counts)
    assert not counts.any()
