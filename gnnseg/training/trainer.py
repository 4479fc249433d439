"""The training loop: soft labels, a schedule, and the weights of the best validation."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnseg.errors import StateError, UsageError
from gnnseg.execution import default_workers, one_torch_thread, run_tasks
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models.layers import random_from
from gnnseg.training.batches import Batch, compute_logits, shards, shuffled
from gnnseg.training.checkpoint import ANEW, Checkpoint
from gnnseg.training.history import History
from gnnseg.training.imbalance import regions_by_class
from gnnseg.training.interrupt import Interrupt, held_interrupt
from gnnseg.training.loss import Loss
from gnnseg.training.schedule import learning_rate
from gnnseg.training.state import State
from gnnseg.training.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from gnnseg.training.config import TrainConfig

GRADIENT_NORM = 1.0
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far the class weights are undone in the logits: val chooses."""
SHARDS = 2
"""Parts of a batch, each on a thread of its own; fixed, so that the bits do not depend on the
machine."""


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this PyTorch sees no GPU; use --device cpu or auto")
    use_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_gpu else "cpu")


class Trainer:
    """Trains one network on batches that lie in memory.

    `minutes` bounds the loop, where it is bounded.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Sequence[Sequence[Batch]],
        val: Sequence[Batch],
        config: TrainConfig,
        *,
        minutes: float | None = None,
    ) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.state = State(network.to(self.device), config, SHARDS)
        self.replicas: list[Any] = [
            self.state.network,
            *(_replica(self.state.network) for _ in range(SHARDS - 1)),
        ]
        self.workers = min(default_workers(), SHARDS) if self.device.type == "cpu" else 1
        self.train_batches, self.val_batches = train, val
        pixels = np.sum([group[0].counts.sum(0).numpy() for group in train], axis=0)
        regions = np.sum([regions_by_class(group[0].counts) for group in train], axis=0)
        self.loss = Loss.fit(pixels.astype(np.float64), regions, config, self.device)
        self.checkpoint: Checkpoint | None = None
        self._seconds = None if minutes is None else 60 * minutes
        self._ticked = time.monotonic()

    def resume(self, checkpoint: Checkpoint, earlier: Any) -> None:
        """Keep the training in a checkpoint, and take up what one holds of an `earlier` part."""
        self.checkpoint = checkpoint
        if earlier is None:
            return
        try:
            self.state.restore(*earlier)
        except StateError as error:
            raise StateError(f"{checkpoint.path}: {error}; {ANEW}") from error
        if self._seconds is not None:
            self._seconds += self.state.place.seconds

    def run(self, watch: Callable[[History], None] = lambda _history: None) -> History:
        """Train until the epochs, the minutes or the patience run out; keep the best weights.

        `watch` is called after each epoch. With a checkpoint, Ctrl-C leaves one behind.
        """
        state = self.state
        self._ticked = time.monotonic()
        holds = held_interrupt() if self.checkpoint else nullcontext(Interrupt())
        with one_torch_thread(), holds as interrupt:
            while self._goes_on():
                self._train_epoch(interrupt)
                miou = self.validate()[0].miou
                self._tick()
                state.end_epoch(miou)
                watch(state.history)
                self._leave_if_asked(interrupt)
                self._save(end_of_epoch=True)
            state.average.load_state_dict(state.best)
            self._choose_shift()
            self._fit_temperature()
        state.network.load_state_dict(state.average.state_dict())
        state.network.eval().cpu()
        return state.history

    def _goes_on(self) -> bool:
        """Whether there is another epoch, or the rest of one."""
        place, history = self.state.place, self.state.history
        if place.epoch >= self.config.epochs:
            return False
        if place.epoch - history.best_epoch > self.config.patience:
            return False
        if self._seconds is None or not history.seconds:
            return True
        longest = max(history.seconds)
        return place.seconds - place.epoch_seconds + longest <= self._seconds

    def _train_epoch(self, interrupt: Interrupt) -> None:
        """The updates of an epoch that are still to be done."""
        place = self.state.place
        for replica in self.replicas:
            replica.train()
        self.state.shuffle.set_state(self.state.order)
        batches = [self._pick(group) for group in self.train_batches]
        nodes = sum(batch.num_nodes for batch in batches)
        seen = 0
        limit, shuffle = self.config.batch, self.state.shuffle
        for number, chosen in enumerate(shuffled(batches, limit, shuffle)):
            if number >= place.step:
                self._tick()
                self._leave_if_asked(interrupt)
                self._set_rate(place.epoch + seen / nodes)
                self._step([shard.to(self.device) for shard in shards(chosen, SHARDS)])
                self._save()
            seen += sum(batch.num_nodes for batch in chosen)

    def _leave_if_asked(self, interrupt: Interrupt) -> None:
        if interrupt.asked and self.checkpoint is not None:
            self.checkpoint.write(self.state)
            raise KeyboardInterrupt

    def _save(self, *, end_of_epoch: bool = False) -> None:
        if self.checkpoint is not None and self.checkpoint.is_due(end_of_epoch=end_of_epoch):
            self._tick()
            self.checkpoint.write(self.state)

    def _pick(self, group: Sequence[Batch]) -> Batch:
        """One of the variants of an image."""
        return group[int(torch.randint(len(group), (1,), generator=self.state.shuffle))]

    def _step(self, parts: Sequence[Batch]) -> None:
        """One update from the parts of a batch."""
        place, random = self.state.place, self.state.random
        targets = [
            self.loss.targets(part.counts, generator)
            for part, generator in zip(parts, random, strict=False)
        ]
        mass = sum(float(self.loss.mass(target)) for target in targets)
        losses = [0.0] * len(parts)

        def work(index: int) -> None:
            part, replica = parts[index], self.replicas[index]
            replica.zero_grad()
            with random_from(random[index]):
                logits = compute_logits(replica, part)
            loss = self.loss.total(logits, targets[index])
            (loss / mass).backward()
            losses[index] = float(loss.detach())

        run_tasks(work, range(len(parts)), workers=self.workers)
        self._add_gradients(len(parts))
        torch.nn.utils.clip_grad_norm_(self.state.network.parameters(), GRADIENT_NORM)
        self.state.update()
        place.step += 1
        place.loss += sum(losses)
        place.mass += mass

    def _add_gradients(self, number: int) -> None:
        """Add the replicas' gradients to the network's, always in one order."""
        for replica in self.replicas[1:number]:
            pairs = zip(self.state.network.parameters(), replica.parameters(), strict=True)
            for own, other in pairs:
                if other.grad is not None:
                    own.grad = other.grad.clone() if own.grad is None else own.grad + other.grad

    def validate(self, shifts: Sequence[float] = (0.0,)) -> list[ConfusionMatrix]:
        """Pixels by true and predicted class over the val batches, for each of some shifts.

        A shift takes that many times the logarithm of the class weights from the logits; each
        region gets one label.
        """
        classes = len(self.loss.weights)
        totals = np.zeros((len(shifts), classes, classes + 1), np.int64)
        prior = self.loss.prior.cpu()

        def done(batch: Batch, logits: torch.Tensor) -> None:
            pixels = batch.counts.numpy().astype(np.int64)
            labels = [(logits - shift * prior).argmax(dim=1).numpy() for shift in shifts]
            totals[:] += np.stack([_count(label, pixels) for label in labels])

        self._run_val(done)
        return [ConfusionMatrix(total) for total in totals]

    def _run_val(self, done: Callable[[Batch, torch.Tensor], None]) -> None:
        """Hand every val batch and its logits (N, classes), in memory, to `done`."""
        average = self.state.average.eval()

        def work(batch: Batch) -> torch.Tensor:
            with torch.inference_mode():
                return compute_logits(average, batch.to(self.device)).cpu()

        run_tasks(work, self.val_batches, workers=self.workers, done=done)

    def _choose_shift(self) -> None:
        """Undo the class weights as far as val likes it, in the bias of the last layer."""
        matrices = self.validate(SHIFTS)
        mious = [matrix.miou for matrix in matrices]
        best = max(range(len(SHIFTS)), key=lambda index: (mious[index], -index))
        with torch.no_grad():
            self.state.average.output_bias.sub_(SHIFTS[best] * self.loss.prior)
        self.state.history.shift, self.state.history.shifted_miou = SHIFTS[best], mious[best]

    def _fit_temperature(self) -> None:
        """Find how sure the network may be; summed in the order of the batches."""
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def done(batch: Batch, logits: torch.Tensor) -> None:
            found[id(batch)] = logits.numpy(), batch.counts.numpy()

        self._run_val(done)
        self.state.history.temperature = fit_temperature([found[id(b)] for b in self.val_batches])

    def _set_rate(self, position: float) -> None:
        done = position / self.config.epochs
        if self._seconds is not None:
            done = max(done, self.state.place.seconds / self._seconds)
        for group in self.state.optimiser.param_groups:
            group["lr"] = learning_rate(done, self.config)

    def _tick(self) -> None:
        """Add the time since the last tick."""
        now = time.monotonic()
        self.state.place.epoch_seconds += now - self._ticked
        self.state.place.seconds += now - self._ticked
        self._ticked = now


def _count(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels by true and predicted class, from the label and the pixels by class of each region."""
    counts = np.zeros((pixels.shape[1], pixels.shape[1] + 1), np.int64)
    for label in np.unique(labels):
        counts[:, label] = pixels[labels == label].sum(axis=0)
    return counts


def _replica(network: nn.Module) -> nn.Module:
    """A copy that shares the weights but has gradients of its own."""
    replica = copy.deepcopy(network)
    for own, other in zip(replica.parameters(), network.parameters(), strict=True):
        own.data = other.data
    return replica
