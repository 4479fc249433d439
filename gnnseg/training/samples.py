"""Labelled images as pieces of region graphs, ready for batches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from gnnseg.blocks import Window
from gnnseg.execution import default_workers, run_tasks
from gnnseg.models.stem_window import cut_input
from gnnseg.progress import progress_bar
from gnnseg.training.augment import Variant, draw_variants
from gnnseg.training.regions import LabelledRegions, RegionMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from gnnseg.datasets.item import Item
    from gnnseg.graph import RegionTable
    from gnnseg.models.stem import Stem, StemInput
    from gnnseg.superpixels import Scaling
    from gnnseg.training.config import TrainConfig

Kept = TypeVar("Kept")

_ALIGNED = 16
"""Pieces begin at multiples of so many cells, where cells of the coarsest level do."""


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
    tile: int,
    stem: Stem | None = None,
    augment: bool = False,
) -> list[list[list[Kept]]]:
    """Samples of labelled images, in order: for each image its variants, for each its pieces.

    Pieces have at most `tile` cells on a side. Without `augment` an image is its only variant.
    What `keep` makes of a piece is held.
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
            return _pieces(regions(item, variant), stem, tile)

        def done(task: tuple[int, int, Item, Variant], samples: list[Sample]) -> None:
            made[task[:2]] = [keep(sample) for sample in samples]
            bar.advance()

        run_tasks(work, tasks, workers=default_workers(), done=done)
    found: list[list[list[Kept]]] = [[] for _ in items]
    for number, index in sorted(made):
        found[number].append(made[number, index])
    return found


def _variants(item: Item, scaling: Scaling, config: TrainConfig, *, augment: bool) -> list[Variant]:
    return draw_variants(item.stem, scaling.num_channels, config) if augment else [Variant()]


def _pieces(regions: LabelledRegions, stem: Stem | None, tile: int) -> list[Sample]:
    """A labelled image in pieces of about one size, of at most `tile` cells on a side."""
    table, counts, pixels = regions.table, regions.counts, regions.pixels

    def piece(window: Window) -> Sample:
        image = None
        if stem is not None and pixels is not None:
            image = cut_input(stem, *pixels, table.cell, window)
        seen = counts[window.slices].reshape(window.size, -1)
        return Sample(table.crop(window), seen, image)

    rows, columns = (_cuts(cells, tile) for cells in table.window.shape)
    windows = (Window(*row, *column) for row in pairwise(rows) for column in pairwise(columns))
    return [piece(window) for window in windows]


def _cuts(cells: int, tile: int) -> list[int]:
    """Where a side is cut into few parts of about one size, of at most `tile` cells.

    >>> _cuts(130, 128), _cuts(40, 128)
    ([0, 64, 130], [0, 40])
    """
    number = -(-cells // tile)
    while True:
        inner = [round(n * cells / number / _ALIGNED) * _ALIGNED for n in range(number)]
        cuts = [*inner, cells]
        if max(stop - start for start, stop in pairwise(cuts)) <= tile:
            return cuts
        number += 1
