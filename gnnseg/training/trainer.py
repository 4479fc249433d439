"""The training loop: soft labels, a cosine schedule, and the weights of the best validation."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models.group import run_groups
from gnnseg.models.layers import random_from
from gnnseg.progress import Bar, progress_bar
from gnnseg.training.batches import Batch, shards, shuffled
from gnnseg.training.loss import class_weights, soft_loss, soft_mass
from gnnseg.training.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from gnnseg.training.config import TrainConfig

WARM_UP = 0.03
"""Share of the training over which the learning rate rises."""
GRADIENT_NORM = 1.0
AVERAGE = 0.998
"""How much of the averaged weights stays in each step; these are what is validated and kept."""
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far the class weights are undone in the logits: val chooses."""
SHARDS = 2
"""Parts of a batch, each on a thread of its own; fixed, so that the bits do not depend on the
machine."""


@dataclass
class History:
    """Loss, val mIoU and learning rate by epoch; the best one; its shift and temperature."""

    loss: list[float] = field(default_factory=list)
    val_miou: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = -1
    shift: float = 0.0
    shifted_miou: float = float("nan")
    temperature: float = 1.0

    @property
    def best_miou(self) -> float:
        return self.val_miou[self.best_epoch] if self.val_miou else float("nan")


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this PyTorch sees no GPU; use --device cpu or auto")
    use_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_gpu else "cpu")


