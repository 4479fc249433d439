"""One labelled image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo

if TYPE_CHECKING:
    from gnnseg.datasets.clicks import Click
    from gnnseg.io import ImageSource


@dataclass(frozen=True, eq=False)
class Item:
    """An image and its labels: paths, arrays, or whatever `open_image` takes.

    `label` is None where nothing but `clicks` (row, column, class) tells the labels.
    """

    stem: str
    image: Any
    label: Any
    classes: ClassInfo
    axes: str | None = None
    clicks: tuple[Click, ...] = ()

    def open_image(self) -> ImageSource:
        """The image, to be read window by window."""
        from gnnseg.io import open_image

        return open_image(self.image, axes=self.axes)

    def read_labels(self) -> np.ndarray:
        """The labels, (height, width) integers; a click is the label of its pixel.

        Raises `InputError` for a label that is neither a class nor `ignore_index`.
        """
        labels = self._stored_labels()
        self._check(labels)
        return self._with_clicks(labels) if self.clicks else labels

    def load(self) -> tuple[ImageSource, np.ndarray]:
        """The image and its labels; raises `InputError` where their sizes differ."""
        image, labels = self.open_image(), self.read_labels()
        if labels.shape != (image.height, image.width):
            raise InputError(
                f"{self.stem}: the image has {image.height} x {image.width} pixels and its labels "
                f"{' x '.join(map(str, labels.shape))}: they must cover the same pixels"
            )
        return image, labels

    def _with_clicks(self, labels: np.ndarray) -> np.ndarray:
        labels = labels.copy()
        for y, x, label in self.clicks:
            if y < labels.shape[0] and x < labels.shape[1]:
                labels[y, x] = label
        return labels

    def _stored_labels(self) -> np.ndarray:
        if self.label is None:
            image = self.open_image()
            return np.full((image.height, image.width), self.classes.ignore_index, np.uint16)
        if not isinstance(self.label, (str, Path)):
            return np.asarray(self.label)
        from gnnseg.io import read_labels

        return read_labels(self.label)

    def _check(self, labels: np.ndarray) -> None:
        what = self.label if isinstance(self.label, (str, Path)) else f"the labels of {self.stem}"
        if labels.dtype.kind not in "iub" or labels.ndim != 2:
            raise InputError(
                f"{what}: labels are class numbers of shape (height, width), got {labels.dtype} of "
                f"shape {labels.shape}"
            )
        known = (labels < self.classes.num_classes) & (labels >= 0)
        wrong = labels[~known & (labels != self.classes.ignore_index)]
        if wrong.size:
            raise InputError(
                f"{what}: holds the label {wrong[0]} ({wrong.size:,} such pixels); the classes are "
                f"0 to {self.classes.num_classes - 1} and {self.classes.ignore_index} means "
                "no label"
            )
