"""What trainings on parts of a stack have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gnnseg.training.loop import Loop

CPU = torch.device("cpu")


class PartLoop(Loop):
    """Trains a network on one part of a stack after another, with a loss that knows its mass."""

    loss: Any

    def _learn(self, logits: Callable[[], torch.Tensor], targets: torch.Tensor) -> None:
        """One update, for what the network gives for a part."""
        place = self.state.place
        mass = float(self.loss.mass(targets))
        self.state.network.zero_grad()
        loss = self.loss.total(logits(), targets)
        (loss / mass).backward()
        self._update()
        place.loss, place.mass = place.loss + float(loss.detach()), place.mass + mass

    def _finish(self) -> None:
        """Nothing is left to decide."""
