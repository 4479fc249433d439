"""From pixels of any type to working channels: small integers on one fixed scale.

The constants belong to the model (or to one image, from a sample taken by coordinates), never to a
block, so every tiling sees the same working channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.errors import InputError
from gnnseg.kernels.arrays import all_set, empty, full, repeat_channel, repeat_edges
from gnnseg.kernels.colour import TOP, levels_of_bytes, scale_floats, scale_integers
from gnnseg.kernels.fill import fill_rings
from gnnseg.kernels.ruler import SPAN
from gnnseg.superpixels.sample import (
    counted_percentiles,
    is_countable,
    percentiles,
    sample_pixels,
    sample_size,
    thinned,
)

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

_LEAST_TOP = 10
RGB = 3
_PERCENTILES = 0.1, 99.9
"""Of all images together, but for those of 8 bits: the ends of the scale."""
_OWN_PERCENTILES = 2, 98
_OWN_ENDS = 0.08, 0.92
"""Where on the scale an image's own percentiles lie: what is brighter still has room."""
_LEAST_STRETCH = 0.1
"""Least share of the common range that an image's own may be: a blank image stays blank."""


@dataclass(frozen=True)
class Scaling:
    """Constants that map native pixels to working channels.

    `low` and `high` are, per channel, the native values at both ends of the scale. With `rgb`,
    three channels are taken for colours: lightness and two opponent colours are made of them. With
    `by_image`, these are the ends for all images together, and `of` finds those of one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    rgb: bool
    by_image: bool = False

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise InputError(f"scaling needs as many lows as highs, got {self.low}, {self.high}")
        if self.rgb and len(self.low) != RGB:
            raise InputError(f"colours need 3 channels, got {len(self.low)}")
        if self.top < _LEAST_TOP:
            raise InputError(
                f"{len(self.low)} channels are too many: use at most {SPAN // _LEAST_TOP}"
            )

    @property
    def num_channels(self) -> int:
        return len(self.low)

    @property
    def top(self) -> int:
        """Largest value of grey and of every channel that is no difference of colours."""
        return min(TOP, SPAN // self.num_channels)

    def of(self, image: ImageSource) -> Scaling:
        """The constants for one image: these, or its own where every image has some.

        Its 2nd and 98th percentiles, from a sample that depends on its size alone, lie at 8 and
        92 % of the scale; colours share theirs, so that hues stay. An image of whose sample nothing
        is finite has the common ones.
        """
        if not self.by_image:
            return self
        self.check(image)
        sample, common = sample_pixels(image, self.num_channels), np.array([self.low, self.high]).T
        if not np.isfinite(sample).any():
            return replace(self, by_image=False)
        found = percentiles(sample, _OWN_PERCENTILES, common.mean(axis=1))
        if self.rgb:
            found[:] = found[:, 0].min(), found[:, 1].max()
        first, last = _OWN_ENDS
        reach = np.maximum(
            np.ptp(found, axis=1), (last - first) * _LEAST_STRETCH * np.ptp(common, axis=1)
        )
        low = found.mean(axis=1) - reach * (0.5 + first / (last - first))
        high = found.mean(axis=1) + reach * (0.5 + (1 - last) / (last - first))
        return replace(self, low=tuple(low.tolist()), high=tuple(high.tolist()), by_image=False)

    def apply(
        self, pixels: Any, margins: tuple[int, int, int, int] = (0, 0, 0, 0), rings: int = 0
    ) -> tuple[Any, Any]:
        """Working channels (C, H, W) int16, and the finite pixels (H, W) bool; None: all.

        They lie where `pixels` (C, H, W) do: in memory, or on a GPU.

        `margins` (top, bottom, left, right) more pixels on each side repeat the channels' edges.
        Pixels that are not finite look like those around, as many `rings` of them deep.
        """
        if pixels.shape[0] == 1 and self.num_channels == RGB and self.rgb:
            pixels = repeat_channel(pixels, RGB)
        if pixels.dtype == np.float16:  # unknown to the kernels
            pixels = pixels.astype(np.float32)
        height, width = pixels.shape[1:]
        top, bottom, left, right = margins
        shape = pixels.shape[0], top + height + bottom, left + width + right
        work = empty(shape, np.int16, like=pixels)
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
            valid = None
            scale_integers(pixels, low, high, self.top, self.rgb, work, (top, left))
        else:
            valid = full((height, width), np.bool_, True, like=pixels)
            scale_floats(pixels, low, high, self.top, self.rgb, valid, work, (top, left))
            if all_set(valid):
                valid = None
            else:
                fill_rings(valid, rings, work, (top, left))
        repeat_edges(work, margins)
        return work, valid

    def levels_of_bytes(self) -> int:
        """How many levels each value of 8 bits counts, where these are whole, or 0."""
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        return levels_of_bytes(low, high, self.top)

    def check(self, image: ImageSource) -> None:
        """Raise if an image cannot be brought to these channels."""
        if image.num_channels == self.num_channels:
            return
        if self.rgb and image.num_channels == 1:
            return
        raise InputError(
            f"{image.name} has {image.num_channels} channel(s) and the model was made for "
            f"{self.num_channels}: convert the image, or train on images like it"
        )


def fit_scaling(images: Iterable[ImageSource], *, by_image: bool = False) -> Scaling:
    """Constants for a set of images: the whole range of uint8 and bool, robust extremes of others.

    Any image with three colour channels makes it one of colours; grey ones are then repeated. With
    `by_image`, each image is to have constants of its own. Images are gone through twice, and none
    is held: what opens them anew each time (`OpenedImages`) bounds the memory that they take.
    """
    if isinstance(images, Iterator):
        images = list(images)
    about = [
        (image.is_rgb, image.num_channels, image.dtype, image.is_boolean, sample_size(image))
        for image in images
    ]
    if not about:
        raise InputError("scaling needs at least one image, got none")
    coloured, channels, dtypes, booleans, sizes = zip(*about, strict=True)
    rgb = any(coloured)
    counts = set(channels) - ({1} if rgb else set())
    if len(counts) > 1:
        raise InputError(f"the images have different numbers of channels: {sorted(counts)}")
    num_channels = RGB if rgb else counts.pop()
    if all(dtype == np.uint8 for dtype in dtypes):
        top = 1.0 if all(booleans) else 255.0
        return Scaling((0.0,) * num_channels, (top,) * num_channels, rgb, by_image)
    samples = (_finite_sample(image, num_channels) for image in images)
    if all(map(is_countable, dtypes)):
        found = counted_percentiles(samples, num_channels, _PERCENTILES)
    else:
        sample = thinned(samples, sizes, num_channels, np.result_type(*dtypes))
        found = percentiles(sample, _PERCENTILES, np.zeros(num_channels))
    low, high = found.T
    if rgb:
        low, high = np.full(RGB, low.min()), np.full(RGB, high.max())
    return Scaling(tuple(low.tolist()), tuple(high.tolist()), rgb, by_image)


def _finite_sample(image: ImageSource, num_channels: int) -> np.ndarray:
    sample = sample_pixels(image, num_channels)
    if not np.isfinite(sample).any():
        raise InputError(f"{image.name} has no finite pixel in the sample")
    return sample
