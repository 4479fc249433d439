"""How a network on pixels is trained: defaults, a TOML file, and arguments, in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from gnnseg.baselines.networks import REACH, VGG16, check_name, network_title
from gnnseg.baselines.tiles import check_tiles
from gnnseg.errors import UsageError
from gnnseg.training.identity import file_identity
from gnnseg.training.learning import LearningConfig, check_settings, gather_settings

FAR_CROP = 512
"""Pixels on a side of the crops of networks of a far reach: as tiles have by default."""


class CnnConfig(LearningConfig):
    """Settings of a training on pixels; an unknown key is an error."""

    model: str = "unet"
    vgg16: Path | None = None
    """File of VGG-16 weights that the encoder of `segnet` starts from, *.safetensors."""
    batch: int = Field(8, ge=1)
    """Crops in a batch, on each device."""
    crop: int = Field(256, ge=32, le=4096)
    """Pixels on a side of a crop; an epoch has as many as cover the images once. Networks of a far
    reach have `FAR_CROP` by default."""
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

    def check_reach(self) -> None:
        """Raise `UsageError` where taps meet pixels in tiles and none in training."""
        reach = REACH.get(self.model, 0)
        if self.crop <= reach < self.tile:
            raise UsageError(
                f"{self.model} reaches {reach} pixels: with a crop of {self.crop} its outer taps "
                f"learn nothing, and tiles of {self.tile} use them; choose a crop above {reach}"
            )

    def identity(self) -> dict[str, Any]:
        """As that of any training, with what the file of weights holds."""
        found = super().identity()
        if self.vgg16 is not None:
            found["vgg16_sha256"] = file_identity(self.vgg16)
        return found

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
    far = {"crop": FAR_CROP} if values.get("model") in REACH else {}
    return check_settings(CnnConfig, {**far, **values})
