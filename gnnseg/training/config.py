"""How a model is trained: defaults, a preset's own, a TOML file, and the command line, in turn."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer

from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.models.presets import get_preset
from gnnseg.superpixels import SlicSettings
from gnnseg.superpixels.settings import MOST_COMPACT
from gnnseg.training.augmentation import Augmentation


class TrainConfig(BaseModel):
    """Settings of a training; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str = "default"
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network, over those of the preset."""
    step: int = Field(8, ge=2, le=256)
    compactness: Annotated[float, Field(ge=0, le=MOST_COMPACT)] | Literal["auto"] = (
        SlicSettings.compactness
    )
    """Weight of space against colour; `auto`: with the highest ceiling mIoU, before training."""
    n_iter: int = Field(SlicSettings.n_iter, ge=0, le=100)
    sigma: float = Field(0.0, ge=0, le=32)
    place: Literal["auto", "yes", "no"] = "auto"
    """Whether the position in the image is a feature; `auto`: for a fixed field of view."""
    epochs: int = Field(60, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    batch: int = Field(11_264, ge=1)
    """Regions in a batch, at least one piece of an image."""
    tile: int = Field(128, ge=32)
    """Cells on a side of the pieces that large images are trained in."""
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    """How the learning rate falls after its short rise."""
    power: float = Field(0.9, gt=0, le=10)
    """Of the polynomial schedule."""
    average: float = Field(0.998, ge=0, lt=1)
    """How much of the averaged weights stays in each step; these are validated and kept."""
    class_weights: Literal["none", "enet", "median", "effective"] = "enet"
    effective_beta: float = Field(0.9999, ge=0, lt=1)
    """Of the class weights `effective`; samples are counted in cells."""
    sampling: Literal["all", "balanced"] = "all"
    """Whether all regions of a batch count, or as many draws of each class."""
    focal_gamma: float = Field(0.0, ge=0, le=10)
    """Exponent of the focal loss; 0 is the cross entropy."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    area_power: float = Field(1.0, ge=0, le=1)
    """A region of n labelled pixels counts as n to this power: 1 by pixels, 0 all the same."""
    mirror: bool = True
    """Whether each image is also seen from behind."""
    variants: int = Field(2, ge=0)
    """Further variants of each image, drawn at random; an epoch sees one of all."""
    augment: Literal["auto", "basic", "street", "microscopy"] = "basic"
    """How further variants are drawn; `auto` chooses by the images."""
    augmentation: Augmentation = Augmentation()
    """Single ranges, over those of `augment`."""
    patience: int = Field(20, ge=1)
    """Epochs without a better val mIoU before training stops."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1, le=64)
    """Processes that share the work, on a GPU each or all on the CPU; each takes a batch."""
    cache: Path | None = Field(None, exclude=True)
    """Folder where region graphs are kept for other trainings; it changes no result."""
    tensorboard: Path | None = Field(None, exclude=True)
    """Folder that events for TensorBoard are written to."""

    @field_serializer("augmentation")
    def _only_what_is_set(self, given: Augmentation) -> dict[str, Any]:
        return given.model_dump(exclude_unset=True)

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
    values = read_toml(Path(file)) if file is not None else {}
    values |= {name: value for name, value in given.items() if value is not None}
    preset = get_preset(values.get("preset", "default"))
    try:
        return TrainConfig(**{**preset.training, **values})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(TrainConfig.model_fields)
        raise UsageError(
            f"training setting {where!r}: {first['msg']}, got {first['input']!r}; "
            f"the settings are {known}"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; raises InputError where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such configuration file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable TOML file: {error}") from error
