"""Samples as tensors, and several of them as one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from gnnseg.counters import moved
from gnnseg.models.group import FEATURES, STEM, run_groups
from gnnseg.models.level import Level, concatenate
from gnnseg.training.precision import half_pays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnseg.models import Model
    from gnnseg.models.stem import Stem, StemInput
    from gnnseg.training.samples import Sample

LEAST_UPDATES = 32
"""Of an epoch: few images would fit few batches, and what is learnt goes by updates."""


class Sized(Protocol):
    """What has a number of regions."""

    @property
    def num_nodes(self) -> int: ...


Piece = TypeVar("Piece", bound=Sized)


@dataclass(frozen=True)
class Batch:
    """Network input (N, F), the levels of the graph, pixels by class (N, classes), and images.

    `images` are what a stem reads, one after the other; empty for a network without one.
    """

    x: torch.Tensor
    levels: tuple[Level, ...]
    counts: torch.Tensor
    images: tuple[StemInput, ...] = ()

    @property
    def num_nodes(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> Batch:
        levels = tuple(level.to(device) for level in self.levels)
        images = tuple(image.to(device) for image in self.images)
        return Batch(moved(self.x, device), levels, moved(self.counts, device), images)


def make_batch(model: Model, sample: Sample) -> Batch:
    """One sample as tensors."""
    x = sample.table.x.reshape(sample.table.window.size, -1)
    levels = tuple(model.levels(sample.table))
    counts = torch.from_numpy(sample.counts).float()
    images = () if sample.image is None else (sample.image,)
    return Batch(model.standardise(x), levels, counts, images)


def join(batches: Sequence[Batch]) -> Batch:
    """Graphs side by side, as one."""
    return Batch(
        torch.cat([batch.x for batch in batches]),
        tuple(concatenate(levels) for levels in zip(*(b.levels for b in batches), strict=True)),
        torch.cat([batch.counts for batch in batches]),
        tuple(image for batch in batches for image in batch.images),
    )


def compute_logits(network: Any, batch: Batch) -> torch.Tensor:
    """Logits (N, classes) of a batch."""
    states = {FEATURES: batch.x}
    if network.stem is not None:
        states[STEM] = _stem_states(network.stem, batch)
    return run_groups(network, states, dict(enumerate(batch.levels)))


def _stem_states(stem: Stem, batch: Batch) -> torch.Tensor:
    """States (N, channels) of all regions, image by image."""
    sizes = [image.num_regions for image in batch.images]
    areas = batch.levels[0].area.split(sizes)
    states = []
    for image, area in zip(batch.images, areas, strict=True):
        half = torch.is_grad_enabled() and half_pays(area.device)
        with torch.autocast(area.device.type, torch.bfloat16, enabled=half):
            maps = stem.maps(image)
        states.append(stem.pool(maps, image, area))
    return torch.cat(states)


def shuffled(
    pieces: Sequence[Piece], limit: int, generator: torch.Generator
) -> Iterator[list[Piece]]:
    """All pieces once, in random order, in lists of up to `limit` regions.

    There are at least `LEAST_UPDATES` lists, as far as there are pieces of about one size.
    """
    limit = min(limit, sum(piece.num_nodes for piece in pieces) // LEAST_UPDATES)
    chosen: list[Piece] = []
    for index in torch.randperm(len(pieces), generator=generator).tolist():
        if chosen and sum(p.num_nodes for p in chosen) + pieces[index].num_nodes > limit:
            yield chosen
            chosen = []
        chosen.append(pieces[index])
    if chosen:
        yield chosen


def shards(pieces: Sequence[Piece], number: int, own: slice = slice(None)) -> list[list[Piece]]:
    """At most `number` parts of about equal size, in a fixed order; `own` of them."""
    parts: list[list[Piece]] = [[] for _ in range(number)]
    for piece in sorted(pieces, key=lambda p: -p.num_nodes):
        min(parts, key=lambda part: sum(p.num_nodes for p in part)).append(piece)
    return [part for part in parts[own] if part]
