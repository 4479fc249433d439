"""How much images are varied for training: ranges, and presets of them for kinds of images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.training.learning import LearningConfig

Config = TypeVar("Config", bound="LearningConfig")


class Augmentation(BaseModel):
    """Ranges that random variants of an image are drawn from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: bool = False
    """Whether images are also seen upside down."""
    turns: bool = False
    """Whether they are turned by quarters."""
    shift: int = Field(default=0, ge=0, le=1000)
    """Most pixels that they are moved, up or down and to either side."""
    angle: float = Field(default=0.0, ge=0, le=180)
    """Most degrees that they are turned, to either side."""
    scale: float = Field(default=1.25, ge=1, le=4)
    """Largest change in size; the smallest is one over it."""
    crop: float = Field(default=1.0, ge=0.1, le=1)
    """Smallest share of each side that a crop keeps."""
    brightness: float = Field(default=0.15, ge=0, le=1)
    """Standard deviation of the logarithm of the gain of all channels."""
    colour: float = Field(default=0.05, ge=0, le=1)
    """That of the gain of each channel."""
    gamma: float = Field(default=0.2, ge=0, le=1)
    """That of the gamma."""
    stain: float = Field(default=0.0, ge=0, lt=1)
    """Largest change of haematoxylin, eosin and DAB: as a share, and as optical density."""


PRESETS = {
    "basic": Augmentation(),
    "street": Augmentation(shift=10, angle=5, crop=0.8),
    "microscopy": Augmentation(flip=True, turns=True, shift=10, angle=15, crop=0.8, stain=0.05),
}


def choose_augmentation(
    config: Config,
    images: Iterable[ImageSource],
    pixel_size: tuple[float, float] | None = None,
) -> Config:
    """A configuration without `auto`.

    Images of a known pixel size, and images without colours, are taken for microscopy; others may
    have an up and a down. `pixel_size` is that of all images, if it is known.
    """
    if config.augment != "auto":
        return config
    about = [(image.pixel_size, image.is_rgb) for image in images]
    measured = pixel_size is not None or all(size is not None for size, _ in about)
    coloured = any(is_rgb for _, is_rgb in about)
    name = "microscopy" if measured or not coloured else "street"
    return config.model_copy(update={"augment": name})


def augmentation_of(config: LearningConfig) -> Augmentation:
    """The preset, with the ranges that the configuration sets itself.

    >>> from gnnseg.training import make_config
    >>> chosen = augmentation_of(make_config(augment="street", augmentation={"angle": 2}))
    >>> chosen.angle, chosen.shift
    (2.0, 10)
    """
    own = config.augmentation
    changes = {name: getattr(own, name) for name in own.model_fields_set}
    return PRESETS[config.augment].model_copy(update=changes)