class Trainer:
    """Trains one network on batches that lie in memory."""

    def __init__(
        self,
        network: nn.Module,
        train: Sequence[Sequence[Batch]],
        val: Sequence[Batch],
        config: TrainConfig,
    ) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.network = network.to(self.device)
        self.replicas: list[Any] = [
            self.network,
            *(_replica(self.network) for _ in range(SHARDS - 1)),
        ]
        self.average: Any = copy.deepcopy(self.network)
        self.steps = 0
        self.workers = min(default_workers(), SHARDS) if self.device.type == "cpu" else 1
        self.train_batches, self.val_batches = train, val
        pixels = np.sum([group[0].counts.sum(0).numpy() for group in train], axis=0)
        weights = class_weights(pixels.astype(np.float64), config.class_weights)
        self.weights = torch.from_numpy(weights).to(self.device)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.shuffle = torch.Generator().manual_seed(config.seed)
        self.random = [
            torch.Generator(self.device).manual_seed(config.seed + 1 + n) for n in range(SHARDS)
        ]
        self.history = History()
        self._start = time.monotonic()

    def run(self) -> History:
        """Train until the epochs, the minutes or the patience run out; keep the best weights."""
        best = copy.deepcopy(self.average.state_dict())
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with progress_bar("training", self.config.epochs) as bar:
                for epoch in range(self.config.epochs):
                    if self._out_of_time(epoch) or self._out_of_patience(epoch):
                        break
                    self._epoch(epoch, bar)
                    if self.history.best_epoch == epoch:
                        best = copy.deepcopy(self.average.state_dict())
            self.average.load_state_dict(best)
            self._choose_shift()
            self._fit_temperature()
        finally:
            torch.set_num_threads(threads)
        self.network.load_state_dict(self.average.state_dict())
        self.network.eval().cpu()
        return self.history

    def _epoch(self, epoch: int, bar: Bar) -> None:
        history, start = self.history, time.monotonic()
        loss = self._train_epoch(epoch)
        miou = self.validate()[0].miou
        history.loss.append(loss)
        history.val_miou.append(miou)
        history.learning_rate.append(self.optimiser.param_groups[0]["lr"])
        history.seconds.append(time.monotonic() - start)
        if history.best_epoch < 0 or not miou <= history.best_miou:
            history.best_epoch = epoch
        bar.advance(note=f"loss {loss:.3f}  val mIoU {miou:.4f}  best {history.best_miou:.4f}")

    def _train_epoch(self, epoch: int) -> float:
        for replica in self.replicas:
            replica.train()
        total, pixels = 0.0, 0.0
        batches = [self._pick(group) for group in self.train_batches]
        nodes = sum(batch.num_nodes for batch in batches)
        seen = 0
        for chosen in shuffled(batches, self.config.batch, self.shuffle):
            self._set_rate(epoch + seen / nodes)
            seen += sum(batch.num_nodes for batch in chosen)
            loss, mass = self._step([shard.to(self.device) for shard in shards(chosen, SHARDS)])
            total, pixels = total + loss, pixels + mass
        return total / max(pixels, 1)

    def _pick(self, group: Sequence[Batch]) -> Batch:
        """One of the variants of an image."""
        return group[int(torch.randint(len(group), (1,), generator=self.shuffle))]

    def _step(self, parts: Sequence[Batch]) -> tuple[float, float]:
        """One update from the parts of a batch; their loss and mass."""
        mass = sum(float(soft_mass(part.counts, self.weights)) for part in parts)
        losses = [0.0] * len(parts)

        def work(index: int) -> None:
            part, replica = parts[index], self.replicas[index]
            replica.zero_grad()
            with random_from(self.random[index]):
                logits = run_groups(replica, part.x, dict(enumerate(part.levels)))
            loss = soft_loss(logits, part.counts, self.weights)
            (loss / mass).backward()
            losses[index] = float(loss.detach())

        run_tasks(work, range(len(parts)), workers=self.workers)
        self._add_gradients(len(parts))
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimiser.step()
        self._update_average()
        return sum(losses), mass

    def _add_gradients(self, number: int) -> None:
        """Add the replicas' gradients to the network's, always in one order."""
        for replica in self.replicas[1:number]:
            for own, other in zip(self.network.parameters(), replica.parameters(), strict=True):
                if other.grad is not None:
                    own.grad = other.grad.clone() if own.grad is None else own.grad + other.grad

    def _update_average(self) -> None:
        """Let the averaged weights follow, faster at the start."""
        self.steps += 1
        weight = max(1 - AVERAGE, 9 / (10 + self.steps))
        with torch.no_grad():
            for mean, own in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, weight)

    def validate(self, shifts: Sequence[float] = (0.0,)) -> list[ConfusionMatrix]:
        """Pixels by true and predicted class over the val batches, for each of some shifts.

        A shift takes that many times the logarithm of the class weights from the logits; each
        region gets one label.
        """
        classes = len(self.weights)
        totals = np.zeros((len(shifts), classes, classes + 1), np.int64)
        prior = self._prior().cpu()

        def done(batch: Batch, logits: torch.Tensor) -> None:
            pixels = batch.counts.numpy().astype(np.int64)
            labels = [(logits - shift * prior).argmax(dim=1).numpy() for shift in shifts]
            totals[:] += np.stack([_count(label, pixels) for label in labels])

        self._run_val(done)
        return [ConfusionMatrix(total) for total in totals]

    def _run_val(self, done: Callable[[Batch, torch.Tensor], None]) -> None:
        """Hand every val batch and its logits (N, classes), in memory, to `done`."""
        self.average.eval()

        def work(batch: Batch) -> torch.Tensor:
            moved = batch.to(self.device)
            with torch.inference_mode():
                return run_groups(self.average, moved.x, dict(enumerate(moved.levels))).cpu()

        run_tasks(work, self.val_batches, workers=self.workers, done=done)

    def _prior(self) -> torch.Tensor:
        """Logarithm of the class weights; 0 for classes that training did not see."""
        return torch.where(self.weights > 0, self.weights.clamp(min=1e-6).log(), 0.0)

    def _choose_shift(self) -> None:
        """Undo the class weights as far as val likes it, in the bias of the last layer."""
        matrices = self.validate(SHIFTS)
        mious = [matrix.miou for matrix in matrices]
        best = max(range(len(SHIFTS)), key=lambda index: (mious[index], -index))
        with torch.no_grad():
            self.average.output_bias.sub_(SHIFTS[best] * self._prior())
        self.history.shift, self.history.shifted_miou = SHIFTS[best], mious[best]

    def _fit_temperature(self) -> None:
        """Find how sure the network may be; summed in the order of the batches."""
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def done(batch: Batch, logits: torch.Tensor) -> None:
            found[id(batch)] = logits.numpy(), batch.counts.numpy()

        self._run_val(done)
        self.history.temperature = fit_temperature([found[id(b)] for b in self.val_batches])

    def _set_rate(self, position: float) -> None:
        done = position / self.config.epochs
        if self.config.max_minutes is not None:
            done = max(done, (time.monotonic() - self._start) / (60 * self.config.max_minutes))
        done = min(done, 1.0)
        if done < WARM_UP:
            scale = max(done / WARM_UP, 0.01)
        else:
            scale = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * scale

    def _out_of_time(self, epoch: int) -> bool:
        if self.config.max_minutes is None or epoch == 0:
            return False
        spent = time.monotonic() - self._start
        longest = max(self.history.seconds)
        return spent + longest > 60 * self.config.max_minutes

    def _out_of_patience(self, epoch: int) -> bool:
        return epoch - self.history.best_epoch > self.config.patience


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
