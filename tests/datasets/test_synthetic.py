"""The generator: windows of it are crops of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.blocks import Window
from gnnseg.datasets import synthetic
from gnnseg.datasets.synthetic import SyntheticSource, synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.io import ImageSource, open_image

sides = st.tuples(st.integers(0, 299), st.integers(1, 120))


@given(sides, sides, st.integers(0, 5), st.integers(2, 9))
def test_a_window_is_the_crop_of_the_whole(rows, cols, seed, num_classes):
    source = SyntheticSource(300, 310, seed, num_classes, planes=2)
    window = Window(rows[0], sum(rows), cols[0], sum(cols)).clip(source.bounds)
    whole = source.read(source.bounds, plane=1)
    np.testing.assert_array_equal(source.read(window, plane=1), whole[:, *window.slices])
    labels = source.labels(plane=1)[window.slices]
    np.testing.assert_array_equal(source.labels(window, plane=1), labels)


def test_the_far_corner_of_a_terapixel_can_be_read():
    source = SyntheticSource(2**40, 2**40, seed=3)
    window = Window(2**40 - 200, 2**40, 2**40 - 300, 2**40)
    assert source.read(window).shape == (3, 200, 300)
    assert np.unique(source.labels(window)).size > 1
    assert source.read(window).std() > 10


def test_the_compiled_loops_compute_what_python_computes():
    window = Window(64, 76, 2**33, 2**33 + 12)
    source = SyntheticSource(100, 2**34, seed=2**31 - 1, num_classes=3)
    hashed = synthetic._hash.py_func(7, -5, 2**33)
    assert hashed == synthetic._hash(7, -5, 2**33)
    plain = [
        [synthetic._label.py_func(2**31 - 1, 3, y, x) for x in range(window.x0, window.x1)]
        for y in range(window.y0, window.y1)
    ]
    np.testing.assert_array_equal(source.labels(window), plain)


def test_hashes_are_spread_evenly():
    values = [synthetic._hash(1, y, x) for y in range(64) for x in range(64)]
    assert len(set(values)) > 4090
    bits = np.array(values)[:, None] >> np.arange(32) & 1
    assert (np.abs(bits.mean(axis=0) - 0.5) < 0.04).all()


@pytest.mark.parametrize("num_classes", [2, 5])
def test_every_class_has_its_share(num_classes):
    labels = SyntheticSource(1024, 1024, seed=4, num_classes=num_classes).labels()
    shares = np.bincount(labels.ravel(), minlength=num_classes) / labels.size
    assert shares.size == num_classes
    assert shares.min() > 0.5 / num_classes


def test_colours_tell_the_classes_mostly():
    source = SyntheticSource(256, 256, seed=1)
    image, labels = source.read(source.bounds), source.labels()
    means = np.array([image[:, labels == c].mean(axis=1) for c in range(4)])
    distances = ((image[None].astype(float) - means[:, :, None, None]) ** 2).sum(axis=1)
    assert (distances.argmin(axis=0) == labels).mean() > 0.8


def test_seeds_and_planes_differ():
    one, other = SyntheticSource(64, 64, 1, planes=2), SyntheticSource(64, 64, 2, planes=2)
    assert (one.read(one.bounds) != other.read(one.bounds)).mean() > 0.5
    assert (one.read(one.bounds) != one.read(one.bounds, 1)).mean() > 0.5
    assert one.fingerprint() != other.fingerprint()
    assert (one.num_planes, one.is_stack) == (2, True)


def test_it_is_an_image_source():
    source = SyntheticSource(50, 60, seed=1, num_classes=3)
    assert isinstance(source, ImageSource)
    assert open_image(source) is source
    assert (source.num_channels, source.is_rgb, source.is_stack) == (3, True, False)
    assert source.dtype == np.uint8
    assert source.classes.num_classes == 3
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read(source.bounds), source.read(source.bounds))
    with pytest.raises(UsageError, match="outside"):
        source.read(Window(0, 51, 0, 10))


@pytest.mark.parametrize(
    "arguments", [{"height": 0}, {"num_classes": 1}, {"num_classes": 255}, {"seed": -1}]
)
def test_wrong_arguments_are_usage_errors(arguments):
    with pytest.raises(UsageError):
        SyntheticSource(**{"height": 9, "width": 9, **arguments})


def test_a_set_of_them():
    dataset = synthetic_dataset(4, height=40, width=50, num_classes=3)
    assert len(dataset.split("train")) + len(dataset.split("val")) == 4
    image, labels = dataset.split("train")[0].load()
    assert (image.height, image.width) == labels.shape == (40, 50)
