"""Variants of a labelled image: mirrored, scaled, brighter or darker; drawn by seed and name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnseg.datasets.clicks import Click
    from gnnseg.datasets.item import Item
    from gnnseg.io import ImageSource
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

SCALES = (0.8, 1.25)
"""Range of the change in size."""
BRIGHTNESS, COLOUR, GAMMA = 0.15, 0.05, 0.2
"""Standard deviations of the logarithms of gain, gain by channel, and gamma."""


@dataclass(frozen=True)
class Variant:
    """What is done to an image; by default nothing."""

    mirror: bool = False
    scale: float = 1.0
    gains: tuple[float, ...] = ()
    gamma: float = 1.0


def draw_variants(stem: str, num_channels: int, config: TrainConfig) -> list[Variant]:
    """The variants of one image: itself, its mirror image if wanted, then random ones."""
    fixed = [Variant(), Variant(mirror=True)] if config.mirror else [Variant()]
    rng = np.random.default_rng([config.seed, zlib.crc32(stem.encode())])
    extra = [_draw(rng, num_channels, mirror=config.mirror) for _ in range(config.variants)]
    return fixed + extra


def _draw(rng: np.random.Generator, num_channels: int, *, mirror: bool) -> Variant:
    low, high = np.log(SCALES)
    gain = rng.normal(0, BRIGHTNESS) + rng.normal(0, COLOUR, num_channels)
    return Variant(
        mirror=mirror and bool(rng.integers(2)),
        scale=float(np.exp(rng.uniform(low, high))),
        gains=tuple(np.exp(gain).tolist()),
        gamma=float(np.exp(rng.normal(0, GAMMA))),
    )


def load_variant(item: Item, variant: Variant, scaling: Scaling) -> tuple[ImageSource, np.ndarray]:
    """The image and the labels (H, W) of a variant."""
    from gnnseg.io import open_image

    image, labels = item.load()
    if variant == Variant():
        return image, labels
    pixels = image.read(image.bounds)
    if variant.gains:
        pixels = _light(pixels, variant, scaling)
    if variant.scale != 1:
        pixels, labels = _resize(pixels, variant.scale, 1), _resize(labels, variant.scale, 0)
    if variant.mirror:
        pixels, labels = pixels[..., ::-1], labels[:, ::-1]
    made = open_image(np.ascontiguousarray(pixels), axes="CYX", rgb=image.is_rgb)
    return made, np.ascontiguousarray(labels)


def place_clicks(item: Item, variant: Variant, shape: tuple[int, ...]) -> list[Click]:
    """Where the clicks of an image lie in a variant of that shape."""
    height, width = shape
    placed = []
    for y, x, label in item.clicks:
        there = min(int((y + 0.5) * variant.scale), height - 1)
        across = min(int((x + 0.5) * variant.scale), width - 1)
        placed.append((there, width - 1 - across if variant.mirror else across, label))
    return placed


def _light(pixels: np.ndarray, variant: Variant, scaling: Scaling) -> np.ndarray:
    """Change gain and gamma on the scale of the model; the type stays."""
    low = np.array(scaling.low[: len(pixels)], np.float32)[:, None, None]
    high = np.array(scaling.high[: len(pixels)], np.float32)[:, None, None]
    gains = np.array(variant.gains[: len(pixels)], np.float32)[:, None, None]
    share = np.clip((pixels - low) / np.maximum(high - low, 1e-6), 0, 1)
    lit = low + np.clip(share**variant.gamma * gains, 0, 1) * (high - low)
    if pixels.dtype.kind in "ui":
        lit = np.rint(lit)
    return lit.astype(pixels.dtype)


def _resize(array: np.ndarray, scale: float, order: int) -> np.ndarray:
    """Linear (`order` 1) or nearest (0) resampling of the last two axes."""
    from scipy.ndimage import zoom

    if array.ndim == 2:
        return zoom(array, scale, order=order, mode="nearest", grid_mode=True)
    return np.stack([_resize(channel, scale, order) for channel in array])
