"""How well boundaries are met, within a tolerance in pixels."""

from __future__ import annotations

import numpy as np

from gnnseg.errors import UsageError


def boundary_f1(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    tolerance: float = 2.0,
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
    # Labels may be compared, not subtracted: any integer type will do.
    scores = [
        _class_f1(
            _class_boundary(truth == c, valid), _class_boundary(prediction == c, valid), tolerance
        )
        for c in classes[classes != ignore_index]
    ]
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
    from scipy.ndimage import maximum_filter

    _check(truth, superpixels, tolerance)
    valid = truth != ignore_index
    true = _boundary(truth, valid)
    found = maximum_filter(_boundary(superpixels, np.ones_like(valid)), size=2 * tolerance + 1)
    return float((true & found).sum() / true.sum()) if true.any() else 1.0


def _class_f1(true: np.ndarray, predicted: np.ndarray, tolerance: float) -> float:
    if not true.any() or not predicted.any():
        return float(true.any() == predicted.any())
    precision = _share_near(predicted, true, tolerance)
    recall = _share_near(true, predicted, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(points: np.ndarray, targets: np.ndarray, tolerance: float) -> float:
    from scipy.spatial import cKDTree

    tree = cKDTree(np.argwhere(targets))
    distances, _ = tree.query(np.argwhere(points), distance_upper_bound=tolerance + 1)
    return float((distances <= tolerance).mean())


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
