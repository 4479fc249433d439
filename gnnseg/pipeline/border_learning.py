"""Learn to label the pixels along borders from labelled images, beside a model that is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gnnseg.blocks import CHUNK_PIXELS
from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.folder import fit_classes
from gnnseg.errors import InputError, MemoryBudgetError, UsageError
from gnnseg.execution import default_workers, one_torch_thread, run_tasks
from gnnseg.kernels.filters import num_filters
from gnnseg.log import LOGGER
from gnnseg.memory import default_budget, parse_size
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models import Model
from gnnseg.pipeline.border_pixels import border_pixels
from gnnseg.pipeline.count_plan import share_out
from gnnseg.pipeline.load import load_model
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    import torch

    from gnnseg.datasets.base import Dataset
    from gnnseg.datasets.item import Item
    from gnnseg.models.borders import Borders

MOST_PIXELS = 1_200_000
"""That are learnt from, of all images together."""
UPDATES, RATE, DECAY = 2000, 5e-3, 0.01
BATCH, PARTS = 8192, 32
"""Pixels of an update, and how many updates see all pixels where these are few."""
SHIFTS = tuple(n / 10 for n in range(-4, 16))
"""Of these val chooses how much of the logarithm of a class's share is taken from its logits."""

_NONE_FITS = (
    "borders are learnt from whole images in memory, beside pixels that are kept of all, and no "
    "image fits: give --memory more, or cut the images"
)

Result = TypeVar("Result")


