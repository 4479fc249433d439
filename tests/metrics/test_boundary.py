"""Boundary figures against distances between all pairs of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import find_boundaries

from gnnseg.errors import UsageError
from gnnseg.metrics import boundary_f1, boundary_recall
from gnnseg.metrics.boundary import _boundary, _class_boundary


def blobs(seed, shape=(13, 17), num_classes=3):
    coarse = np.random.default_rng(seed).integers(0, num_classes, (4, 5))
    return coarse.repeat(4, axis=0).repeat(4, axis=1)[: shape[0], : shape[1]]


def share_near(points, targets, limit, norm):
    p, t = np.argwhere(points), np.argwhere(targets)
    offsets = np.abs(p[:, None] - t[None]).astype(float)
    return (np.linalg.norm(offsets, norm, axis=2).min(axis=1) <= limit).mean()


def f1_of(truth, prediction, tolerance):
    scores = []
    for c in np.union1d(truth, prediction):
        a, b = (find_boundaries(x == c, connectivity=1, mode="inner") for x in (truth, prediction))
        if not (a.any() and b.any()):
            scores.append(float(a.any() == b.any()))
            continue
        precision, recall = share_near(b, a, tolerance, 2), share_near(a, b, tolerance, 2)
        scores.append(2 * precision * recall / max(precision + recall, 1e-300))
    return np.mean(scores)


@given(st.integers(0, 10_000), st.sampled_from([0, 1, 1.5, 2, 4]))
def test_f1_is_that_of_all_pairs(seed, tolerance):
    truth, prediction = blobs(seed), np.roll(blobs(seed), seed % 3, axis=1)
    expected = f1_of(truth, prediction, tolerance)
    assert boundary_f1(truth, prediction, tolerance=tolerance) == pytest.approx(expected)


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_recall_is_that_of_all_pairs(seed, tolerance):
    truth, superpixels = blobs(seed), blobs(seed + 1, num_classes=9)
    true, found = (find_boundaries(x, connectivity=1, mode="thick") for x in (truth, superpixels))
    expected = share_near(true, found, tolerance, np.inf)
    assert boundary_recall(truth, superpixels, tolerance=tolerance) == pytest.approx(expected)


@given(st.integers(0, 10_000))
def test_boundaries_are_those_of_scikit_image(seed):
    labels = np.random.default_rng(seed).integers(0, 3, (7, 9))
    valid = np.ones(labels.shape, bool)
    expected = find_boundaries(labels, connectivity=1, mode="thick")
    np.testing.assert_array_equal(_boundary(labels, valid), expected)
    expected = find_boundaries(labels == 1, connectivity=1, mode="inner")
    np.testing.assert_array_equal(_class_boundary(labels == 1, valid), expected)


def test_borders_of_ignored_pixels_do_not_count():
    truth = np.zeros((6, 6), np.uint8)
    truth[:, 3:] = 255
    assert boundary_f1(truth, np.zeros_like(truth)) == 1
    assert boundary_recall(truth, np.zeros_like(truth)) == 1


def test_a_class_found_nowhere_scores_nothing():
    truth = np.zeros((6, 6), np.uint8)
    prediction = truth.copy()
    prediction[2, 2] = 1
    assert boundary_f1(truth, prediction) == 0


def test_nothing_labelled_gives_no_figure():
    truth = np.full((4, 4), 255, np.uint8)
    assert np.isnan(boundary_f1(truth, np.zeros_like(truth)))


def test_wrong_arguments_are_usage_errors():
    labels = np.zeros((4, 4), int)
    with pytest.raises(UsageError, match="one size"):
        boundary_f1(labels, labels[1:])
    with pytest.raises(UsageError, match="tolerance"):
        boundary_recall(labels, labels, tolerance=-1)
