"""What every training can be told, whatever the network; from a TOML file and arguments."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    model_serializer,
)

from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.training.augmentation import Augmentation

_LATER = {"gradient_norm": 1.0, "warm_up": 0.03}
"""Defaults of settings that earlier trainings did not name: what has them is still the same."""


class LearningConfig(BaseModel):
    """Settings that networks on regions and on pixels share; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network, over its own defaults."""
    epochs: int = Field(60, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of `sgd`."""
    gradient_norm: float = Field(_LATER["gradient_norm"], ge=0)
    """Bound of the norm of all gradients together; 0: none."""
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    """How the learning rate falls after its rise."""
    warm_up: float = Field(_LATER["warm_up"], ge=0, lt=1)
    """Share of the training over which the learning rate rises."""
    power: float = Field(0.9, gt=0, le=10)
    """Of the polynomial schedule."""
    average: float = Field(0.998, ge=0, lt=1)
    """How much of the averaged weights stays in each step; these are validated and kept."""
    class_weights: Literal["none", "enet", "median", "effective"] = "enet"
    effective_beta: float = Field(0.9999, ge=0, lt=1)
    """Of the class weights `effective`; samples are counted in cells."""
    focal_gamma: float = Field(0.0, ge=0, le=10)
    """Exponent of the focal loss; 0 is the cross entropy."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    contrast: Literal["fixed", "image"] = "fixed"
    """Whether all images have one scale of brightness, or each its own (by its 2nd and 98th
    percentile), for images that were not exposed alike."""
    mirror: bool = True
    """Whether each image is also seen from behind."""
    augment: Literal["auto", "basic", "street", "microscopy"] = "basic"
    """How further variants are drawn; `auto` chooses by the images."""
    augmentation: Augmentation = Augmentation()
    """Single ranges, over those of `augment`."""
    patience: int = Field(20, ge=1)
    """Epochs without a better val mIoU before training stops."""
    seed: int = Field(0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1, le=64)
    """Processes that share the work, on a GPU each or all on the CPU; each takes a batch."""
    tensorboard: Path | None = Field(None, exclude=True)
    """Folder that events for TensorBoard are written to."""

    @field_serializer("augmentation")
    def _only_what_is_set(self, given: Augmentation) -> dict[str, Any]:
        return given.model_dump(exclude_unset=True)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        later = _LATER.items()
        return {name: found[name] for name in found if (name, found[name]) not in later}

    def identity(self) -> dict[str, Any]:
        """Whatever in these settings decides how a training goes, ready for JSON."""
        return self.model_dump(mode="json")

    @property
    def title(self) -> str:
        """What is trained, in a few words."""
        raise NotImplementedError


Config = TypeVar("Config", bound=LearningConfig)


def gather_settings(file: str | Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """What a TOML file says, and over it the arguments that are not None."""
    values = read_toml(Path(file)) if file is not None else {}
    return values | {name: value for name, value in given.items() if value is not None}


def check_settings(kind: type[Config], values: dict[str, Any]) -> Config:
    """A configuration, or a `UsageError` that names the setting that is wrong."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if not where:  # several settings that do not fit each other
            raise UsageError(first["msg"].removeprefix("Value error, ")) from error
        raise UsageError(
            f"training setting {where!r}: {first['msg']}, got {first['input']!r}; "
            f"the settings are {', '.join(kind.model_fields)}"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; raises `InputError` where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such configuration file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable TOML file: {error}") from error
