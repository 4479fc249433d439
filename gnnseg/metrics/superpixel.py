"""How well superpixels can carry a labelling: their upper bounds and their leaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnseg.errors import UsageError


def achievable_accuracy(
    truth: np.ndarray, superpixels: np.ndarray, *, ignore_index: int = 255
) -> float:
    """Pixel accuracy that labelling every superpixel with its commonest class would reach.

    Integer arrays of one shape; pixels whose truth is `ignore_index` are left out. NaN where all
    are.

    References
    ----------
    Liu, Tuzel, Ramalingam, Chellappa, Entropy rate superpixel segmentation, CVPR 2011, sec. 4.

    Examples
    --------
    >>> achievable_accuracy(np.array([0, 0, 1, 1, 1]), np.array([3, 3, 3, 9, 9]))
    0.8
    """
    overlap = _overlap(truth, superpixels, ignore_index)
    pixels = overlap.counts.sum()
    return float(overlap.counts[overlap.best()].sum() / pixels) if pixels else float("nan")


def undersegmentation_error(
    truth: np.ndarray, superpixels: np.ndarray, *, ignore_index: int = 255
) -> float:
    """Share of pixels that leak across true segments, by the smaller part of each superpixel.

    Every label of `truth` is one segment; other arguments as in `achievable_accuracy`.

    References
    ----------
    Neubert, Protzel, Superpixel benchmark and comparison, Forum Bildverarbeitung 2012, eq. 3.

    Examples
    --------
    >>> undersegmentation_error(np.array([0, 0, 1, 1, 1]), np.array([3, 3, 3, 9, 9]))
    0.4
    """
    overlap = _overlap(truth, superpixels, ignore_index)
    sizes = np.bincount(overlap.region, weights=overlap.counts)[overlap.region]
    leaks = np.minimum(overlap.counts, sizes - overlap.counts).sum()
    pixels = overlap.counts.sum()
    return float(leaks / pixels) if pixels else float("nan")


def ceiling_labels(
    truth: np.ndarray, superpixels: np.ndarray, *, ignore_index: int = 255
) -> np.ndarray:
    """The labels, like `truth`, that give every superpixel its commonest class.

    No labelling of the superpixels gets more pixels right; its mIoU is the `ceiling_miou`. Of
    equally common classes the lowest wins; a superpixel without labelled pixels holds
    `ignore_index`.

    >>> ceiling_labels(np.array([0, 0, 1, 1, 255]), np.array([3, 3, 3, 9, 9]))
    array([0, 0, 0, 1, 1])
    """
    overlap = _overlap(truth, superpixels, ignore_index)
    best = overlap.best()
    ids, where = np.unique(superpixels, return_inverse=True)
    labels = np.full(ids.shape, ignore_index, truth.dtype)
    labels[np.searchsorted(ids, overlap.superpixel[best])] = overlap.label[best]
    return labels[where].reshape(truth.shape)


@dataclass(frozen=True, eq=False)
class _Overlap:
    """The pairs of superpixel and label that share pixels, sorted by superpixel, then label."""

    superpixel: np.ndarray
    label: np.ndarray
    counts: np.ndarray

    @property
    def region(self) -> np.ndarray:
        """The superpixel of each pair, numbered from 0."""
        return np.unique(self.superpixel, return_inverse=True)[1]

    def best(self) -> np.ndarray:
        """The position of each superpixel's commonest label."""
        order = np.lexsort((self.label, -self.counts, self.superpixel))
        first = np.ones(order.size, bool)
        first[1:] = np.diff(self.superpixel[order]) != 0
        return order[first]


def _overlap(truth: np.ndarray, superpixels: np.ndarray, ignore_index: int) -> _Overlap:
    if truth.shape != superpixels.shape:
        raise UsageError(
            f"truth has the shape {truth.shape} and superpixels {superpixels.shape}: they must be "
            "integer images of one size"
        )
    kept = truth != ignore_index
    labels, label = np.unique(truth[kept], return_inverse=True)
    ids, region = np.unique(superpixels[kept], return_inverse=True)
    pairs, counts = np.unique(region * max(1, labels.size) + label, return_counts=True)
    region, label = np.divmod(pairs, max(1, labels.size))
    return _Overlap(ids[region], labels[label], counts)
