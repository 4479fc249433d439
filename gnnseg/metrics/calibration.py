"""Whether probabilities are as sure as they are right, and whether errors are where they doubt."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gnnseg.errors import UsageError

BINS = 15
"""Of confidence, equally wide."""
SCORES = 4096
"""Steps of the entropy; scores of one step count as equal."""
_UNIT = 1 << 20  # confidences are added up as integers: the sum knows no order
_RUN = 1 << 22  # pixels counted at a time


@dataclass(frozen=True, eq=False)
class Calibration:
    """Pixels by the confidence and the entropy of their prediction; sums add up in any order.

    Attributes
    ----------
    pixels, right, confidence : (15,) int64
        Pixels of each bin of confidence, those of them that are right, and the sum of their
        confidences in units of 2^-20.
    entropies : (2, 4096) int64
        Wrong and right pixels of each step of the entropy.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017, eq. 3.
    Hanley, McNeil, The meaning and use of the area under a receiver operating characteristic
    curve, Radiology 143(1), 1982.

    Examples
    --------
    >>> right = np.array([True, True, True, False])
    >>> sure = Calibration.of(right, np.full(4, 0.75), np.array([0.1, 0.2, 0.3, 0.9]))
    >>> sure.ece, sure.auroc
    (0.0, 1.0)
    """

    pixels: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    entropies: np.ndarray

    @classmethod
    def zeros(cls) -> Calibration:
        """No pixels yet."""
        pixels, right, confidence = np.zeros((3, BINS), np.int64)
        return cls(pixels, right, confidence, np.zeros((2, SCORES), np.int64))

    @classmethod
    def of(cls, right: np.ndarray, confidence: np.ndarray, entropy: np.ndarray) -> Calibration:
        """Count pixels.

        Parameters
        ----------
        right : bool
            Whether the predicted class is the true one.
        confidence, entropy : float, of the same shape
            Probability of the predicted class; entropy of all, as a share of the largest.

        Raises
        ------
        UsageError
            The shapes differ.
        """
        if not np.shape(right) == np.shape(confidence) == np.shape(entropy):
            raise UsageError(
                "right, confidence and entropy must have one shape, got "
                f"{np.shape(right)}, {np.shape(confidence)} and {np.shape(entropy)}"
            )
        flat = [np.ravel(array) for array in (right, confidence, entropy)]
        total = cls.zeros()
        for start in range(0, flat[0].size, _RUN):
            total += _count(*(array[start : start + _RUN] for array in flat))
        return total

    def __add__(self, other: Calibration) -> Calibration:
        names = (field.name for field in fields(self))
        return Calibration(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def ece(self) -> float:
        """Expected calibration error: how far confidence and accuracy lie apart, 0 to 1.

        The mean over bins of confidence, each weighing its pixels; NaN without pixels.
        """
        total = self.pixels.sum()
        gaps = np.abs(self.right - self.confidence / _UNIT)
        return float(gaps.sum() / total) if total else float("nan")

    @property
    def auroc(self) -> float:
        """How likely a wrong pixel has a higher entropy than a right one; ties count half.

        The area under the receiver operating characteristic of finding errors by entropy: 0.5 is
        chance, 1 perfect; NaN unless there are both right and wrong pixels.
        """
        wrong, right = self.entropies.astype(np.float64)
        pairs = wrong.sum() * right.sum()
        below = np.cumsum(right) - right / 2
        return float((wrong * below).sum() / pairs) if pairs else float("nan")


def _count(right: np.ndarray, confidence: np.ndarray, entropy: np.ndarray) -> Calibration:
    right = right.astype(np.bool_)
    units = np.rint(np.clip(confidence, 0, 1) * np.float64(_UNIT)).astype(np.int64)
    # A bin holds its upper end, as in the paper: those of 0 fall in the first.
    bins = np.maximum(-(-units * BINS // _UNIT) - 1, 0)
    steps = np.minimum(np.clip(entropy, 0, 1) * SCORES, SCORES - 1).astype(np.int64)
    return Calibration(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins[right], minlength=BINS),
        np.rint(np.bincount(bins, units, minlength=BINS)).astype(np.int64),
        np.bincount(SCORES * right + steps, minlength=2 * SCORES).reshape(2, SCORES),
    )
