"""The two kinds of models that are compared: their settings, their training and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.errors import UsageError

if TYPE_CHECKING:
    from gnnseg.datasets.base import Dataset


def settings_of(configuration: dict[str, Any]) -> Any:
    """The settings of a cell's training; raises `UsageError` where one is wrong."""
    from gnnseg.training import make_config

    model = configuration["model"]
    given = {"seed": configuration["seed"], "options": model["options"], **model["training"]}
    if "preset" in model["training"]:
        raise UsageError("the preset stands beside the settings of the training, not among them")
    if model["preset"] is None:
        raise UsageError(f"there is no model {model['model']!r}")
    return make_config(preset=model["preset"], **given)


def train_model(dataset: Dataset, settings: Any, *, checkpoint: Path, out: Path) -> Any:
    """Train a model with what `settings_of` gave, going on from its checkpoint, and write it."""
    from gnnseg.models import save_model
    from gnnseg.training import train

    model = train(dataset, config=settings, checkpoint=checkpoint)
    save_model(model, out)
    return model
