"""What every training begins and ends with, whatever the network."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gnnseg.training.checkpoint import Checkpoint, Clock, Earlier
from gnnseg.training.identity import dataset_identity
from gnnseg.training.record import training_record

if TYPE_CHECKING:
    from gnnseg.datasets.base import Dataset
    from gnnseg.training.history import History
    from gnnseg.training.learning import LearningConfig


class Session:
    """The time of a training and its checkpoint, if there is one, with its earlier parts.

    `val` is the share of the images that validates where the dataset does not say. Raises
    `StateError` where the checkpoint is of other settings or of other images.
    """

    def __init__(
        self, dataset: Dataset, config: LearningConfig, val: float, checkpoint: str | Path | None
    ) -> None:
        self._dataset, self._limit = dataset, config.max_minutes
        self._clock = Clock()
        self.checkpoint: Checkpoint | None = None
        self.earlier: Earlier | None = None
        if checkpoint is not None:
            about = _settings(dataset, config, val)
            self.checkpoint = Checkpoint(Path(checkpoint), about, self._clock)
            self.earlier = self.checkpoint.read()
        torch.manual_seed(config.seed)

    @property
    def deadline(self) -> float | None:
        """When the minutes are over, by `time.time`; None where they have no bound."""
        if self._limit is None:
            return None
        return time.time() + 60 * self._limit - self._clock.seconds

    @property
    def first_epoch(self) -> int:
        """How many are over."""
        return self.earlier.epoch if self.earlier else 0

    def end(self, model: Any, config: LearningConfig, history: History) -> None:
        """Let a model tell of its training; in `config`, what was `auto` has been chosen."""
        object.__setattr__(model, "temperature", history.temperature)
        seconds = self._clock.seconds
        model.training.update(training_record(config, history, self._dataset.name, seconds))


def _settings(dataset: Dataset, config: LearningConfig, val: float) -> dict[str, Any]:
    """Whatever decides how a training goes."""
    about = {"gnnseg": version("gnnseg"), "data": dataset_identity(dataset), "val": val}
    return {**about, **config.identity()}
