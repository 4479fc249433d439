"""A training that is ready to begin, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.training.loop import Loop

if TYPE_CHECKING:
    from gnnseg.training.checkpoint import Checkpoint
    from gnnseg.training.learning import LearningConfig


@dataclass(frozen=True)
class Work:
    """What is to be trained, on which data, until when at most, and where it is kept.

    Attributes
    ----------
    trainer : callable
        Makes the loop from model, train, val and config, with the keywords of `Loop`. Other
        processes import it by its name.
    model : dataclass
        With a `network`, which it makes itself from its other fields where there is none.
    train, val : list
        What the trainer takes: tensors and arrays in dataclasses, lists, tuples and dicts.
    config : LearningConfig
    deadline : float, optional
        When it should be over, by `time.time`: however long it takes to begin.
    checkpoint : Checkpoint, optional
        Where it exists, the training goes on from it.
    """

    trainer: Callable[..., Loop]
    model: Any
    train: list[Any]
    val: list[Any]
    config: LearningConfig
    deadline: float | None = None
    checkpoint: Checkpoint | None = None

    def loop(self, **shared: Any) -> Loop:
        """The loop, where the checkpoint left it; `shared` are its `ranks` and `asked`."""
        made = self.trainer(
            self.model, self.train, self.val, self.config, deadline=self.deadline, **shared
        )
        if self.checkpoint is not None:
            made.resume(self.checkpoint, self.checkpoint.read())
        return made
