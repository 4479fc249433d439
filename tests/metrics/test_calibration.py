"""Calibration error and the ranking of errors, against their definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.errors import UsageError
from gnnseg.metrics import Calibration, calibration


def draw(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size = data.draw(st.integers(1, 300))
    confidence = rng.beta(3, 1, size)
    right = rng.random(size) < confidence ** data.draw(st.sampled_from([0.3, 1.0, 3.0]))
    entropy = rng.integers(0, data.draw(st.sampled_from([3, 5000])), size) / 5000
    return right, confidence, entropy


def expected_ece(right, confidence):
    total, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def expected_auroc(right, score):
    wrong, correct = score[~right], score[right]
    above = (wrong[:, None] > correct).mean()
    return above + 0.5 * (wrong[:, None] == correct).mean()


@settings(max_examples=50)
@given(st.data())
def test_they_are_their_definitions(data):
    right, confidence, entropy = draw(data)
    found = Calibration.of(right, confidence, entropy)
    assert found.ece == pytest.approx(expected_ece(right, confidence), abs=1e-5)
    if right.all() or not right.any():
        assert np.isnan(found.auroc)
    else:
        steps = np.floor(entropy * calibration.SCORES)
        assert found.auroc == pytest.approx(expected_auroc(right, steps), abs=1e-12)


@settings(max_examples=20)
@given(st.data())
def test_parts_add_up_to_the_whole_in_any_order(data):
    arrays = draw(data)
    whole = Calibration.of(*arrays)
    middle = len(arrays[0]) // 2
    parts = [Calibration.of(*(a[part] for a in arrays)) for part in np.s_[middle:, :middle]]
    total = sum(parts, Calibration.zeros())
    assert (total.ece, total.pixels.tolist()) == (whole.ece, whole.pixels.tolist())
    np.testing.assert_array_equal(total.entropies, whole.entropies)


def test_steps_of_the_entropy_cost_next_to_nothing():
    rng = np.random.default_rng(0)
    right = rng.random(3000) < 0.8
    entropy = np.clip(rng.normal(0.5 - 0.2 * right, 0.2), 0, 1)
    found = Calibration.of(right, 1 - entropy, entropy)
    assert found.auroc == pytest.approx(expected_auroc(right, entropy), abs=1e-4)


def test_runs_add_up(monkeypatch):
    rng = np.random.default_rng(0)
    arrays = rng.random((10, 7)) < 0.5, rng.random((10, 7)), rng.random((10, 7))
    whole = Calibration.of(*arrays)
    monkeypatch.setattr(calibration, "_RUN", 16)
    again = Calibration.of(*arrays)
    assert (again.ece, again.auroc) == (whole.ece, whole.auroc)


def test_the_ends_of_the_scales_and_nothing():
    found = Calibration.of(np.array([True, False]), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert (found.ece, found.auroc) == (0.0, 1.0)
    assert found.pixels[[0, -1]].tolist() == [1, 1]
    nothing = Calibration.zeros()
    assert np.isnan(nothing.ece)
    assert np.isnan(nothing.auroc)
    with pytest.raises(UsageError, match="shape"):
        Calibration.of(np.ones(3, bool), np.ones(3), np.ones(2))
