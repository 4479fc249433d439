"""How a network on pixels is trained: defaults, a TOML file, and arguments, in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from gnnseg.baselines.networks import VGG16, check_name, network_title
from gnnseg.baselines.tiles import check_tiles
from gnnseg.errors import UsageError
from gnnseg.training.learning import LearningConfig, check_settings, gather_settings


class CnnConfig(LearningConfig):
    """Settings of a training on pixels; an unknown key is an error."""

    model: str = "unet"
    vgg16: Path | None = None
    """File of VGG-16 weights that the encoder of `segnet` starts from, *.safetensors."""
    batch: int = Field(8, ge=1)
    """Crops in a batch, on each device."""
    crop: int = Field(256, ge=32, le=4096)
    """Pixels on a side of a crop; an epoch has as many as cover the images once."""
    tile: int = 512
    """Pixels on a side of the tiles that images are segmented in."""
    overlap: int = Field(96, ge=0)
    """Pixels that neighbouring tiles share, at most half a tile."""

    @model_validator(mode="after")
    def _fits(self) -> CnnConfig:
        """Whether tiles can overlap so, and nothing is asked for that this network has not."""
        try:
            check_tiles(self.tile, self.overlap)
        except UsageError as error:
            raise ValueError(str(error)) from error
        if self.vgg16 is not None and self.model != VGG16:
            raise ValueError(f"vgg16: {self.model} has no encoder of VGG-16; {VGG16} does")
        if idle := {"shift", "crop"} & self.augmentation.model_fields_set:
            raise ValueError(
                f"the augmentation {min(idle)!r} is of regions: crops lie anywhere as it is"
            )
        return self

    @property
    def title(self) -> str:
        return network_title(self.model, self.options)


def make_cnn_config(file: str | Path | None = None, **given: Any) -> CnnConfig:
    """A configuration; arguments that are None are not given.

    >>> make_cnn_config(crop=128).crop
    128
    """
    values = gather_settings(file, given)
    check_name(values.get("model", "unet"))
    return check_settings(CnnConfig, values)
