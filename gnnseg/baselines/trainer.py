"""The training loop of networks on pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gnnseg.baselines.cost import input_operations, plane_operations
from gnnseg.baselines.crops import CropMaker, Picture, count_pixels, prefetched
from gnnseg.baselines.inference import plane_slabs
from gnnseg.baselines.loss import CELL, PixelLoss
from gnnseg.blocks import Window
from gnnseg.counters import device_work, moved
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models.operations import UPDATE
from gnnseg.training.loop import (
    SHIFTS,
    UPDATES,
    VALIDATION,
    Loop,
    pick_device,
)
from gnnseg.training.precision import half_pays
from gnnseg.training.ranks import Alone, Ranks
from gnnseg.training.state import State
from gnnseg.training.temperature import MOST_SAMPLED, fit_temperature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnseg.baselines.config import CnnConfig
    from gnnseg.baselines.model import PixelModel


@dataclass(frozen=True, eq=False)
class _Batch:
    """Crops (B, C, H, W) and their labels (B, H, W): the part of a batch that is learnt here.

    `share` is that part as a share of the batch, maybe 0, and `before` how many crops of the epoch
    precede the batch.
    """

    x: torch.Tensor
    labels: torch.Tensor
    share: float
    before: int


class PixelTrainer(Loop):
    """Trains the network of a model on pictures that lie in memory."""

    config: CnnConfig

    def __init__(
        self,
        model: PixelModel,
        train: Sequence[Picture],
        val: Sequence[Picture],
        config: CnnConfig,
        *,
        deadline: float | None = None,
        ranks: Ranks | None = None,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        ranks = ranks or Alone()
        self.device = pick_device(config.device, ranks.rank, ranks.size)
        network = model.network.to(self.device, memory_format=torch.channels_last)
        state = State(network, config, range(ranks.rank, ranks.size, ranks.size))
        super().__init__(state, config, deadline=deadline, ranks=ranks, asked=asked)
        self.statistics = _statistics(network)
        self.model, self.val = model, val
        self._crop_operations = cache(partial(input_operations, model))
        self._plane_operations = cache(partial(plane_operations, model))
        self.crops = CropMaker(train, model, config)
        pixels = np.stack([count_pixels(picture, model.classes) for picture in train])
        ignore = model.classes.ignore_index
        self.loss = PixelLoss.fit(pixels, ignore, config, self.device)

    def _train_epoch(self, asked: Callable[[], bool]) -> None:
        place = self.state.place
        self.state.network.train()
        self.state.shuffle.set_state(self.state.order)
        numbers = self.crops.numbers()
        for batch in self._batches(numbers, place.step):
            if not self._begin_update(place.epoch + batch.before / len(numbers), asked):
                break
            with device_work(self.device):
                self._step(batch)

    def _batches(self, numbers: Sequence[tuple[int, int]], done: int) -> Iterator[_Batch]:
        """The batches of an epoch in random order, without those that are done."""
        order = torch.randperm(len(numbers), generator=self.state.shuffle).tolist()
        rank, ranks, epoch = self.ranks.rank, self.ranks.size, self.state.place.epoch
        size = self.config.batch * ranks

        def make(first: int) -> _Batch:
            chosen = order[first : first + size]
            own = chosen[rank::ranks]
            if not own:
                return _Batch(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.0, first)
            crops = [self.crops(epoch, *numbers[n]) for n in own]
            x, labels = (torch.from_numpy(np.stack(parts)) for parts in zip(*crops, strict=True))
            return _Batch(x, labels, len(own) / len(chosen), first)

        return prefetched(range(done * size, len(order), size), make)

    def _step(self, batch: _Batch) -> None:
        """One update."""
        network, place, ranks = self.state.network, self.state.place, self.ranks
        labels = moved(batch.labels, self.device)
        mass = max(self._total(float(self.loss.mass(labels))), 1.0)
        network.zero_grad()
        loss = self._learn(batch, labels, mass) if batch.share else 0.0
        ranks.add_gradients(network.parameters())
        ranks.average(self.statistics, batch.share)
        self._update()
        place.loss += self._total(loss)
        place.mass += mass

    def _learn(self, batch: _Batch, labels: torch.Tensor, mass: float) -> float:
        """The loss of this process's crops; their gradients are those of all divided by `mass`."""
        x = moved(batch.x, self.device).to(memory_format=torch.channels_last)
        # Dropout draws from the generator of all: an interrupted training draws the same, and
        # every process something else.
        seed = (self.config.seed << 32) + (self.ranks.rank << 26) + self.state.place.updates
        torch.manual_seed(seed)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half_pays(self.device)):
            logits, extra = _forward(self.state.network, x, labels, self.loss.ignore_index)
        self._count(UPDATES, lambda: UPDATE * len(x) * self._crop_operations(*x.shape[2:]))
        total = self.loss.total(logits.float(), labels)
        (total / mass + batch.share * extra).backward()
        return float(total.detach())

    def _validate(self) -> list[ConfusionMatrix]:
        prior = self.loss.prior.cpu().numpy()[:, None, None]
        matrices = [ConfusionMatrix.zeros(len(prior)) for _ in SHIFTS]
        for truth, logits in self._val_slabs(self.val[self.ranks.rank :: self.ranks.size]):
            for n, shift in enumerate(SHIFTS):
                matrices[n] += self._matrix(truth, logits - shift * prior)
        return [ConfusionMatrix(self.ranks.total(matrix.counts)) for matrix in matrices]

    def _val_slabs(self, pictures: Sequence[Picture]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Labels (h, W) and logits (classes, h, W) of rows of pictures."""
        network = self.state.average.eval()
        for picture in pictures:

            def read(window: Window, pixels: np.ndarray = picture.pixels) -> np.ndarray:
                return pixels[(slice(None), *window.slices)]

            about = picture.labels.shape, picture.scaling
            for slab in plane_slabs(self.model, read, *about, network=network, device=self.device):
                yield picture.labels[slab.window.slices], slab.logits
            self._count(VALIDATION, partial(self._plane_operations, picture.labels.shape))

    def _matrix(self, truth: np.ndarray, logits: np.ndarray) -> ConfusionMatrix:
        classes = self.model.classes
        labels = logits.argmax(axis=0)
        return ConfusionMatrix.of(truth, labels, classes.num_classes, classes.ignore_index)

    def _finish(self) -> None:
        """Undo the class weights, and fit the temperature."""
        self._undo_weights(self.loss.prior)
        if self.ranks.rank:
            return
        share = min(1.0, MOST_SAMPLED / sum(p.labels.size for p in self.val))
        rng = np.random.default_rng(self.config.seed)
        sample = [self._sample(*slab, share, rng) for slab in self._val_slabs(self.val)]
        self.state.history.temperature = fit_temperature(sample, same=CELL)

    def _sample(
        self, truth: np.ndarray, logits: np.ndarray, share: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, classes), and the true classes as ones, of a share of the labelled pixels."""
        chosen = (truth != self.loss.ignore_index) & (rng.random(truth.shape) < share)
        return logits[:, chosen].T, np.eye(len(logits), dtype=np.uint8)[truth[chosen]]


def _statistics(network: nn.Module) -> list[torch.Tensor]:
    """The running means and variances of batch norm."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    found = [value for norm in norms for value in (norm.running_mean, norm.running_var)]
    return [value for value in found if value is not None]


def _forward(
    network: Any, x: torch.Tensor, labels: torch.Tensor, ignore_index: int
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Logits, and what else a network wants to be small."""
    if hasattr(network, "forward_train"):
        return network.forward_train(x, labels, ignore_index)
    return network(x), 0.0
