"""The temperature is the minimum of the negative log likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from gnnseg.training.temperature import HIGHEST, LOWEST, fit_temperature


def nll(temperature, parts):
    total = 0.0
    for logits, counts in parts:
        scaled = logits / temperature
        largest = scaled.max(axis=1, keepdims=True)
        log_sum = largest + np.log(np.exp(scaled - largest).sum(axis=1, keepdims=True))
        total -= (counts * (scaled - log_sum)).sum()
    return total


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
        lambda log: nll(np.exp(log), parts), bounds=np.log([LOWEST, HIGHEST]), method="bounded"
    )
    assert nll(found, parts) <= best.fun + 1e-6 * abs(best.fun)


def _softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_the_factor_that_spoilt_right_probabilities_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    counts = rng.multinomial(50, _softmax(logits))
    assert fit_temperature([(logits, counts)]) == pytest.approx(1, abs=0.02)
    assert fit_temperature([(2.5 * logits, counts)]) == pytest.approx(2.5, abs=0.05)


def test_the_ends_and_nothing_at_all():
    logits = np.array([[3.0, 0.0]])
    assert fit_temperature([]) == 1.0
    assert fit_temperature([(logits, np.zeros((1, 2), int))]) == 1.0
    assert fit_temperature([(logits, np.array([[9, 0]]))]) == pytest.approx(LOWEST)
    assert fit_temperature([(logits, np.array([[0, 9]]))]) == pytest.approx(HIGHEST)
