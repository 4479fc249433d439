"""The confusion matrix against one obvious expression per figure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.errors import InputError, UsageError
from gnnseg.metrics import ConfusionMatrix
from gnnseg.metrics import confusion as module


def labels_of(seed, num_classes, shape, *, ignored=0.2):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, shape).astype(np.uint8)
    labels[rng.random(shape) < ignored] = 255
    return labels


def iou_of(truth, prediction, c):
    kept = truth != 255
    union = (((truth == c) | (prediction == c)) & kept).sum()
    return ((truth == c) & (prediction == c)).sum() / union if union else np.nan


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_figures_are_those_of_the_masks(seed, num_classes):
    truth = labels_of(seed, num_classes, (9, 11))
    prediction = labels_of(seed + 1, num_classes, (9, 11))
    matrix = ConfusionMatrix.of(truth, prediction, num_classes + 1)
    ious = np.array([iou_of(truth, prediction, c) for c in range(num_classes + 1)])
    np.testing.assert_allclose(matrix.per_class_iou, ious)
    np.testing.assert_allclose(matrix.miou, np.nanmean(ious))
    np.testing.assert_allclose(matrix.per_class_dice, 2 * ious / (1 + ious))
    np.testing.assert_allclose(matrix.dice, np.nanmean(2 * ious / (1 + ious)))
    kept = truth != 255
    np.testing.assert_allclose(matrix.pixel_accuracy, (truth == prediction)[kept].mean())
    assert matrix.num_pixels == kept.sum()


@given(st.integers(0, 10_000))
def test_images_add_up_in_any_order(seed):
    truth, prediction = labels_of(seed, 4, (8, 9)), labels_of(seed + 1, 4, (8, 9))
    whole = ConfusionMatrix.of(truth, prediction, 4)
    parts = [ConfusionMatrix.of(truth[i::3], prediction[i::3], 4) for i in (2, 0, 1)]
    np.testing.assert_array_equal(sum(parts, ConfusionMatrix.zeros(4)).counts, whole.counts)


def test_big_images_are_counted_in_runs(monkeypatch):
    truth, prediction = labels_of(1, 3, (30, 40)), labels_of(2, 3, (30, 40))
    whole = ConfusionMatrix.of(truth, prediction, 3)
    monkeypatch.setattr(module, "_RUN", 7)
    np.testing.assert_array_equal(ConfusionMatrix.of(truth, prediction, 3).counts, whole.counts)


def test_absent_classes_are_left_out_of_the_mean():
    truth = np.array([0, 0, 1, 1])
    matrix = ConfusionMatrix.of(truth, truth, 5)
    assert matrix.miou == 1
    assert np.isnan(matrix.per_class_iou[2:]).all()


def test_a_class_only_predicted_counts():
    matrix = ConfusionMatrix.of(np.array([0, 0]), np.array([0, 1]), 2)
    assert matrix.per_class_iou.tolist() == [0.5, 0]
    assert matrix.class_accuracy == 0.5


def test_pixels_left_unlabelled_are_wrong():
    matrix = ConfusionMatrix.of(np.array([0, 0, 1, 255]), np.array([0, 255, 255, 255]), 2)
    assert matrix.pixel_accuracy == pytest.approx(1 / 3)
    assert matrix.per_class_iou.tolist() == [0.5, 0]


def test_nothing_labelled_gives_no_figure():
    matrix = ConfusionMatrix.of(np.full(4, 255), np.zeros(4, int), 2)
    assert np.isnan([matrix.miou, matrix.dice, matrix.pixel_accuracy]).all()
    assert json.loads(json.dumps(matrix.as_dict()))["miou"] is None


def test_the_figures_have_names():
    figures = ConfusionMatrix.of(np.array([0, 1]), np.array([0, 1]), 2).as_dict(["sea", "land"])
    assert figures["per_class_iou"] == {"sea": 1, "land": 1}
    assert figures["pixel_accuracy"] == figures["miou"] == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_any_integers_will_do(dtype):
    truth = np.array([0, 1, 255], dtype)
    assert ConfusionMatrix.of(truth, truth.astype(np.uint8), 2).miou == 1


@pytest.mark.parametrize(
    ("truth", "prediction", "word"), [([0, 7], [0, 1], "truth"), ([0, 1], [0, -1], "prediction")]
)
def test_an_unknown_label_is_an_input_error(truth, prediction, word):
    with pytest.raises(InputError, match=f"{word} holds the label"):
        ConfusionMatrix.of(np.array(truth), np.array(prediction), 3)


def test_wrong_arrays_are_usage_errors():
    with pytest.raises(UsageError, match="shape"):
        ConfusionMatrix.of(np.zeros(3, int), np.zeros(4, int), 2)
    with pytest.raises(UsageError, match="integer labels"):
        ConfusionMatrix.of(np.zeros(3), np.zeros(3, int), 2)
    with pytest.raises(UsageError, match="classes"):
        ConfusionMatrix.zeros(2) + ConfusionMatrix.zeros(3)
    with pytest.raises(UsageError, match="counts must be int64"):
        ConfusionMatrix(np.zeros((2, 2), np.int64))


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_present_miou_leaves_out_what_the_truth_lacks(seed, num_classes):
    truth, prediction = (labels_of(seed + n, num_classes, (12, 9)) for n in range(2))
    whole = ConfusionMatrix.of(truth, prediction, num_classes)
    if whole.counts.any(axis=1).all():
        assert whole.present_miou == whole.miou
    truth[truth == num_classes - 1] = 0
    matrix = ConfusionMatrix.of(truth, prediction, num_classes)
    ious = [iou_of(truth, prediction, c) for c in range(num_classes) if (truth == c).any()]
    np.testing.assert_allclose(matrix.present_miou, np.mean(ious))


def test_present_miou_of_nothing_is_unknown():
    assert np.isnan(ConfusionMatrix.zeros(3).present_miou)
