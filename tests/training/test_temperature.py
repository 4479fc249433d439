"""The temperature is the likeliest one, by labels and by what is expected without any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from gnnseg.training.temperature import HIGHEST, LOWEST, PRIOR, fit_temperature


def nll(temperature, parts):
    total = 0.0
    for logits, counts in parts:
        scaled = logits / temperature
        largest = scaled.max(axis=1, keepdims=True)
        log_sum = largest + np.log(np.exp(scaled - largest).sum(axis=1, keepdims=True))
        total -= (counts * (scaled - log_sum)).sum()
    return total


def surprise(temperature, parts):
    """With the expectation: a gamma distribution of the inverse whose mode is 1."""
    labelled = sum(counts.any(axis=1).sum() for _, counts in parts)
    pixels = sum(counts.sum() for _, counts in parts) / labelled
    return nll(temperature, parts) + PRIOR * pixels * (np.log(temperature) + 1 / temperature)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0.1, 5.0))
def test_no_other_temperature_makes_the_labels_likelier(seed, classes, factor):
    rng = np.random.default_rng(seed)
    parts = []
    for size in (1, 40, 7):
        logits = rng.normal(0, 3, (size, classes)).astype(np.float32)
        drawn = rng.multinomial(20, _softmax(logits.astype(float)))
        parts.append((factor * logits, drawn))
    found = fit_temperature(parts)
    best = minimize_scalar(
        lambda log: surprise(np.exp(log), parts), bounds=np.log([LOWEST, HIGHEST]), method="bounded"
    )
    assert surprise(found, parts) <= best.fun + 1e-6 * abs(best.fun)


def _softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_the_factor_that_spoilt_right_probabilities_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    counts = rng.multinomial(50, _softmax(logits))
    assert fit_temperature([(logits, counts)]) == pytest.approx(1, abs=0.02)
    assert fit_temperature([(2.5 * logits, counts)]) == pytest.approx(2.5, abs=0.05)


def test_many_labels_are_hardly_expected_to_be_anything():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    parts = [(1.6 * logits, rng.multinomial(50, _softmax(logits)))]
    best = minimize_scalar(lambda t: nll(t, parts), bounds=(1, 3), method="bounded")
    assert fit_temperature(parts) == pytest.approx(best.x, rel=1e-3)


def test_few_labels_that_are_all_right_make_a_model_no_surer_than_they_show():
    rng = np.random.default_rng(0)
    logits = np.eye(3)[rng.integers(0, 3, 400)] * 4
    counts = (50 * (logits > 0)).astype(int)
    few, many = (fit_temperature([(logits[:n], counts[:n])]) for n in (20, 400))
    assert 0.3 < many < few < 1
    assert fit_temperature([(logits[:0], counts[:0])]) == 1.0


def test_pixels_of_a_cell_count_as_one_region():
    logits = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    counts = np.array([[64, 0], [0, 64], [0, 64]])
    pixels = np.repeat(logits, 64, axis=0), np.repeat(counts // 64, 64, axis=0)
    assert fit_temperature([pixels], same=64) == pytest.approx(fit_temperature([(logits, counts)]))
    assert fit_temperature([pixels]) != pytest.approx(fit_temperature([pixels], same=64))


@pytest.mark.parametrize("margin", [0.01, 3.0])
def test_what_lies_beyond_the_bounds_leaves_it_at_1_with_a_warning(margin, caplog):
    logits = np.array([[margin, 0.0]] * 100_000)
    right = np.eye(2, dtype=int)[[int(margin > 1)] * len(logits)]
    assert fit_temperature([(logits, right)]) == 1.0
    [message] = caplog.messages
    assert "fit no temperature from 0.05 to 20" in message


def test_no_label_at_all_says_nothing(caplog):
    assert fit_temperature([]) == 1.0
    assert fit_temperature([(np.array([[3.0, 0.0]]), np.zeros((1, 2), int))]) == 1.0
    assert caplog.messages == []
