"""Scribbles: true, few enough, of every class, and the same again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from gnnseg.datasets.scribbles import scribble, with_scribbles
from gnnseg.datasets.synthetic import SyntheticSource, synthetic_dataset
from gnnseg.errors import UsageError


@given(
    seed=st.integers(0, 2**31 - 1),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    share=st.floats(0.001, 1),
    pen=st.integers(1, 5),
)
def test_strokes_are_true_and_no_more_than_asked_for(seed, height, width, share, pen):
    labels = SyntheticSource(height, width, seed).labels()
    labels[: height // 4] = 255
    found = scribble(labels, share, width=pen, seed=seed)
    known = found != 255
    np.testing.assert_array_equal(found[known], labels[known])
    assert known.sum() <= round(share * (labels != 255).sum())
    np.testing.assert_array_equal(found, scribble(labels, share, width=pen, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_reached_and_every_class_has_its_part(seed):
    labels = SyntheticSource(200, 240, seed).labels()
    found = scribble(labels, 0.02, seed=seed)
    assert (found != 255).sum() == round(0.02 * labels.size)
    assert set(np.unique(found)) == {*np.unique(labels), 255}


def test_strokes_stay_away_from_borders_where_there_is_room():
    labels = np.zeros((100, 100), np.uint8)
    labels[:, 50:] = 1
    found = scribble(labels, 0.05, width=3)
    assert (found[:, 49:51] == 255).all()
    assert (found[[0, -1]] == 255).all()


def test_strokes_are_curves_as_wide_as_the_pen():
    found = scribble(np.zeros((300, 300), np.uint8), 0.005, width=3)
    _, patches = label(found == 0)
    assert patches <= 3
    sizes = (found == 0).sum(axis=0)
    assert (found == 0).any(axis=0).sum() + (found == 0).any(axis=1).sum() > 60
    assert sizes.max() < 150


def test_another_seed_gives_other_strokes():
    labels = SyntheticSource(100, 100, 0).labels()
    assert (scribble(labels, 0.05, seed=0) != scribble(labels, 0.05, seed=1)).any()


def test_only_training_images_are_scribbled():
    dataset = synthetic_dataset(5, height=80, width=96, val=0.4)
    sparse = with_scribbles(dataset, 0.03)
    for one, other in zip(dataset.split("train"), sparse.split("train"), strict=True):
        known = other.read_labels() != 255
        assert 0 < known.sum() <= round(0.03 * known.size)
        np.testing.assert_array_equal(one.read_labels()[known], other.read_labels()[known])
    strokes = [item.read_labels() != 255 for item in sparse.split("train")]
    assert (strokes[0] != strokes[1]).any()
    assert sparse.split("val") == dataset.split("val")


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.5}, {"width": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(UsageError, match="must be"):
        scribble(np.zeros((9, 9), np.uint8), **wrong)
