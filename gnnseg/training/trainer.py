"""The training loop: soft labels, a schedule, and the weights of the best validation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnseg.counters import device_work
from gnnseg.execution import default_workers, one_torch_thread, run_tasks
from gnnseg.metrics import ConfusionMatrix, count_regions
from gnnseg.models.layers import random_from
from gnnseg.models.operations import UPDATE, counted_operations
from gnnseg.training.batches import (
    Batch,
    compute_logits,
    join,
    make_batch,
    shards,
    shuffled,
)
from gnnseg.training.history import History
from gnnseg.training.imbalance import regions_by_class
from gnnseg.training.loop import (
    SHIFTS,
    UPDATES,
    VALIDATION,
    Loop,
    pick_device,
)
from gnnseg.training.loss import Loss
from gnnseg.training.ranks import Alone, Ranks
from gnnseg.training.state import State
from gnnseg.training.temperature import MOST_SAMPLED, fit_temperature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from gnnseg.ledger import Ledger
    from gnnseg.models.model import Model
    from gnnseg.training.config import TrainConfig
    from gnnseg.training.shelf import Kept

SHARDS = 2
"""Parts of a batch, each on a thread of its own; fixed, so that the bits do not depend on the
machine."""
TRIED_EPOCHS = 16
"""How many are cut in batches to see how often balanced draws take each class."""


class Trainer(Loop):
    """Trains the network of a model on samples, which become tensors as they are needed."""

    config: TrainConfig

    def __init__(
        self,
        model: Model,
        train: Sequence[Sequence[Sequence[Kept]]],
        val: Sequence[Kept],
        config: TrainConfig,
        *,
        deadline: float | None = None,
        ranks: Ranks | None = None,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        ranks = ranks or Alone()
        rank, size = ranks.rank, ranks.size
        self.device = pick_device(config.device, rank, size)
        own = range(rank, SHARDS * size, size)
        state = State(model.network.to(self.device), config, own)
        super().__init__(state, config, deadline=deadline, ranks=ranks, asked=asked)
        self.replicas: list[Any] = [
            self.state.network,
            *(_replica(self.state.network) for _ in range(SHARDS - 1)),
        ]
        threads = max(1, default_workers() // size)
        self.workers = min(threads, SHARDS) if self.device.type == "cpu" else 1
        self.model, self.train_samples, self.val_samples = model, train, val
        pixels, pieces = _totals(train)
        parts = np.array([piece.regions for piece in pieces])
        if config.sampling == "balanced":
            parts = _parts_of_batches(pieces, config, size)
        self.loss = Loss.fit(pixels, parts, config, self.device)

    def run(
        self,
        watch: Callable[[History], None] = lambda _history: None,
        ledger: Ledger | None = None,
    ) -> History:
        with one_torch_thread():
            return super().run(watch, ledger)

    def _train_epoch(self, asked: Callable[[], bool]) -> None:
        """The updates of an epoch that are still to be done."""
        place, ranks = self.state.place, self.ranks
        for replica in self.replicas:
            replica.train()
        self.state.shuffle.set_state(self.state.order)
        samples = [piece for image in self.train_samples for piece in self._pick(image)]
        nodes = sum(sample.num_nodes for sample in samples)
        seen = 0
        limit, own = self.config.batch * ranks.size, slice(ranks.rank, None, ranks.size)
        for number, chosen in enumerate(shuffled(samples, limit, self.state.shuffle)):
            if number >= place.step:
                if not self._begin_update(place.epoch + seen / nodes, asked):
                    break
                batches = self._batches(shards(chosen, SHARDS * ranks.size, own))
                with device_work(self.device):
                    self._step([batch.to(self.device) for batch in batches])
            seen += sum(sample.num_nodes for sample in chosen)

    def _pick(self, image: Sequence[Sequence[Kept]]) -> Sequence[Kept]:
        """The pieces of one of the variants of an image."""
        return image[int(torch.randint(len(image), (1,), generator=self.state.shuffle))]

    def _batches(self, parts: Sequence[Sequence[Kept]]) -> list[Batch]:
        """Each part as one graph."""
        made: dict[int, Batch] = {}

        def work(index: int) -> Batch:
            return join([make_batch(self.model, kept.load()) for kept in parts[index]])

        run_tasks(work, range(len(parts)), workers=self.workers, done=made.__setitem__)
        return [made[index] for index in range(len(parts))]

    def _step(self, parts: Sequence[Batch]) -> None:
        """One update from the parts of a batch."""
        place, random = self.state.place, self.state.random
        targets = [
            self.loss.targets(part.counts, generator)
            for part, generator in zip(parts, random, strict=False)
        ]
        mass = self._total(sum(float(self.loss.mass(target)) for target in targets))
        losses = [0.0] * len(parts)
        self.state.network.zero_grad()

        def work(index: int) -> None:
            part, replica = parts[index], self.replicas[index]
            replica.zero_grad()
            with random_from(random[index]), counted_operations() as operations:
                logits = compute_logits(replica, part)
            self._count(UPDATES, lambda: UPDATE * operations.total)
            loss = self.loss.total(logits, targets[index])
            (loss / mass).backward()
            losses[index] = float(loss.detach())

        run_tasks(work, range(len(parts)), workers=self.workers)
        self._add_gradients(len(parts))
        self.ranks.add_gradients(self.state.network.parameters())
        self._update()
        place.loss += self._total(sum(losses))
        place.mass += mass

    def _add_gradients(self, number: int) -> None:
        """Add the replicas' gradients to the network's, always in one order."""
        for replica in self.replicas[1:number]:
            pairs = zip(self.state.network.parameters(), replica.parameters(), strict=True)
            for own, other in pairs:
                if other.grad is not None:
                    own.grad = other.grad.clone() if own.grad is None else own.grad + other.grad

    def _validate(self) -> list[ConfusionMatrix]:
        """Each region gets one label."""
        classes = len(self.loss.weights)
        totals = np.zeros((len(SHIFTS), classes, classes + 1), np.int64)
        prior = self.loss.prior.cpu()

        def done(_index: int, logits: torch.Tensor, counts: np.ndarray) -> None:
            labels = [(logits - shift * prior).argmax(dim=1).numpy() for shift in SHIFTS]
            pixels = counts.astype(np.int64)
            totals[:] += np.stack([count_regions(label, pixels) for label in labels])

        self._run_val(range(self.ranks.rank, len(self.val_samples), self.ranks.size), done)
        return [ConfusionMatrix(total) for total in self.ranks.total(totals)]

    def _run_val(
        self, chosen: Sequence[int], done: Callable[[int, torch.Tensor, np.ndarray], None]
    ) -> None:
        """Hand the logits and the pixels by class (N, classes) of val samples to `done`."""
        average = self.state.average.eval()

        def work(index: int) -> tuple[torch.Tensor, np.ndarray]:
            sample = self.val_samples[index].load()
            batch = make_batch(self.model, sample).to(self.device)
            with torch.inference_mode(), counted_operations() as operations:
                logits = compute_logits(average, batch).cpu()
            self._count(VALIDATION, lambda: operations.total)
            return logits, sample.counts

        def handed(index: int, found: tuple[torch.Tensor, np.ndarray]) -> None:
            done(index, *found)

        run_tasks(work, chosen, workers=self.workers, done=handed)

    def _finish(self) -> None:
        """Undo the class weights, and fit the temperature."""
        self._undo_weights(self.loss.prior)
        self._fit_temperature()

    def _fit_temperature(self) -> None:
        """Find how sure the network may be on labelled regions, or on a share of many.

        Summed in the order of the samples, by process 0.
        """
        if self.ranks.rank:
            return
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        share = MOST_SAMPLED / max(1, sum(kept.labelled for kept in self.val_samples))

        def done(index: int, logits: torch.Tensor, counts: np.ndarray) -> None:
            rng = np.random.default_rng([self.config.seed, index])
            chosen = counts.any(axis=1) & (rng.random(len(counts)) < share)
            found[index] = logits.numpy()[chosen], counts[chosen]

        self._run_val(range(len(self.val_samples)), done)
        self.state.history.temperature = fit_temperature([found[n] for n in sorted(found)])


@dataclass(frozen=True, eq=False)
class _Counted:
    """A piece of `num_nodes` regions, and how many of them have each class, (classes,)."""

    num_nodes: int
    regions: np.ndarray


def _totals(train: Sequence[Sequence[Sequence[Kept]]]) -> tuple[np.ndarray, list[_Counted]]:
    """Pixels (images, classes) float64, and the pieces, of images that are not varied."""
    pixels: list[np.ndarray] = []
    counted: list[_Counted] = []
    for pieces, *_ in train:
        own = np.zeros(1, np.int64)
        for piece in pieces:
            counts = piece.load().counts
            own = own + counts.sum(axis=0, dtype=np.int64)
            counted.append(_Counted(len(counts), regions_by_class(torch.from_numpy(counts))))
        pixels.append(own)
    return np.array(pixels, np.float64), counted


def _parts_of_batches(pieces: Sequence[_Counted], config: TrainConfig, size: int) -> np.ndarray:
    """Regions by class, (parts, classes), of what is learnt from at a time in some epochs."""
    generator = torch.Generator().manual_seed(config.seed)
    parts = [
        sum(piece.regions for piece in part)
        for _ in range(TRIED_EPOCHS)
        for chosen in shuffled(pieces, config.batch * size, generator)
        for part in shards(chosen, SHARDS * size)
    ]
    return np.array(parts)


def _replica(network: nn.Module) -> nn.Module:
    """A copy that shares the weights but has gradients of its own."""
    replica = copy.deepcopy(network)
    for own, other in zip(replica.parameters(), network.parameters(), strict=True):
        own.data = other.data
    return replica
