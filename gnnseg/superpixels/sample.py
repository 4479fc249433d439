"""Pixels of images at places fixed by coordinates, and percentiles of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

_SIDE = 256
_PER_AXIS = 4
_LOWEST, _BINS = -(2**15), 2**15 + 2**16
"""The integers of at most 16 bits, with and without a sign."""
MOST_FLOATS = 2**24
"""Pixels of all images together whose percentiles are taken where they cannot be counted."""


def sample_pixels(image: ImageSource, num_channels: int) -> np.ndarray:
    """(C, n) pixels, as they are stored, from windows spread evenly over the image."""
    sample = np.concatenate(
        [
            image.read(window, plane).reshape(image.num_channels, -1)
            for plane in _planes(image)
            for window in _windows(image)
        ],
        axis=1,
    )
    return np.broadcast_to(sample, (num_channels, sample.shape[1]))


def sample_size(image: ImageSource) -> int:
    """How many pixels `sample_pixels` gives."""
    return len(_planes(image)) * sum(window.size for window in _windows(image))


def percentiles(
    sample: np.ndarray, shares: tuple[float, float], otherwise: np.ndarray
) -> np.ndarray:
    """(C, 2) float64 of the finite pixels of each channel; `otherwise` (C,) where there are none.

    A channel after the other: together they would take eight bytes a value, and copies.
    """
    found = np.stack([otherwise, otherwise], axis=1)
    for channel, values in enumerate(sample):
        finite = values[np.isfinite(values)].astype(np.float64)
        if finite.size:
            found[channel] = np.percentile(finite, shares, overwrite_input=True)
    return found


def is_countable(dtype: np.dtype[Any]) -> bool:
    """Whether values are few enough to be counted one by one: integers of at most 16 bits."""
    return dtype.kind in "iu" and dtype.itemsize <= 2


def counted_percentiles(
    samples: Iterable[np.ndarray], num_channels: int, shares: tuple[float, float]
) -> np.ndarray:
    """What `percentiles` gives of all samples together, of countable values; none is held."""
    counts = np.zeros((num_channels, _BINS), np.int64)
    for sample in samples:
        for channel, values in enumerate(sample):
            bins = values.astype(np.int64)
            bins -= _LOWEST
            counts[channel] += np.bincount(bins, minlength=_BINS)
    return np.array([[_percentile(channel, share) for share in shares] for channel in counts])


def thinned(
    samples: Iterable[np.ndarray], sizes: Sequence[int], num_channels: int, dtype: np.dtype[Any]
) -> np.ndarray:
    """Samples of these sizes side by side; of more than `MOST_FLOATS` pixels every n-th.

    An odd n, since windows have an even width: no column of theirs is always passed over.
    """
    every = -(-sum(sizes) // MOST_FLOATS)
    every += 1 - every % 2
    ends = np.cumsum([-(-size // every) for size in sizes])
    found = np.empty((num_channels, ends[-1]), dtype)
    for sample, end in zip(samples, ends, strict=True):
        part = sample[:, ::every]
        found[:, end - part.shape[1] : end] = part
    return found


def _percentile(counts: np.ndarray, share: float) -> float:
    """As NumPy interpolates it, of values that occur so often, from `_LOWEST` on."""
    ends = counts.cumsum()
    place = (int(ends[-1]) - 1) * (share / 100)
    before = int(place)
    low, high = (np.searchsorted(ends, [before, before + 1], side="right") + _LOWEST).tolist()
    along = place - before
    if along < 0.5:
        return low + (high - low) * along
    return high - (high - low) * (1 - along)


def _planes(image: ImageSource) -> list[int]:
    return sorted({0, image.num_planes // 2})


def _windows(image: ImageSource) -> list[Window]:
    starts = [
        sorted({k * max(0, size - _SIDE) // (_PER_AXIS - 1) for k in range(_PER_AXIS)})
        for size in (image.height, image.width)
    ]
    return [
        Window(y, y + _SIDE, x, x + _SIDE).clip(image.bounds) for y in starts[0] for x in starts[1]
    ]
