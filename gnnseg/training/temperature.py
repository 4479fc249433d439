"""One number that makes a model's probabilities as sure as they are right.

Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LOWEST, HIGHEST = 0.05, 20.0
"""Between which the temperature is sought."""
MOST_SAMPLED = 1_000_000
"""Pixels of val, or regions, that it is fitted on: of more a share, drawn by seed."""
_HALVINGS = 40


def fit_temperature(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """The temperature that makes labels likeliest when logits are divided by it.

    Parameters
    ----------
    parts : sequence of (logits, counts)
        Of some images: logits (N, classes), and labelled pixels by class (N, classes), of their
        regions. Every pixel has its region's logits.

    Returns
    -------
    float
        Between `LOWEST` and `HIGHEST`; 1 where no pixel is labelled.

    Examples
    --------
    >>> sure, counts = np.array([[4.0, 0.0]]), np.array([[3, 1]])
    >>> print(round(fit_temperature([(sure, counts)]), 3), round(4 / np.log(3), 3))
    3.641 3.641
    """
    if not any(counts.any() for _, counts in parts):
        return 1.0
    # The likelihood is concave in the inverse temperature: its slope changes sign once.
    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        rising = sum(_slope(logits, counts, middle) for logits, counts in parts) > 0
        low, high = (middle, high) if rising else (low, middle)
    return 1 / (low * high) ** 0.5


def _slope(logits: np.ndarray, counts: np.ndarray, inverse: float) -> float:
    """How fast the log likelihood grows with the inverse temperature."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    weights = np.exp(inverse * z)
    mean = (weights * z).sum(axis=1) / weights.sum(axis=1)
    return float((counts * (z - mean[:, None])).sum())
