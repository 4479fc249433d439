"""Superpixel figures against loops over superpixels and segments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.errors import UsageError
from gnnseg.metrics import (
    ConfusionMatrix,
    achievable_accuracy,
    ceiling_labels,
    undersegmentation_error,
)


def example(seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 255], (9, 8)).astype(np.uint8)
    return truth, rng.integers(0, 12, (9, 8)) * 10**12


@given(st.integers(0, 10_000))
def test_figures_are_those_of_the_loops(seed):
    truth, superpixels = example(seed)
    kept = truth != 255
    right, leaks = 0, 0
    for s in np.unique(superpixels[kept]):
        inside = truth[kept & (superpixels == s)]
        overlaps = [np.sum(inside == c) for c in range(3)]
        right += max(overlaps)
        leaks += sum(min(n, inside.size - n) for n in overlaps if n)
    assert achievable_accuracy(truth, superpixels) == pytest.approx(right / kept.sum())
    assert undersegmentation_error(truth, superpixels) == pytest.approx(leaks / kept.sum())


@given(st.integers(0, 10_000))
def test_ceiling_labels_are_the_majority(seed):
    truth, superpixels = example(seed)
    ceiling = ceiling_labels(truth, superpixels)
    assert ceiling.dtype == truth.dtype
    for s in np.unique(superpixels):
        inside = truth[superpixels == s]
        counts = np.bincount(inside[inside != 255], minlength=1)
        expected = counts.argmax() if counts.any() else 255
        assert (ceiling[superpixels == s] == expected).all()
    accuracy = ConfusionMatrix.of(truth, ceiling, 3).pixel_accuracy
    assert accuracy == pytest.approx(achievable_accuracy(truth, superpixels))


def test_superpixels_inside_the_segments_are_perfect():
    truth = np.arange(12).reshape(3, 4) // 4
    superpixels = np.arange(12).reshape(3, 4)
    assert achievable_accuracy(truth, superpixels) == 1
    assert undersegmentation_error(truth, superpixels) == 0


def test_nothing_labelled_gives_no_figure():
    truth, superpixels = np.full((2, 2), 255), np.zeros((2, 2), int)
    assert np.isnan(achievable_accuracy(truth, superpixels))
    assert np.isnan(undersegmentation_error(truth, superpixels))
    assert (ceiling_labels(truth, superpixels) == 255).all()


def test_other_shapes_are_usage_errors():
    with pytest.raises(UsageError, match="one size"):
        achievable_accuracy(np.zeros((2, 2), int), np.zeros((2, 3), int))
