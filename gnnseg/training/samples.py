"""Labelled images as pieces of region graphs, ready for batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gnnseg.execution import default_workers, run_tasks
from gnnseg.models.stem_window import cut_input
from gnnseg.progress import progress_bar
from gnnseg.training.augment import Variant, draw_variants
from gnnseg.training.regions import LabelledRegions, RegionMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from gnnseg.blocks import Window
    from gnnseg.datasets.item import Item
    from gnnseg.graph import RegionTable
    from gnnseg.models.stem import Stem, StemInput
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Sample:
    """A piece of an image: its table, and pixels by class of each region, (N, classes).

    `image` is what a stem reads of it, if there is one.
    """

    table: RegionTable
    counts: np.ndarray
    image: StemInput | None = None


def make_samples(
    items: Sequence[Item],
    scaling: Scaling,
    config: TrainConfig,
    *,
    num_classes: int,
    keep: Callable[[Sample], Kept],
    stem: Stem | None = None,
    augment: bool = False,
) -> list[list[Kept]]:
    """Samples of labelled images, in order: for each piece of an image, its variants.

    Without `augment`, or where an image is cut into several pieces, each list holds one sample.
    What `keep` makes of each is held.
    """
    made: dict[tuple[int, int], list[Kept]] = {}
    tasks = [
        (number, index, item, variant)
        for number, item in enumerate(items)
        for index, variant in enumerate(_variants(item, scaling, config, augment=augment))
    ]
    regions = RegionMaker(scaling, config, num_classes, pixels=stem is not None)
    with progress_bar("region graphs", len(tasks)) as bar:

        def work(task: tuple[int, int, Item, Variant]) -> list[Sample]:
            _, _, item, variant = task
            return _pieces(regions(item, variant), stem, config.tile)

        def done(task: tuple[int, int, Item, Variant], samples: list[Sample]) -> None:
            made[task[:2]] = [keep(sample) for sample in samples]
            bar.advance()

        run_tasks(work, tasks, workers=default_workers(), done=done)
    return [group for number in range(len(items)) for group in _groups(made, number)]


def _variants(item: Item, scaling: Scaling, config: TrainConfig, *, augment: bool) -> list[Variant]:
    return draw_variants(item.stem, scaling.num_channels, config) if augment else [Variant()]


def _groups(made: dict[tuple[int, int], list[Kept]], number: int) -> list[list[Kept]]:
    """The variants of one image as one list, or each of its pieces by itself."""
    variants = [made[key] for key in sorted(made) if key[0] == number]
    if all(len(pieces) == 1 for pieces in variants):
        return [[pieces[0] for pieces in variants]]
    return [[piece] for pieces in variants for piece in pieces]


def _pieces(regions: LabelledRegions, stem: Stem | None, tile: int) -> list[Sample]:
    """A labelled image in pieces of at most `tile` cells on a side."""
    table, counts, pixels = regions.table, regions.counts, regions.pixels

    def piece(window: Window) -> Sample:
        image = None
        if stem is not None and pixels is not None:
            image = cut_input(stem, *pixels, table.cell, window)
        seen = counts[window.slices].reshape(window.size, -1)
        return Sample(table.crop(window), seen, image)

    return [piece(window) for window in table.window.split(tile)]
