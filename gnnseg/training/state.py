"""Everything that changes while a network is trained, to be kept and taken up again."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from gnnseg.errors import StateError
from gnnseg.io.guard import reason
from gnnseg.training.history import History
from gnnseg.training.learning import LearningConfig

AVERAGE_START = 9, 10
"""After n updates the average moves by at least 9 / (10 + n): at the start it follows quickly."""


@dataclass
class Place:
    """How far a training is: the epoch, and the updates done in it with their loss and mass.

    `validation` are the seconds of the last one.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    mass: float = 0.0
    updates: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    validation: float | None = None

    def begin_epoch(self) -> None:
        """Go on to the next epoch."""
        self.epoch += 1
        self.step, self.loss, self.mass, self.epoch_seconds = 0, 0.0, 0.0, 0.0


class State:
    """Weights, their running average, the best of it; the optimiser; generators; the place.

    `order` is the state that the generator `shuffle` had when the epoch began, from which its
    batches follow. `shards` are the numbers of the parts of a batch that are computed here; each
    has a generator of its own.
    """

    def __init__(self, network: nn.Module, config: LearningConfig, shards: range) -> None:
        device = next(network.parameters()).device
        self.network: Any = network
        self.average: Any = copy.deepcopy(network)
        self.best = copy.deepcopy(self.average.state_dict())
        self.decay = config.average
        self.optimiser = _make_optimiser(network, config)
        self.shuffle = torch.Generator().manual_seed(config.seed)
        self.order = self.shuffle.get_state()
        self.shards = shards
        self.random = [torch.Generator(device).manual_seed(config.seed + 1 + n) for n in shards]
        self.place = Place()
        self.history = History()

    def update(self) -> None:
        """One step of the optimiser, which the average follows."""
        self.optimiser.step()
        self.place.updates += 1
        first, after = AVERAGE_START
        weight = max(1 - self.decay, first / (after + self.place.updates))
        with torch.no_grad():
            for mean, own in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, weight)
            # Statistics of batch norm belong to the weights; counters and constants are copied.
            for mean, own in zip(self.average.buffers(), self.network.buffers(), strict=True):
                mean.lerp_(own, weight) if mean.is_floating_point() else mean.copy_(own)

    def end_epoch(self, miou: float, shift: float) -> None:
        """Note an epoch, and keep the average if it is the best so far."""
        place, rate = self.place, self.optimiser.param_groups[0]["lr"]
        loss = place.loss / max(place.mass, 1)
        if self.history.add(loss, miou, shift, rate, place.epoch_seconds):
            self.best = copy.deepcopy(self.average.state_dict())
        place.begin_epoch()
        self.order = self.shuffle.get_state()

    def tensors(self, random: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """All tensors by name, on the CPU, with the states of the generators of all shards."""
        kept = {"order": self.order, **{f"random.{n}": state for n, state in enumerate(random)}}
        weights = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
        }
        weights |= {
            f"optimiser.{n}": parts for n, parts in self.optimiser.state_dict()["state"].items()
        }
        for part, state in weights.items():
            kept |= {f"{part}.{name}": tensor for name, tensor in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}

    def about(self) -> dict[str, Any]:
        """The rest, for JSON."""
        return {"place": asdict(self.place), "history": asdict(self.history)}

    def restore(self, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
        """Take up what `tensors` and `about` gave; raises `StateError` if it does not fit."""
        try:
            self._restore(tensors)
            self.place, self.history = Place(**about["place"]), History(**about["history"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise StateError(f"is of another network ({reason(error)})") from error

    def _restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.network.load_state_dict(_part(tensors, "network"))
        self.best = _part(tensors, "best")
        self.average.load_state_dict(self.best)  # to see that it fits
        self.average.load_state_dict(_part(tensors, "average"))
        groups = self.optimiser.state_dict()["param_groups"]
        known = {name.split(".")[1] for name in tensors if name.startswith("optimiser.")}
        numbers = [n for n in groups[0]["params"] if str(n) in known]
        state = {n: _part(tensors, f"optimiser.{n}") for n in numbers}
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.order = tensors["order"]
        self.shuffle.set_state(self.order)
        for n, random in zip(self.shards, self.random, strict=True):
            random.set_state(tensors[f"random.{n}"])


def _make_optimiser(network: nn.Module, config: LearningConfig) -> torch.optim.Optimizer:
    parameters, rate, decay = network.parameters(), config.learning_rate, config.weight_decay
    if config.optimiser == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
