"""From logits to probabilities, and how far these are from certainty."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities (N, classes) float64 from logits, divided by a temperature.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = logits.astype(np.float64)
    scaled -= scaled.max(axis=1, keepdims=True)
    scaled /= temperature
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy (N,) float64 of probabilities (N, classes), as a share of the largest there can be.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    most = np.log(max(2, probabilities.shape[1]))
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    logarithms *= probabilities
    return np.clip((0.0 - logarithms.sum(axis=1)) / most, 0.0, 1.0)
