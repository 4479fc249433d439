"""What is labelled in an image already, window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gnnseg.blocks import CHUNK_PIXELS
from gnnseg.errors import InputError
from gnnseg.io import open_labels
from gnnseg.pipeline.count_blocks import check_labels

if TYPE_CHECKING:
    import numpy as np

    from gnnseg.blocks import Window
    from gnnseg.datasets.item import Item
    from gnnseg.datasets.label_source import LabelSource
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.options import SegmentOptions


@dataclass(frozen=True)
class Known:
    """Labels of `shape` (planes, rows, columns): `read` gives those of a window of a plane.

    `resident_bytes` is what they may take in memory besides, `read_bytes` what reading a window of
    some shape takes on each thread. `identity`, for JSON, changes with them; `name` is for
    messages. Where there is a `source`, all must be classes of its table.
    """

    name: str
    shape: tuple[int, int, int]
    read: Callable[[Window, int], np.ndarray]
    resident_bytes: int
    read_bytes: Callable[[tuple[int, int]], int]
    identity: Any
    source: LabelSource | None = None

    def check(self, image: ImageSource) -> None:
        """Raise `InputError` where they do not cover the pixels of an image."""
        expected = image.num_planes, image.height, image.width
        if self.shape != expected:
            raise InputError(
                f"{self.name}: has (planes, rows, columns) {self.shape} and the image {expected}: "
                "labels must cover the same pixels"
            )

    def check_values(self, options: SegmentOptions) -> None:
        """Read all of them, window by window; raise `InputError` for one that is no class."""
        if self.source is not None:
            check_labels(self.source, CHUNK_PIXELS, options)


def known_of_image(labels: ImageSource) -> Known:
    """A label image; `InputError` where it holds anything but one whole number a pixel."""
    if labels.num_channels != 1 or labels.dtype.kind not in "ui":
        got = f"{labels.num_channels} channel(s) of {labels.dtype}"
        raise InputError(f"{labels.name}: labels hold one whole number a pixel, got {got}")
    return Known(
        labels.name,
        (labels.num_planes, labels.height, labels.width),
        lambda window, plane: labels.read(window, plane)[0],
        labels.resident_bytes,
        labels.read_bytes,
        labels.fingerprint(),
    )


def known_of_item(item: Item) -> Known:
    """The labels of an image of a dataset's folder, which is one plane."""
    labels = item.open_labels()
    stored = None if item.label is None else open_labels(item.label).fingerprint()
    return Known(
        labels.name,
        (1, *labels.shape),
        lambda window, _plane: labels.read(window),
        labels.resident_bytes,
        labels.read_bytes,
        [stored, [list(click) for click in item.clicks]],
        labels,
    )
