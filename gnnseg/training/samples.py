"""Labelled images as pieces of region graphs, ready for batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.execution import default_workers, run_tasks
from gnnseg.graph import RegionTable, whole_table
from gnnseg.kernels.paint import count_labels
from gnnseg.progress import progress_bar
from gnnseg.superpixels import PixelReader
from gnnseg.training.augment import Variant, draw_variants, load_variant, place_clicks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnseg.datasets.clicks import Click
    from gnnseg.datasets.item import Item
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig


@dataclass(frozen=True)
class Sample:
    """A piece of an image: its table, and pixels by class of each region, (N, classes)."""

    table: RegionTable
    counts: np.ndarray


def make_samples(
    items: Sequence[Item],
    scaling: Scaling,
    config: TrainConfig,
    *,
    num_classes: int,
    augment: bool = False,
) -> list[list[Sample]]:
    """Samples of labelled images, in order: for each piece of an image, its variants.

    Without `augment`, or where an image is cut into several pieces, each list holds one sample.
    """
    made: dict[tuple[int, int], list[Sample]] = {}
    tasks = [
        (number, index, item, variant)
        for number, item in enumerate(items)
        for index, variant in enumerate(_variants(item, scaling, config, augment=augment))
    ]
    with progress_bar("region graphs", len(tasks)) as bar:

        def work(task: tuple[int, int, Item, Variant]) -> list[Sample]:
            _, _, item, variant = task
            return _pieces(item, variant, scaling, config, num_classes)

        def done(task: tuple[int, int, Item, Variant], samples: list[Sample]) -> None:
            made[task[:2]] = samples
            bar.advance()

        run_tasks(work, tasks, workers=default_workers(), done=done)
    return [group for number in range(len(items)) for group in _groups(made, number)]


def _variants(item: Item, scaling: Scaling, config: TrainConfig, *, augment: bool) -> list[Variant]:
    return draw_variants(item.stem, scaling.num_channels, config) if augment else [Variant()]


def _groups(made: dict[tuple[int, int], list[Sample]], number: int) -> list[list[Sample]]:
    """The variants of one image as one list, or each of its pieces by itself."""
    variants = [made[key] for key in sorted(made) if key[0] == number]
    if all(len(pieces) == 1 for pieces in variants):
        return [[pieces[0] for pieces in variants]]
    return [[piece] for pieces in variants for piece in pieces]


def _pieces(
    item: Item, variant: Variant, scaling: Scaling, config: TrainConfig, num_classes: int
) -> list[Sample]:
    image, labels = load_variant(item, variant, scaling)
    reader = PixelReader(image, scaling, config.slic)
    slots, table = whole_table(reader)
    counts = np.zeros((*table.window.shape, num_classes), np.int32)
    known = np.where(labels == item.classes.ignore_index, num_classes, labels).astype(np.uint16)
    count_labels(slots, config.step, known, counts)
    label_clicked(slots, config.step, place_clicks(item, variant, labels.shape), table.area, counts)
    return [
        Sample(table.crop(window), counts[window.slices].reshape(window.size, num_classes))
        for window in table.window.split(config.tile)
    ]


def label_clicked(
    slots: np.ndarray, step: int, clicks: Sequence[Click], area: np.ndarray, counts: np.ndarray
) -> None:
    """Let each click label the whole superpixel under it, in (cells_y, cells_x, classes) counts.

    That replaces what labelled its pixels before; several clicks share a superpixel.
    """
    votes: dict[tuple[int, int], np.ndarray] = {}
    for y, x, label in clicks:
        slot = int(slots[y, x])
        home = y // step + slot // 5 - 2, x // step + slot % 5 - 2
        votes.setdefault(home, np.zeros(counts.shape[2], np.int64))[label] += 1
    for home, share in votes.items():
        counts[home] = area[home] * share // share.sum()
