"""One labelled image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.datasets.label_source import LabelSource, of_array, of_clicks, of_file
from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo

if TYPE_CHECKING:
    import numpy as np

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

    def open_labels(self) -> LabelSource:
        """The labels, to be read window by window.

        Raises `InputError` where they are no class numbers of shape (height, width).
        """
        if self.label is None:
            image = self.open_image()
            shape = image.height, image.width
            return of_clicks(shape, self._labels_name, self.classes, self.clicks)
        if isinstance(self.label, (str, Path)):
            return of_file(self.label, self.classes, self.clicks)
        return of_array(self.label, self._labels_name, self.classes, self.clicks)

    def read_labels(self) -> np.ndarray:
        """The labels, (height, width) integers; a click is the label of its pixel.

        Raises `InputError` for a label that is neither a class nor `ignore_index`.
        """
        labels = self.open_labels()
        return labels.read(labels.bounds)

    def open_pair(self) -> tuple[ImageSource, LabelSource]:
        """The image and its labels; raises `InputError` where their sizes differ."""
        image, labels = self.open_image(), self.open_labels()
        if labels.shape != (image.height, image.width):
            raise InputError(
                f"{self.stem}: the image has {image.height} x {image.width} pixels and its labels "
                f"{' x '.join(map(str, labels.shape))}: they must cover the same pixels"
            )
        return image, labels

    def load(self) -> tuple[ImageSource, np.ndarray]:
        """The image and all its labels; raises `InputError` where their sizes differ."""
        image, labels = self.open_pair()
        return image, labels.read(labels.bounds)

    @property
    def _labels_name(self) -> str:
        return f"the labels of {self.stem}"


@dataclass(frozen=True)
class OpenedImages:
    """The images of some items, opened anew each time that they are gone through: none is held."""

    items: Sequence[Item]

    def __iter__(self) -> Iterator[ImageSource]:
        return (item.open_image() for item in self.items)
