"""Samples of a training: in memory as far as they may, the others in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.memory import default_budget, parse_size
from gnnseg.training.packing import Stored, num_bytes, store

if TYPE_CHECKING:
    from gnnseg.training.config import TrainConfig
    from gnnseg.training.samples import Sample


@dataclass(frozen=True)
class Kept:
    """A sample that can be had again: of `num_nodes` regions, `labelled` ones with a label.

    `pixels` are the labelled ones by class, (classes,) int64.
    """

    num_nodes: int
    labelled: int
    pixels: np.ndarray
    place: Sample | Stored

    def load(self) -> Sample:
        """The sample; where it lies in a file, in memory of its own."""
        if isinstance(self.place, Stored):
            found: Sample = self.place.load()
            return found
        return self.place


class Shelf:
    """Keeps samples in memory up to `most` bytes, and those that come later in a file."""

    def __init__(self, most: int, file: Path) -> None:
        self.most, self.file = most, file
        self.taken = 0

    def keep(self, sample: Sample) -> Kept:
        size, counts = num_bytes(sample), sample.counts
        about = len(counts), int(counts.any(axis=1).sum()), counts.sum(axis=0, dtype=np.int64)
        if self.taken + size > self.most:
            # Pieces of an image hold on to all of it: no later one may slip in.
            self.most = 0
            return Kept(*about, store(sample, self.file))
        self.taken += size
        return Kept(*about, sample)


@contextmanager
def open_shelf(config: TrainConfig) -> Iterator[Shelf]:
    """A shelf of the size that the configuration names; its file goes when the training ends."""
    most = default_budget() if config.graph_memory is None else parse_size(config.graph_memory)
    with tempfile.TemporaryDirectory(prefix="gnnseg-") as folder:
        yield Shelf(most, Path(folder) / "samples")
