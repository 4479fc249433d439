"""Variants of a labelled image: moved, brighter, or stained otherwise; drawn by seed and name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.training.augmentation import Augmentation, augmentation_of
from gnnseg.training.geometry import Pose, Scene, move
from gnnseg.training.light import Light, relight

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item
    from gnnseg.io import ImageSource
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig


@dataclass(frozen=True)
class Variant:
    """What is done to an image; by default nothing."""

    pose: Pose = field(default_factory=Pose)
    light: Light = field(default_factory=Light)


@dataclass(frozen=True)
class Labelled:
    """An image, its labels (H, W), and a mask that is 0 outside the picture; None: nowhere."""

    image: ImageSource
    labels: np.ndarray
    mask: ImageSource | None = None


MIRRORED = Variant(Pose(mirror=True))


def draw_variants(stem: str, num_channels: int, config: TrainConfig) -> list[Variant]:
    """The variants of one image: itself, its mirror image if wanted, then random ones."""
    fixed = [Variant(), MIRRORED] if config.mirror else [Variant()]
    rng = np.random.default_rng([config.seed, zlib.crc32(stem.encode())])
    ranges = augmentation_of(config)
    extra = [draw_variant(rng, num_channels, ranges, config.mirror) for _ in range(config.variants)]
    return fixed + extra


def draw_variant(
    rng: np.random.Generator, num_channels: int, ranges: Augmentation, mirror: bool
) -> Variant:
    """A variant of an image, drawn from ranges; with `mirror` it may be seen from behind."""
    low, high = np.log((1 / ranges.scale, ranges.scale))
    gain = rng.normal(0, ranges.brightness) + rng.normal(0, ranges.colour, num_channels)
    mirror = mirror and bool(rng.integers(2))
    scale = float(np.exp(rng.uniform(low, high)))
    gamma = float(np.exp(rng.normal(0, ranges.gamma)))
    down, right = rng.integers(-ranges.shift, ranges.shift + 1, 2) if ranges.shift else (0, 0)
    pose = Pose(
        mirror=mirror,
        flip=ranges.flip and bool(rng.integers(2)),
        turns=int(rng.integers(4)) if ranges.turns else 0,
        angle=float(rng.uniform(-ranges.angle, ranges.angle)) if ranges.angle else 0.0,
        scale=scale,
        shift=(int(down), int(right)),
        crop=float(rng.uniform(ranges.crop, 1)) if ranges.crop < 1 else 1.0,
        corner=(float(rng.random()), float(rng.random())) if ranges.crop < 1 else (0.0, 0.0),
    )
    stains = rng.uniform(-ranges.stain, ranges.stain, (2, 3)).tolist() if ranges.stain else ()
    light = Light(tuple(np.exp(gain).tolist()), gamma, tuple(map(tuple, stains)))
    return Variant(pose, light)


def load_variant(item: Item, variant: Variant, scaling: Scaling) -> Labelled:
    """A variant of an image; labels outside the picture are `ignore_index`."""
    from gnnseg.io import open_image

    image, labels = item.load()
    if variant == Variant():
        return Labelled(image, labels)
    pixels = relight(image.read(image.bounds), variant.light, scaling)
    scene = move(Scene(pixels, labels), variant.pose, item.classes.ignore_index)
    made = open_image(np.ascontiguousarray(scene.pixels), axes="CYX", rgb=image.is_rgb)
    mask = None
    if scene.inside is not None:
        mask = open_image(np.ascontiguousarray(scene.inside), axes="YX")
    return Labelled(made, np.ascontiguousarray(scene.labels), mask)
