"""The arrays that a segmentation paints, and what goes into them for some logits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.io import quantise
from gnnseg.pipeline.probability import entropy, softmax


@dataclass(frozen=True, eq=False)
class Canvas:
    """Labels, and what else there is an array for.

    `labels` is (Y, X) or (Z, Y, X); `probabilities` and `uncertainty` have channels before that.
    The first of `num_classes` classes is `label_offset`; logits are divided by `temperature`
    before they become probabilities.
    """

    num_classes: int
    temperature: float
    label_offset: int
    labels: Any
    probabilities: Any = None
    uncertainty: Any = None

    @property
    def unlabelled(self) -> int:
        """The highest value of the labels' type."""
        return int(np.iinfo(self.labels.dtype).max)

    def best(self, logits: np.ndarray) -> np.ndarray:
        """Labels (N,) from logits (N, classes)."""
        labels: np.ndarray = (logits.argmax(axis=1) + self.label_offset).astype(self.labels.dtype)
        return labels

    def maps(self, logits: np.ndarray) -> np.ndarray:
        """Uncertainty and probabilities from logits, as far as wanted, (N, columns) uint8."""
        columns = [np.empty((len(logits), 0), np.uint8)]
        if self.uncertainty is not None or self.probabilities is not None:
            chances = softmax(logits, self.temperature)
            if self.uncertainty is not None:
                columns.append(quantise(entropy(chances))[:, None])
            if self.probabilities is not None:
                columns.append(quantise(chances))
        return np.concatenate(columns, axis=1)

    @property
    def num_maps(self) -> int:
        """Columns of `maps`."""
        return sum(1 for _ in self._targets())

    def write_labels(
        self, plane: int, window: Window, values: np.ndarray, crc32: int = 0
    ) -> dict[str, Any]:
        """Write the labels of a window of a plane; its pixels by class, and a checksum.

        The checksum goes on from that of what was written before.
        """
        _write(self.labels, plane, window, values)
        counts = np.bincount(values.ravel(), minlength=self.unlabelled + 1)
        first = self.label_offset
        return {
            "pixels": counts[first : first + self.num_classes].tolist(),
            "unlabelled": int(counts[-1]),
            "crc32": zlib.crc32(np.ascontiguousarray(values).tobytes(), crc32),
        }

    def write_map(self, column: int, plane: int, window: Window, values: np.ndarray) -> None:
        """Write what a column of `maps` gives for a window of a plane."""
        array, channel = list(self._targets())[column]
        _write(array, plane, window, values, channel=channel)

    def _targets(self) -> Iterator[tuple[Any, int]]:
        """Array and channel of each column of the maps."""
        if self.uncertainty is not None:
            yield self.uncertainty, 0
        if self.probabilities is not None:
            for channel in range(self.num_classes):
                yield self.probabilities, channel


def _write(
    array: Any, plane: int, window: Window, values: np.ndarray, *, channel: int | None = None
) -> None:
    """Write a window of a plane, of one channel where there are some."""
    channels = () if channel is None else (channel,)
    planes = (plane,) if array.ndim > len(channels) + 2 else ()
    array[(*channels, *planes, *window.slices)] = values
