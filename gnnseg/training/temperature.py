"""One number that makes a model's probabilities as sure as they are right.

Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnnseg.log import LOGGER

LOWEST, HIGHEST = 0.05, 20.0
"""Between which the temperature is sought."""
MOST_SAMPLED = 1_000_000
"""Pixels of val, or regions, that it is fitted on: of more a share, drawn by seed."""
PRIOR = 4.0
"""Observations that the expectation of a temperature near 1 counts as much as."""
_HALVINGS = 40


def fit_temperature(parts: Sequence[tuple[np.ndarray, np.ndarray]], *, same: float = 1.0) -> float:
    """The temperature that makes labels likeliest when logits are divided by it.

    The inverse temperature is expected near 1, by a gamma distribution whose mode that is: where
    few labels, or none that is wrong, say little, likelihood alone would make the model as sure, or
    as unsure, as it may be.

    Parameters
    ----------
    parts : sequence of (logits, counts)
        Of some images: logits (N, classes), and labelled pixels by class (N, classes), of their
        regions. Every pixel has its region's logits.
    same : float
        Regions that count as one observation, which neighbouring pixels are.

    Returns
    -------
    float
        Between `LOWEST` and `HIGHEST`; 1 where no pixel is labelled, and, with a warning, where
        the best one lies beyond them.

    Examples
    --------
    >>> sure, counts = np.array([[4.0, 0.0]]), np.array([[3, 1]])
    >>> many = [(sure, counts)] * 10_000
    >>> print(round(fit_temperature(many), 2), round(4 / np.log(3), 2))
    3.64 3.64
    >>> round(fit_temperature([(sure, np.array([[4, 0]]))] * 20), 2)
    0.84
    """
    regions = sum(np.count_nonzero(counts.any(axis=1)) for _, counts in parts)
    if not regions:
        return 1.0
    prior = PRIOR * same * sum(float(counts.sum()) for _, counts in parts) / regions

    def rises(inverse: float) -> bool:
        """Whether labels and expectation get likelier with the inverse temperature."""
        slope = sum(_slope(logits, counts, inverse) for logits, counts in parts)
        return bool(slope + prior * (1 / inverse - 1) > 0)

    # Both are concave in the inverse temperature: the slope changes sign once.
    low, high = 1 / HIGHEST, 1 / LOWEST
    if rises(high) or not rises(low):
        LOGGER.warning(
            "the labels of val fit no temperature from %g to %g, and it stays 1: probabilities and "
            "uncertainty are as the network gives them; train longer, or label more of val",
            LOWEST,
            HIGHEST,
        )
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if rises(middle) else (low, middle)
    return 1 / (low * high) ** 0.5


def _slope(logits: np.ndarray, counts: np.ndarray, inverse: float) -> float:
    """How fast the log likelihood grows with the inverse temperature."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    weights = np.exp(inverse * z)
    mean = (weights * z).sum(axis=1) / weights.sum(axis=1)
    return float((counts * (z - mean[:, None])).sum())
