"""How well boundaries are met, within a tolerance in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnseg.errors import UsageError

TOLERANCE = 2.0
"""Pixels within which boundaries meet, unless the caller says."""
Slices = tuple[slice, slice]


def boundary_f1(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    ignore_index: int = 255,
) -> float:
    """F1 score of the class boundaries of one image, averaged over the classes that occur.

    Parameters
    ----------
    truth, prediction
        Integer label images, (height, width). Pixels whose truth is `ignore_index` are left out.
    tolerance
        Euclidean distance in pixels within which boundaries meet.

    Returns
    -------
    float
        0 to 1. For each class, precision is the share of the predicted boundary within
        `tolerance` of the true one, recall the reverse. A class without boundaries on both sides
        scores 1, on one side only 0. NaN where every pixel is ignored.

    References
    ----------
    Csurka, Larlus, Perronnin, What is a good evaluation measure for semantic segmentation?, BMVC
    2013.

    Examples
    --------
    >>> truth = np.repeat([[0, 1]], 5, axis=1).repeat(4, axis=0)
    >>> shifted = np.roll(truth, 1, axis=1)
    >>> boundary_f1(truth, truth), boundary_f1(truth[:, 2:], shifted[:, 2:], tolerance=1)
    (1.0, 1.0)
    """
    _check(truth, prediction, tolerance)
    valid = truth != ignore_index
    classes = np.union1d(truth[valid], prediction[valid])
    whole = slice(0, truth.shape[0]), slice(0, truth.shape[1])
    # Labels may be compared, not subtracted: any integer type will do.
    scores = [
        _f1(*_count(truth == c, prediction == c, valid, tolerance, whole))
        for c in classes[classes != ignore_index]
    ]
    return float(np.mean(scores)) if scores else float("nan")


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """What `boundary_f1` divides, window by window; the sum of all windows gives its very score.

    Attributes
    ----------
    pixels : (classes, 4) int64
        Boundary pixels of the prediction, those of them near the true boundary, boundary pixels of
        the truth, and those of them near the predicted one.
    occurs : (classes,) bool
        Whether the truth or the prediction has the class.

    Examples
    --------
    >>> truth = np.repeat([[0, 1]], 5, axis=1).repeat(4, axis=0)
    >>> shifted, rows = np.roll(truth, 1, axis=1), slice(0, 4)
    >>> left = BoundaryCounts.of(truth[:, :7], shifted[:, :7], 2, inside=(rows, slice(0, 4)))
    >>> right = BoundaryCounts.of(truth[:, 1:], shifted[:, 1:], 2, inside=(rows, slice(3, 9)))
    >>> (left + right).f1 == boundary_f1(truth, shifted)
    True
    """

    pixels: np.ndarray
    occurs: np.ndarray

    HALO = int(TOLERANCE) + 1
    """Pixels around a window that its counts depend on: targets, and what makes them boundaries."""

    @classmethod
    def zeros(cls, num_classes: int) -> BoundaryCounts:
        """No pixels yet."""
        return cls(np.zeros((num_classes, 4), np.int64), np.zeros(num_classes, np.bool_))

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        prediction: np.ndarray,
        num_classes: int,
        ignore_index: int = 255,
        *,
        inside: Slices,
    ) -> BoundaryCounts:
        """Count the part `inside` of two integer label images (height, width).

        There must be `HALO` pixels around it where the image goes on.
        """
        _check(truth, prediction, TOLERANCE)
        total, valid = cls.zeros(num_classes), truth != ignore_index
        known = valid[inside]
        seen = {*np.unique(truth[inside][known]), *np.unique(prediction[inside][known])}
        for c in sorted({int(c) for c in seen} - {ignore_index}):
            counts = _count(truth == c, prediction == c, valid, TOLERANCE, inside)
            total.pixels[c], total.occurs[c] = counts, True
        return total

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(self.pixels + other.pixels, self.occurs | other.occurs)

    @property
    def f1(self) -> float:
        """The mean over the classes that occur; NaN where every pixel is ignored."""
        scores = [_f1(*counts) for counts in self.pixels[self.occurs].tolist()]
        return float(np.mean(scores)) if scores else float("nan")


def boundary_recall(
    truth: np.ndarray,
    superpixels: np.ndarray,
    *,
    tolerance: int = 2,
    ignore_index: int = 255,
) -> float:
    """Share of the true boundary pixels that have a superpixel boundary near them.

    Near is within the square of `2 * tolerance + 1` pixels. Both arrays are (height, width)
    integers. Boundaries to ignored pixels do not count; without any boundary the recall is 1.

    References
    ----------
    Stutz, Hermans, Leibe, Superpixels: an evaluation of the state-of-the-art, CVIU 2018, eq. 1.

    Examples
    --------
    >>> truth = np.repeat([[0, 1]], 5, axis=1).repeat(4, axis=0)
    >>> boundary_recall(truth, truth * 7), boundary_recall(truth, truth * 0)
    (1.0, 0.0)
    """
    everything = slice(None), slice(None)
    given = {"tolerance": tolerance, "ignore_index": ignore_index}
    found, true = count_recalled(truth, superpixels, inside=everything, **given)
    return found / true if true else 1.0


def count_recalled(
    truth: np.ndarray,
    superpixels: np.ndarray,
    *,
    inside: Slices,
    tolerance: int = 2,
    ignore_index: int = 255,
) -> tuple[int, int]:
    """The true boundary pixels of a part that `boundary_recall` finds, and all of them.

    There must be `tolerance + 1` pixels around the part `inside` where the image goes on.
    """
    from scipy.ndimage import maximum_filter

    _check(truth, superpixels, tolerance)
    valid = truth != ignore_index
    true = _boundary(truth, valid)[inside]
    found = maximum_filter(_boundary(superpixels, np.ones_like(valid)), size=2 * tolerance + 1)
    return int((true & found[inside]).sum()), int(true.sum())


def _count(
    true: np.ndarray, predicted: np.ndarray, valid: np.ndarray, tolerance: float, inside: Slices
) -> tuple[int, int, int, int]:
    """Boundary pixels of the prediction and those near the true ones, then the reverse."""
    a, b = (_class_boundary(mask, valid) for mask in (predicted, true))
    return (*_count_near(a, b, tolerance, inside), *_count_near(b, a, tolerance, inside))


def _f1(predicted: int, right: int, true: int, found: int) -> float:
    if not true or not predicted:
        return float(true == predicted)
    precision, recall = right / predicted, found / true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _count_near(
    points: np.ndarray, targets: np.ndarray, tolerance: float, inside: Slices
) -> tuple[int, int]:
    """The points inside, and how many of them have a target within the tolerance."""
    from scipy.spatial import cKDTree

    places = np.argwhere(points[inside]) + [part.start for part in inside]
    if not len(places) or not targets.any():
        return len(places), 0
    tree = cKDTree(np.argwhere(targets))
    distances, _ = tree.query(places, distance_upper_bound=tolerance + 1)
    return len(places), int((distances <= tolerance).sum())


def _class_boundary(mask: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The valid pixels of `mask` that touch, by an edge, a valid pixel outside it."""
    return _boundary(mask, valid) & mask


def _boundary(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The valid pixels that touch, by an edge, a valid pixel of another label."""
    out = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        # Swapped axes are views: both directions mark the one array.
        lab, ok, mark = (np.swapaxes(a, 0, axis) for a in (labels, valid, out))
        differ = (lab[1:] != lab[:-1]) & ok[1:] & ok[:-1]
        mark[1:] |= differ
        mark[:-1] |= differ
    return out


def _check(truth: np.ndarray, other: np.ndarray, tolerance: float) -> None:
    if truth.ndim != 2 or truth.shape != other.shape:
        raise UsageError(
            "boundaries need two label images (height, width) of one size, got the shapes "
            f"{truth.shape} and {other.shape}"
        )
    if tolerance < 0:
        raise UsageError(f"tolerance must be 0 pixels or more, got {tolerance}")
