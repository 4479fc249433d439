"""The confusion matrix, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.errors import InputError, UsageError

# Pixels counted at a time: the temporary indices then take 32 MiB, whatever the image.
_RUN = 2**22


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Pixels by true class (rows) and predicted class (columns), summed over images.

    `counts` is int64 of shape (classes, classes + 1): the last column holds the labelled pixels
    that the prediction left unlabelled, which count as wrong. Pixels whose truth is
    `ignore_index` are left out. Matrices add up, in any order, to the same figures.

    A class that neither the truth nor the prediction contains has no IoU (NaN) and is left out of
    the means.

    References
    ----------
    Everingham et al., The Pascal visual object classes challenge, IJCV 2010 (intersection over
    union). Dice, Measures of the amount of ecologic association between species, Ecology 1945.

    Examples
    --------
    >>> truth = np.array([[0, 0, 1, 255]])
    >>> matrix = ConfusionMatrix.of(truth, np.array([[0, 1, 1, 1]]), num_classes=3)
    >>> matrix.per_class_iou
    array([0.5, 0.5, nan])
    >>> matrix.miou, round(matrix.pixel_accuracy, 3)
    (0.5, 0.667)
    """

    counts: np.ndarray

    def __post_init__(self) -> None:
        rows, columns = np.shape(self.counts) if np.ndim(self.counts) == 2 else (0, 0)
        if rows < 1 or columns != rows + 1 or self.counts.dtype != np.int64:
            raise UsageError(
                "counts must be int64 of shape (classes, classes + 1), got "
                f"{getattr(self.counts, 'dtype', None)} of shape {np.shape(self.counts)}: "
                "start from ConfusionMatrix.zeros(classes)"
            )

    @classmethod
    def zeros(cls, num_classes: int) -> ConfusionMatrix:
        """No pixels yet."""
        return cls(np.zeros((num_classes, num_classes + 1), np.int64))

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        prediction: np.ndarray,
        num_classes: int,
        ignore_index: int = 255,
    ) -> ConfusionMatrix:
        """Count one image: integer label arrays of one shape.

        Raises `UsageError` where shapes differ or labels are no integers, `InputError` for a
        label that is neither a class nor `ignore_index`.
        """
        _check_pair(truth, prediction)
        flat_truth, flat_prediction = np.ravel(truth), np.ravel(prediction)
        counts = np.zeros(num_classes * (num_classes + 1), np.int64)
        for start in range(0, flat_truth.size, _RUN):
            run = slice(start, start + _RUN)
            kept = flat_truth[run] != ignore_index
            rows = _indices(flat_truth[run][kept], num_classes, None, "truth")
            columns = _indices(flat_prediction[run][kept], num_classes, ignore_index, "prediction")
            counts += np.bincount(rows * (num_classes + 1) + columns, minlength=counts.size)
        return cls(counts.reshape(num_classes, num_classes + 1))

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if self.num_classes != other.num_classes:
            raise UsageError(
                f"matrices of {self.num_classes} and {other.num_classes} classes do not add up"
            )
        return ConfusionMatrix(self.counts + other.counts)

    @property
    def num_classes(self) -> int:
        return int(self.counts.shape[0])

    @property
    def num_pixels(self) -> int:
        return int(self.counts.sum())

    @property
    def per_class_iou(self) -> np.ndarray:
        """Intersection over union of each class, float64; NaN for an absent class."""
        hits, true, predicted = self._parts()
        return _ratio(hits, true + predicted - hits)

    @property
    def per_class_dice(self) -> np.ndarray:
        """Dice coefficient (F1 score) of each class, float64; NaN for an absent class."""
        hits, true, predicted = self._parts()
        return _ratio(2 * hits, true + predicted)

    @property
    def per_class_accuracy(self) -> np.ndarray:
        """Share of each class's true pixels that were found; NaN for a class the truth lacks."""
        hits, true, _ = self._parts()
        return _ratio(hits, true)

    @property
    def miou(self) -> float:
        """Mean of `per_class_iou` over the classes that occur; NaN without pixels."""
        return _mean(self.per_class_iou)

    @property
    def present_miou(self) -> float:
        """Mean of `per_class_iou` over the classes that the truth has; NaN without pixels.

        `miou` falls by the share of a class as soon as one pixel is taken for a class that the
        truth lacks: what is chosen by it never says that class. Here such pixels count as wrong
        for the class that they are of.

        >>> counts = np.array([[90, 0, 9, 0], [0, 99, 1, 0], [0, 0, 0, 0]])
        >>> matrix = ConfusionMatrix(counts)
        >>> round(matrix.miou, 3), round(matrix.present_miou, 3)
        (0.633, 0.95)
        """
        return _mean(self.per_class_iou[self.counts.sum(axis=1) > 0])

    @property
    def dice(self) -> float:
        """Mean of `per_class_dice` over the classes that occur; NaN without pixels."""
        return _mean(self.per_class_dice)

    @property
    def class_accuracy(self) -> float:
        """Mean of `per_class_accuracy` over the classes that the truth has."""
        return _mean(self.per_class_accuracy)

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN without pixels."""
        hits, _, _ = self._parts()
        return float(_ratio(hits.sum(), self.counts.sum()))

    def as_dict(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Every figure, ready for JSON: None where a figure does not exist."""
        keys = names or [str(i) for i in range(self.num_classes)]
        ious = zip(keys, self.per_class_iou.tolist(), strict=True)
        return {
            "miou": _json(self.miou),
            "pixel_accuracy": _json(self.pixel_accuracy),
            "class_accuracy": _json(self.class_accuracy),
            "dice": _json(self.dice),
            "per_class_iou": {key: _json(iou) for key, iou in ious},
            "num_pixels": self.num_pixels,
        }

    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        square = self.counts[:, :-1]
        return np.diagonal(square), self.counts.sum(axis=1), square.sum(axis=0)


def count_regions(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels by true and predicted class, when every region gets one label.

    Parameters
    ----------
    labels : (N,) int
        One for each region.
    pixels : (N, classes) int64
        Labelled pixels of each region by class.

    Returns
    -------
    (classes, classes + 1) int64
        As `ConfusionMatrix` takes them.
    """
    counts = np.zeros((pixels.shape[1], pixels.shape[1] + 1), np.int64)
    for label in np.unique(labels):
        counts[:, label] = pixels[labels == label].sum(axis=0)
    return counts


def _check_pair(truth: np.ndarray, prediction: np.ndarray) -> None:
    if np.shape(truth) != np.shape(prediction):
        raise UsageError(
            f"truth has the shape {np.shape(truth)} and prediction {np.shape(prediction)}: "
            "they must be label images of one size"
        )
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if np.asarray(labels).dtype.kind not in "iub":
            raise UsageError(f"{name} must hold integer labels, got {np.asarray(labels).dtype}")


def _indices(labels: np.ndarray, num_classes: int, unlabelled: int | None, name: str) -> np.ndarray:
    indices = labels.astype(np.int64)
    if unlabelled is not None:
        indices[indices == unlabelled] = num_classes
    limit = num_classes + (unlabelled is not None)
    if indices.size and not 0 <= indices.min() <= indices.max() < limit:
        wrong = indices[(indices < 0) | (indices >= limit)][0]
        raise InputError(
            f"{name} holds the label {wrong}: the classes are 0 to {num_classes - 1}; pixels "
            "without a label must hold ignore_index"
        )
    return indices


def _ratio(part: Any, whole: Any) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.divide(part, whole, dtype=np.float64)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _json(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
