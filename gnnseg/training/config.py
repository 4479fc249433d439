"""How a region model is trained: defaults, a preset's own, a TOML file, and arguments, in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gnnseg.errors import UsageError
from gnnseg.memory import parse_size
from gnnseg.models.presets import get_preset
from gnnseg.superpixels import SlicSettings
from gnnseg.superpixels.settings import MOST_COMPACT
from gnnseg.training.learning import LearningConfig, check_settings, gather_settings


class TrainConfig(LearningConfig):
    """Settings of a training on region graphs; an unknown key is an error."""

    preset: str = "default"
    step: int = Field(8, ge=2, le=256)
    compactness: Annotated[float, Field(ge=0, le=MOST_COMPACT)] | Literal["auto"] = (
        SlicSettings.compactness
    )
    """Weight of space against colour; `auto`: with the highest ceiling mIoU, before training."""
    n_iter: int = Field(SlicSettings.n_iter, ge=0, le=100)
    sigma: float = Field(0.0, ge=0, le=32)
    place: Literal["auto", "yes", "no"] = "auto"
    """Whether the position in the image is a feature; `auto`: for a fixed field of view."""
    features: tuple[str, ...] = ()
    """Names of the features that are read, or patterns such as `mean_*`, whatever `place` says;
    none: the preset's."""
    batch: int = Field(11_264, ge=1)
    """Regions in a batch, at least one piece of an image, and at most a 32nd of an epoch."""
    tile: int = Field(64, ge=32)
    """Cells on a side of the pieces that large images are trained in: two fill a batch, since two
    threads share it."""
    sampling: Literal["all", "balanced"] = "all"
    """Whether all regions of a batch count, or as many draws of each class."""
    area_power: float = Field(1.0, ge=0, le=1)
    """A region of n labelled pixels counts as n to this power: 1 by pixels, 0 all the same."""
    variants: int = Field(2, ge=0)
    """Further variants of each image, drawn at random; an epoch sees one of all."""
    cache: Path | None = Field(None, exclude=True)
    """Folder where region graphs are kept for other trainings; it changes no result."""
    graph_memory: str | int | None = Field(None, exclude=True)
    """Most memory for region graphs, as `2GiB`; those beyond lie in a temporary file. Without it,
    half of what is available. It changes no result."""

    @field_validator("graph_memory")
    @classmethod
    def _readable_size(cls, size: str | int | None) -> str | int | None:
        if size is not None:
            parse_size(size)
        return size

    @property
    def title(self) -> str:
        return f"{self.preset}, step {self.step}"

    @property
    def slic(self) -> SlicSettings:
        """Settings of the superpixels; the compactness has been chosen before."""
        if self.compactness == "auto":
            raise UsageError("the compactness 'auto' is chosen by `train` from labelled images")
        return SlicSettings(
            step=self.step, compactness=self.compactness, n_iter=self.n_iter, sigma=self.sigma
        )


def make_config(file: str | Path | None = None, **given: Any) -> TrainConfig:
    """A configuration; arguments that are None are not given.

    >>> make_config(step=16).step
    16
    """
    values = gather_settings(file, given)
    preset = get_preset(values.get("preset", "default"))
    config = check_settings(TrainConfig, {**preset.training, **values})
    return config.model_copy(update={"options": {**preset.options, **config.options}})