def learn_borders(
    images: Any,
    model: Model | str | Path,
    labels: Any = None,
    *,
    val: float = 0.2,
    memory: int | str | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> Model:
    """Let a model learn what the pixels along borders are, for `segment(..., refine=True)`.

    The network on regions stays as it is. A small one on pixels reads what the regions around say
    and what a pixel looks like beside its neighbours; it is kept if val has a higher mIoU with it
    than with the mixture of the regions alone.

    Parameters
    ----------
    images : path, Dataset or sequence of images
        A dataset with images that train and that validate; or images, together with `labels`.
    model : Model or path
    labels : sequence of (H, W) integer arrays, optional
    val : float
        Share of the images that validates, where the dataset does not say.
    memory : int or str, optional
        Upper bound for the whole process; default: half of what is available. Images that do not
        fit it are left out.
    workers : int, optional
        Threads; default: one a processor. They change no result.
    seed : int

    Returns
    -------
    Model
        `training["borders"]` has val_miou_unrefined, val_miou_mixed and val_miou (of what was
        learnt, kept or not), kept, shift, pixels and seconds.

    Raises
    ------
    InputError
        No labelled pixel lies along a border, or classes or channels do not fit the model.
    UsageError
        No image trains or none validates, or the model is no model of regions.
    MemoryBudgetError
        No image fits the budget.
    """
    started = time.monotonic()
    net = load_model(model) if isinstance(model, (str, Path)) else model
    if not isinstance(net, Model):
        raise UsageError("borders are learnt between regions: a convolutional network has none")
    net = replace(net, borders=None)
    if labels is None:
        dataset = fit_classes(open_dataset(images, val=val), net.classes)
    else:
        dataset = ArrayDataset(images, labels, net.classes, val)
    train, held = _images(dataset, "train"), _images(dataset, "val")
    threads = workers or default_workers()
    given = default_budget() if memory is None else parse_size(memory)
    options = SegmentOptions(
        memory=given - _pixel_bytes(net, threads),
        workers=threads,
        refine=True,
        measured=True,
    )
    learner = _Learner(net, options, seed)
    x, y = learner.gather(train)
    borders = learner.fit(x, y)
    found = learner.choose(held, borders, y)
    if not found["kept"]:
        LOGGER.warning(
            "val mIoU is %.4f with what was learnt of borders and %.4f with the mixture of regions:"
            " the model keeps the latter",
            found["val_miou"],
            found["val_miou_mixed"],
        )
    about = {**found, "pixels": len(y), "seconds": time.monotonic() - started}
    training = {**net.training, "borders": about}
    return replace(net, borders=borders if found["kept"] else None, training=training)


def _images(dataset: Dataset, split: str) -> list[Item]:
    items = dataset.split(split)
    if not items:
        raise UsageError(
            f"{dataset.name} has no images in the split {split!r}, which borders are learnt with: "
            f"name some in {split}.txt"
        )
    return items


def _pixel_bytes(model: Model, threads: int) -> int:
    """What the pixels that are learnt from take, twice for a moment, and those of windows."""
    inputs = 2 * model.classes.num_classes + num_filters(model.scaling.num_channels)
    return 4 * inputs * (2 * MOST_PIXELS + 3 * threads * CHUNK_PIXELS**2 // 4)


@dataclass(frozen=True)
class _Learner:
    """Gathers pixels, learns from them, and measures what was learnt."""

    model: Model
    options: SegmentOptions
    seed: int

    @property
    def _num_classes(self) -> int:
        return self.model.classes.num_classes

    def gather(self, items: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (N, inputs) and classes (N,) of pixels along borders of all images."""
        import torch

        most = -(-MOST_PIXELS // len(items))

        def work(number: int, item: Item) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng([self.seed, number])
            inputs, truth = [], []
            for part in border_pixels(item, self.model):
                chosen = np.sort(rng.permutation(len(part.truth))[: round(most * part.share)])
                inputs.append(part.inputs[chosen])
                truth.append(part.truth[chosen])
            return np.concatenate(inputs), np.concatenate(truth)

        found = self._of_images(items, work, "borders, train")
        x, y = (np.concatenate([part[k] for part in found]) for k in (0, 1))
        if len(y) == 0:
            raise InputError(
                "no labelled pixel of the training images lies along a border between two labels "
                "that the model gives: there is nothing to learn from"
            )
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))

    def fit(self, x: torch.Tensor, y: torch.Tensor) -> Borders:
        """What is learnt from pixels and their classes; probabilities take the temperature."""
        import torch
        from torch.nn.functional import cross_entropy

        from gnnseg.models.borders import Borders

        torch.manual_seed(self.seed)
        borders = Borders(self._num_classes, self.model.scaling.num_channels)
        borders.set_statistics(x)
        optimiser = torch.optim.AdamW(borders.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=UPDATES)
        batch = min(BATCH, -(-len(x) // PARTS))
        with progress_bar("borders, updates", UPDATES) as bar, one_torch_thread():
            for _ in range(UPDATES):
                chosen = torch.randint(len(x), (batch,))
                optimiser.zero_grad()
                logits = borders(x[chosen]) / self.model.temperature
                cross_entropy(logits, y[chosen]).backward()
                optimiser.step()
                schedule.step()
                bar.advance()
        return borders.eval()

    def choose(self, items: Sequence[Item], borders: Borders, y: torch.Tensor) -> dict[str, Any]:
        """Figures of val; the shift that it likes best goes to the output of `borders`."""
        import torch

        share = torch.bincount(y, minlength=self._num_classes) / len(y)
        prior = torch.where(share > 0, share, 1.0).log().numpy()
        shifts = [shift * prior for shift in SHIFTS]

        def work(_number: int, item: Item) -> list[ConfusionMatrix]:
            totals = [ConfusionMatrix.zeros(self._num_classes)] * (2 + len(shifts))
            for part in border_pixels(item, self.model):
                mixed, logits = part.inputs[:, : self._num_classes], borders.logits(part.inputs)
                answers = [part.painted, mixed.argmax(axis=1)]
                answers += [(logits - shift).argmax(axis=1) for shift in shifts]
                totals = [
                    total + part.elsewhere + self._matrix(part.truth, answer)
                    for total, answer in zip(totals, answers, strict=True)
                ]
            return totals

        found = self._of_images(items, work, "borders, val")
        matrices = [
            sum(own, ConfusionMatrix.zeros(self._num_classes)) for own in zip(*found, strict=True)
        ]
        plain, mixed, *shifted = (matrix.present_miou for matrix in matrices)
        if not matrices[0].num_pixels:
            raise InputError("no pixel of the images that validate has a label: label some")
        best = int(np.argmax(shifted))
        with torch.no_grad():
            borders.output_bias.sub_(torch.from_numpy(shifts[best]))
        return {
            "val_miou_unrefined": plain,
            "val_miou_mixed": mixed,
            "val_miou": shifted[best],
            "shift": SHIFTS[best],
            "kept": shifted[best] > mixed,
        }

    def _matrix(self, truth: np.ndarray, labels: np.ndarray) -> ConfusionMatrix:
        return ConfusionMatrix.of(truth, labels, self._num_classes)

    def _of_images(
        self, items: Sequence[Item], work: Callable[[int, Item], Result], name: str
    ) -> list[Result]:
        """What `work` makes of each image that fits in memory, in their order."""
        small, threads = self._fitting(items)
        found: dict[int, Result] = {}

        def done(task: tuple[int, Item], result: Result) -> None:
            found[task[0]] = result
            bar.advance()

        with progress_bar(name, len(small)) as bar, one_torch_thread():
            run_tasks(lambda task: work(*task), enumerate(small), workers=threads, done=done)
        return [found[number] for number in sorted(found)]

    def _fitting(self, items: Sequence[Item]) -> tuple[list[Item], int]:
        """Images that fit in memory, on so many threads."""
        try:
            shares = share_out(items, self.model, self.options)
        except MemoryBudgetError as error:
            raise MemoryBudgetError(f"{_NONE_FITS} ({error})") from error
        if not shares.small:
            raise MemoryBudgetError(_NONE_FITS)
        if shares.large:
            names = ", ".join(item.stem for item in shares.large)
            LOGGER.warning("images that do not fit the memory teach nothing of borders: %s", names)
        return shares.small, shares.threads
