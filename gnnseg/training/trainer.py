"""The training loop: soft labels, a cosine schedule, and the weights of the best validation."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnseg.errors import UsageError
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models.group import run_groups
from gnnseg.progress import Bar, progress_bar
from gnnseg.training.batches import Batch, shuffled
from gnnseg.training.loss import class_weights, soft_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from gnnseg.training.config import TrainConfig

WARM_UP = 0.03
"""Share of the training over which the learning rate rises."""
GRADIENT_NORM = 1.0


@dataclass
class History:
    """Loss, val mIoU and learning rate by epoch, and which epoch was best."""

    loss: list[float] = field(default_factory=list)
    val_miou: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = -1

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
        self, network: nn.Module, train: Sequence[Batch], val: Sequence[Batch], config: TrainConfig
    ) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.network = network.to(self.device)
        self.train_batches, self.val_batches = train, val
        pixels = np.sum([batch.counts.sum(0).numpy() for batch in train], axis=0)
        weights = class_weights(pixels.astype(np.float64), config.class_weights)
        self.weights = torch.from_numpy(weights).to(self.device)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.shuffle = torch.Generator().manual_seed(config.seed)
        self.history = History()
        self._start = time.monotonic()

    def run(self) -> History:
        """Train until the epochs, the minutes or the patience run out; keep the best weights."""
        best = copy.deepcopy(self.network.state_dict())
        with progress_bar("training", self.config.epochs) as bar:
            for epoch in range(self.config.epochs):
                if self._out_of_time(epoch) or self._out_of_patience(epoch):
                    break
                self._epoch(epoch, bar)
                if self.history.best_epoch == epoch:
                    best = copy.deepcopy(self.network.state_dict())
        self.network.load_state_dict(best)
        self.network.eval().cpu()
        return self.history

    def _epoch(self, epoch: int, bar: Bar) -> None:
        history, start = self.history, time.monotonic()
        loss = self._train_epoch(epoch)
        miou = self.validate().miou
        history.loss.append(loss)
        history.val_miou.append(miou)
        history.learning_rate.append(self.optimiser.param_groups[0]["lr"])
        history.seconds.append(time.monotonic() - start)
        if history.best_epoch < 0 or miou > history.best_miou:
            history.best_epoch = epoch
        bar.advance(note=f"loss {loss:.3f}  val mIoU {miou:.4f}  best {history.best_miou:.4f}")

    def _train_epoch(self, epoch: int) -> float:
        self.network.train()
        total, pixels = 0.0, 0.0
        nodes = sum(batch.num_nodes for batch in self.train_batches)
        seen = 0
        for batch in shuffled(self.train_batches, self.config.batch, self.shuffle):
            self._set_rate(epoch + seen / nodes)
            seen += batch.num_nodes
            loss = self._step(batch.to(self.device))
            weight = float(batch.counts.sum())
            total, pixels = total + loss * weight, pixels + weight
        return total / max(pixels, 1)

    def _step(self, batch: Batch) -> float:
        logits = run_groups(self.network, batch.x, dict(enumerate(batch.levels)))
        loss = soft_loss(logits, batch.counts, self.weights)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimiser.step()
        return float(loss)

    def validate(self) -> ConfusionMatrix:
        """Pixels by true and predicted class over the val batches (each region one label)."""
        self.network.eval()
        classes = self.val_batches[0].counts.shape[1]
        counts = np.zeros((classes, classes + 1), np.int64)
        with torch.inference_mode():
            for batch in self.val_batches:
                moved = batch.to(self.device)
                logits = run_groups(self.network, moved.x, dict(enumerate(moved.levels)))
                labels = logits.argmax(dim=1).cpu().numpy()
                pixels = batch.counts.numpy().astype(np.int64)
                for label in np.unique(labels):
                    counts[:, label] += pixels[labels == label].sum(axis=0)
        return ConfusionMatrix(counts)

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
