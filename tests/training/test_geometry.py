"""Pictures in other poses, against NumPy, scikit-image and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.transform import SimilarityTransform, rotate, warp

from gnnseg.training.geometry import Pose, Scene, move

IGNORED = 255
SIDES = st.sampled_from([24, 36, 48, 60])


def make_scene(height=50, width=64, seed=0):
    """Flat patches of labels 0 to 4, shown as grey 40 times the label."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 5, (-(-height // 12), -(-width // 12)), np.uint8)
    labels = cells.repeat(12, 0).repeat(12, 1)[:height, :width]
    return Scene(np.stack([40 * labels, 200 - 40 * labels]), labels)


def poses():
    share = st.floats(0, 1)
    return st.builds(
        Pose,
        mirror=st.booleans(),
        flip=st.booleans(),
        turns=st.integers(0, 3),
        angle=st.one_of(st.just(0.0), st.floats(-180, 180)),
        scale=st.one_of(st.just(1.0), st.floats(0.5, 2)),
        shift=st.tuples(st.integers(-40, 40), st.integers(-40, 40)),
        crop=st.one_of(st.just(1.0), st.floats(0.2, 1)),
        corner=st.tuples(share, share),
    )


@given(pose=poses(), height=SIDES, width=SIDES)
def test_labels_go_where_their_pixels_go(pose, height, width):
    made = move(make_scene(height, width), pose, IGNORED)
    assert made.pixels.shape[1:] == made.labels.shape
    assert made.labels.dtype == made.pixels.dtype == np.uint8
    inside = np.ones(made.labels.shape, bool)
    if made.inside is not None:
        inside = made.inside > 0
    np.testing.assert_array_equal(made.labels != IGNORED, inside)
    # Where neighbours are alike nothing was interpolated between labels.
    highest = maximum_filter(made.labels, 3, mode="constant", cval=IGNORED)
    flat = highest == minimum_filter(made.labels, 3)
    flat &= inside
    np.testing.assert_array_equal(made.pixels[0][flat], 40 * made.labels[flat])
    np.testing.assert_array_equal(made.pixels[1][flat], 200 - 40 * made.labels[flat])


def test_nothing_is_done_without_a_pose():
    scene = make_scene()
    assert move(scene, Pose(), IGNORED) is scene


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        (Pose(mirror=True), lambda array: np.flip(array, -1)),
        (Pose(flip=True), lambda array: np.flip(array, -2)),
        (Pose(turns=1), lambda array: np.flip(np.swapaxes(array, -1, -2), -2)),
        (Pose(turns=2), lambda array: np.flip(array, (-1, -2))),
        (Pose(crop=0.5, corner=(1.0, 0.0)), lambda array: array[..., 25:, :32]),
    ],
)
def test_what_moves_whole_pixels_is_exact(pose, expected):
    scene = make_scene()
    made = move(scene, pose, IGNORED)
    np.testing.assert_array_equal(made.pixels, expected(scene.pixels))
    np.testing.assert_array_equal(made.labels, expected(scene.labels))
    assert made.inside is None


@pytest.mark.parametrize(("down", "right"), [(7, -3), (-10, 0), (0, 10)])
def test_a_shift_reflects_pixels_and_masks_them(down, right):
    scene = make_scene()
    made = move(scene, Pose(shift=(down, right)), IGNORED)
    rows, columns = np.arange(50) - down, np.arange(64) - right
    there = np.ix_((rows >= 0) & (rows < 50), (columns >= 0) & (columns < 64))
    expected = np.zeros((50, 64))
    expected[there] = 1
    np.testing.assert_array_equal(made.inside, expected)
    for moved, whole in zip(
        [*made.pixels, made.labels], [*scene.pixels, scene.labels], strict=True
    ):
        kept = whole[max(0, -down) : 50 - max(0, down), max(0, -right) : 64 - max(0, right)]
        np.testing.assert_array_equal(moved[there], kept.reshape(moved[there].shape))
    mirrored = np.pad(scene.pixels[0], 10, mode="symmetric")
    np.testing.assert_array_equal(
        made.pixels[0], mirrored[10 - down : 60 - down, 10 - right : 74 - right]
    )


@pytest.mark.parametrize("angle", [-90, -12.5, 3, 40, 180])
def test_a_rotation_is_that_of_scikit_image(angle):
    pixels = np.random.default_rng(0).random((1, 50, 64))
    made = move(Scene(pixels, np.zeros((50, 64), np.uint8)), Pose(angle=angle), IGNORED)
    expected = rotate(pixels[0], angle, order=1, mode="constant", cval=np.nan)
    core = minimum_filter(made.inside, 5) > 0
    assert core.sum() > 800
    np.testing.assert_allclose(made.pixels[0][core], expected[core], atol=1e-9)


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_rotation_and_scale_together_are_one_resampling(scale):
    pixels = np.random.default_rng(0).random((1, 50, 64))
    scene = Scene(pixels, np.zeros((50, 64), np.uint8))
    made = move(scene, Pose(angle=20, scale=scale), IGNORED)
    height, width = made.labels.shape
    assert (height, width) == (round(50 * scale), round(64 * scale))
    to_middle = SimilarityTransform(translation=(-(width - 1) / 2, -(height - 1) / 2))
    turn = SimilarityTransform(scale=1 / scale, rotation=np.deg2rad(20))
    back = SimilarityTransform(translation=(63 / 2, 49 / 2))
    expected = warp(
        pixels[0], to_middle + turn + back, output_shape=(height, width), order=1, cval=np.nan
    )
    core = minimum_filter(made.inside, 5) > 0
    assert core.sum() > 500
    np.testing.assert_allclose(made.pixels[0][core], expected[core], atol=1e-9)


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_a_picture_that_is_scaled_keeps_the_shares_of_its_labels(scale):
    scene = make_scene()
    made = move(scene, Pose(scale=scale), IGNORED)
    assert made.labels.shape == (round(50 * scale), round(64 * scale))
    shares = [np.bincount(a.ravel(), minlength=5) / a.size for a in (scene.labels, made.labels)]
    assert np.abs(shares[0] - shares[1]).max() < 0.03
    assert made.inside is None


def test_labels_of_sixteen_bits_stay_so():
    scene = Scene(np.zeros((1, 20, 20), np.uint16), np.full((20, 20), 300, np.uint16))
    made = move(scene, Pose(angle=30, shift=(3, 3)), 65535)
    assert made.labels.dtype == np.uint16
    assert set(np.unique(made.labels)) == {300, 65535}
