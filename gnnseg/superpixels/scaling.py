"""From pixels of any type to working channels: small integers on one fixed scale.

The constants belong to the model (or to one image, from a sample taken by coordinates), never to a
block, so every tiling sees the same working channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import InputError
from gnnseg.kernels.colour import (
    LAB_OFFSET,
    LAB_UNIT,
    LEVELS,
    LINEAR,
    rgb_to_lab,
    scale_by_table,
    scale_linear,
)

if TYPE_CHECKING:
    from gnnseg.io import ImageSource

_SAMPLE_SIDE = 256
_SAMPLES_PER_AXIS = 4
_EXACT_CHANNELS = 13
RGB = 3


@dataclass(frozen=True)
class Scaling:
    """Constants that map native pixels to working channels.

    `low` and `high` are, per channel, the native values at both ends of the scale. With `lab`,
    three channels are taken for sRGB and converted to CIE Lab.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    lab: bool

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise InputError(f"scaling needs as many lows as highs, got {self.low}, {self.high}")
        if self.lab and len(self.low) != RGB:
            raise InputError(f"Lab needs 3 channels, got {len(self.low)}")
        if self.space_ceiling < 1:
            raise InputError(
                f"{len(self.low)} channels are too many for exact distances: use at most 1600"
            )

    @property
    def num_channels(self) -> int:
        return len(self.low)

    @property
    def unit(self) -> int:
        """Working units to a hundredth of the scale (to one unit of L in Lab)."""
        if self.lab or self.num_channels <= _EXACT_CHANNELS:
            return LAB_UNIT
        return max(1, int(LAB_UNIT * (_EXACT_CHANNELS / self.num_channels) ** 0.5))

    @property
    def top(self) -> int:
        """Largest grey value."""
        return 100 * self.unit

    @property
    def space_ceiling(self) -> int:
        """Largest spatial cost on an axis that keeps every distance exact in float32."""
        span = 2 * LAB_OFFSET * LAB_UNIT
        colour = self.top**2 + 2 * span**2 if self.lab else self.num_channels * self.top**2
        return ((1 << 24) - 1 - colour) // 2

    def apply(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Working channels (C, H, W) int16, and the finite pixels (H, W) bool; None: all."""
        if pixels.shape[0] == 1 and self.num_channels == RGB and self.lab:
            pixels = np.repeat(pixels, RGB, axis=0)
        if pixels.dtype == np.float16:  # unknown to the kernels
            pixels = pixels.astype(np.float32)
        work = np.empty(pixels.shape, np.int16)
        if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
            table = _table(self, pixels.dtype)
            (rgb_to_lab if self.lab else scale_by_table)(pixels, table, work)
            return work, None
        valid = np.ones(pixels.shape[1:], np.bool_)
        low = np.array(self.low, np.float64)
        scale_linear(pixels, low, self.gain, self.last_level, valid, work)
        if self.lab:
            rgb_to_lab(work, np.stack([LINEAR] * RGB), work)
        return work, valid

    @property
    def last_level(self) -> int:
        """Where the scale ends: in levels of RGB with `lab`, else in working units."""
        return LEVELS - 1 if self.lab else self.top

    @property
    def gain(self) -> np.ndarray:
        """Levels to one native unit, per channel: (C,) float64."""
        span = np.array(self.high, np.float64) - np.array(self.low, np.float64)
        return self.last_level / np.where(span > 0, span, 1.0)

    def check(self, image: ImageSource) -> None:
        """Raise if an image cannot be brought to these channels."""
        if image.num_channels == self.num_channels:
            return
        if self.lab and image.num_channels == 1:
            return
        raise InputError(
            f"{image.name} has {image.num_channels} channel(s) and the model was made for "
            f"{self.num_channels}: convert the image, or train on images like it"
        )


@lru_cache(maxsize=8)
def _table(scaling: Scaling, dtype: np.dtype) -> np.ndarray:
    """Levels (linear light, with `lab`) of all values of an unsigned type: (C, range)."""
    values = np.arange(np.iinfo(dtype).max + 1)[None, :]
    scaled = (values - np.array(scaling.low)[:, None]) * scaling.gain[:, None]
    levels = (np.clip(scaled, 0, scaling.last_level) + 0.5).astype(np.int16)
    return LINEAR[levels] if scaling.lab else levels


def fit_scaling(images: Iterable[ImageSource]) -> Scaling:
    """Constants for a set of images: the whole range of uint8, robust extremes of other types.

    Any image with three colour channels makes it Lab; grey ones are then repeated.
    """
    sources = list(images)
    if not sources:
        raise InputError("scaling needs at least one image, got none")
    lab = any(image.is_rgb for image in sources)
    counts = {image.num_channels for image in sources} - ({1} if lab else set())
    if len(counts) > 1:
        raise InputError(f"the images have different numbers of channels: {sorted(counts)}")
    num_channels = RGB if lab else counts.pop()
    if all(image.dtype == np.uint8 for image in sources):
        return Scaling((0.0,) * num_channels, (255.0,) * num_channels, lab)
    sample = np.concatenate([_sample(image, num_channels) for image in sources], axis=1)
    sample[np.isnan(sample).all(axis=1)] = 0
    low, high = np.nanpercentile(sample, [0.1, 99.9], axis=1)
    if lab:
        low, high = np.full(RGB, low.min()), np.full(RGB, high.max())
    return Scaling(tuple(low.tolist()), tuple(high.tolist()), lab)


def _sample(image: ImageSource, num_channels: int) -> np.ndarray:
    """(C, n) float64 pixels from windows spread evenly over the image; NaN where not finite."""
    parts = []
    for plane in sorted({0, image.num_planes // 2}):
        for window in _sample_windows(image.height, image.width):
            pixels = image.read(window, plane).astype(np.float64).reshape(image.num_channels, -1)
            parts.append(np.broadcast_to(pixels, (num_channels, pixels.shape[1])))
    sample = np.concatenate(parts, axis=1)
    sample = np.where(np.isfinite(sample), sample, np.nan)
    if np.isnan(sample).all():
        raise InputError(f"{image.name} has no finite pixel in the sample")
    return sample


def _sample_windows(height: int, width: int) -> list[Window]:
    starts = [
        sorted({k * max(0, size - _SAMPLE_SIDE) // (_SAMPLES_PER_AXIS - 1) for k in range(4)})
        for size in (height, width)
    ]
    bounds = Window(0, height, 0, width)
    return [
        Window(y, y + _SAMPLE_SIDE, x, x + _SAMPLE_SIDE).clip(bounds)
        for y in starts[0]
        for x in starts[1]
    ]
