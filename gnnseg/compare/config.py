"""What is compared: data sets, models, image sizes and seeds, from a TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gnnseg.errors import UsageError
from gnnseg.memory import parse_size
from gnnseg.training.learning import read_toml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$")]
"""Part of the names of files: letters, digits, dots, plus, hyphens and underscores."""


class _Strict(BaseModel):
    """An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Synthetic(_Strict):
    """Images of a generator in place of a data set: three splits, the last of other seeds."""

    images: int = Field(8, ge=2)
    """That train and validate; a quarter validates."""
    test: int = Field(2, ge=1)
    height: int = Field(192, ge=32)
    width: int = Field(256, ge=32)
    classes: int = Field(4, ge=2, le=254)


class DatasetConfig(_Strict):
    """A labelled set: a folder, a public set by its name, or synthetic images."""

    name: Name
    path: str | None = None
    """Folder; without one, `name` is that of a public set."""
    synthetic: Synthetic | None = None


class ModelConfig(_Strict):
    """A network on regions (`preset`) or on pixels (`model`), and how it is trained."""

    name: Name
    preset: str | None = None
    model: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Settings of the training, as in a file for `gnnseg train --config`."""
    training_on: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Others for single data sets, over `training`."""
    refine: bool | Literal["both"] = False
    """Whether pixels along borders are refined; `both` measures the same training either way."""
    borders: bool = False
    """Whether borders are learnt after the training, for `refine`, as `gnnseg borders` does it."""
    datasets: tuple[Name, ...] | None = None
    """Names of the data sets to train on; all of them without this."""

    @model_validator(mode="after")
    def _one_kind(self) -> ModelConfig:
        if (self.preset is None) == (self.model is None):
            raise ValueError("a model needs either a preset or the name of a model")
        if self.refine and self.model is not None:
            raise ValueError("refine is about regions, and a network on pixels has none")
        if self.borders and not self.refine:
            raise ValueError('borders that are learnt show with refine only: add refine = "both"')
        return self

    @property
    def shown_names(self) -> tuple[str, ...]:
        """What its results are told of."""
        return shown_names(self.name, self.refine)


class SegmentConfig(_Strict):
    """Large square images to segment, each within each memory."""

    sizes: tuple[Annotated[int, Field(ge=64)], ...] = ()
    """Pixels on a side."""
    memory: tuple[str, ...] = ("1GiB",)
    datasets: tuple[Name, ...] | None = None
    """Names of the data sets whose images are repeated; all of them without this."""

    @model_validator(mode="after")
    def _readable_sizes(self) -> SegmentConfig:
        for size in self.memory:
            parse_size(size)
        return self


class CompareConfig(_Strict):
    """A whole comparison: every model on every data set with every seed.

    >>> sets, models = [{"name": "camvid"}], [{"name": "ours", "preset": "default"}]
    >>> CompareConfig(datasets=sets, models=models).seeds
    (0,)
    """

    datasets: tuple[DatasetConfig, ...] = Field(min_length=1)
    models: tuple[ModelConfig, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    split: Literal["train", "val", "test"] = "test"
    """Of the images that models are measured on."""
    pictures: int = Field(3, ge=0, le=20)
    """How many of these the report shows."""
    workers: int | None = Field(None, ge=1)
    """Threads that evaluate and segment; one a processor without this."""
    segment: SegmentConfig = SegmentConfig()

    @model_validator(mode="after")
    def _known_names(self) -> CompareConfig:
        names = [dataset.name for dataset in self.datasets]
        _distinct(names, "data sets")
        _distinct([name for model in self.models for name in model.shown_names], "models")
        _distinct(self.seeds, "seeds")
        _distinct(self.segment.sizes, "sizes")
        _distinct(self.segment.memory, "memory")
        used = [
            (model.name, (*(model.datasets or ()), *model.training_on)) for model in self.models
        ]
        for where, given in (*used, ("segment", self.segment.datasets or ())):
            if unknown := [name for name in given if name not in names]:
                raise ValueError(f"{where} names the data set {unknown[0]!r}, which is not listed")
        return self


def shown_names(name: str, refine: object) -> tuple[str, ...]:
    """A model and, where it is measured either way, the same with refined borders.

    >>> shown_names("ours", "both")
    ('ours', 'ours-refined')
    """
    return (name, f"{name}-refined") if refine == "both" else (name,)


def make_config(source: str | Path | dict[str, Any]) -> CompareConfig:
    """The comparison that a TOML file, or a dictionary like it, describes.

    Raises
    ------
    UsageError
        A setting is wrong or unknown: the message tells its path.
    InputError
        The file cannot be read.
    """
    name, values = ("the comparison", source)
    if not isinstance(source, dict):
        name, values = str(source), read_toml(Path(source))
    try:
        return CompareConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = path_of(first["loc"])
        raise UsageError(f"{name}: {where}{first['msg']}{_given(first)}") from error


def path_of(parts: Sequence[str | int]) -> str:
    """The place of a setting, as a prefix.

    >>> path_of(("models", 1, "training"))
    "setting 'models[1].training': "
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return f"setting {text.lstrip('.')!r}: " if text else ""


def _given(error: Any) -> str:
    """What was given, where it is short."""
    text = repr(error["input"])
    return f", got {text}" if error["type"] != "missing" and len(text) < 80 else ""


def _distinct(values: Sequence[Any], what: str) -> None:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{what} must differ, but {twice[0]!r} is there twice")
