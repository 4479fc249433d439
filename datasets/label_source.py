"""The labels of one image, window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import InputError

if TYPE_CHECKING:
    from gnnseg.datasets.clicks import Click
    from gnnseg.io.classes import ClassInfo


@dataclass(frozen=True, eq=False)
class LabelSource:
    """Labels of `shape` (height, width), of which windows are read; `name` is for messages.

    `stored` gives those of a window (h, w), of any integer type, to which `clicks` (row, column,
    class) are added; they come in a type that holds `ignore_index` as well. `resident_bytes` is
    what they may take in memory besides, and `read_bytes` what reading a window of some shape takes
    on each thread, beside the labels.
    """

    name: str
    shape: tuple[int, int]
    stored: Callable[[Window], np.ndarray]
    classes: ClassInfo
    clicks: tuple[Click, ...] = ()
    resident_bytes: int = 0
    read_bytes: Callable[[tuple[int, int]], int] = lambda _shape: 0

    @property
    def bounds(self) -> Window:
        """The whole image, in pixels."""
        return Window(0, self.shape[0], 0, self.shape[1])

    def read(self, window: Window) -> np.ndarray:
        """The labels of a window, (h, w) integers; a click is the label of its pixel.

        Raises `InputError` for a label that is neither a class nor `ignore_index`.
        """
        labels = self.stored(window)
        self._check(labels)
        wide = np.promote_types(labels.dtype, np.min_scalar_type(self.classes.ignore_index))
        labels = labels.astype(wide, copy=False)
        inside = [click for click in self.clicks if _holds(window, click)]
        if inside:
            labels = labels.copy()
        for y, x, label in inside:
            labels[y - window.y0, x - window.x0] = label
        return labels

    def _check(self, labels: np.ndarray) -> None:
        known = (labels < self.classes.num_classes) & (labels >= 0)
        wrong = labels[~known & (labels != self.classes.ignore_index)]
        if wrong.size:
            raise InputError(
                f"{self.name}: holds the label {wrong[0]} ({wrong.size:,} such pixels); the "
                f"classes are 0 to {self.classes.num_classes - 1} and {self.classes.ignore_index} "
                "means no label"
            )


def of_file(path: Any, classes: ClassInfo, clicks: tuple[Click, ...] = ()) -> LabelSource:
    """The labels in a file; `InputError` where it holds no class indices."""
    from gnnseg.io import class_indices, open_labels

    image = open_labels(path)
    return LabelSource(
        str(path),
        (image.height, image.width),
        lambda window: class_indices(image.read(window)[0], path),
        classes,
        clicks,
        image.resident_bytes,
        image.read_bytes,
    )


def of_array(
    array: Any, name: str, classes: ClassInfo, clicks: tuple[Click, ...] = ()
) -> LabelSource:
    """The labels in an array, also of Dask or Zarr; `InputError` where they are no integers."""
    from gnnseg.io import open_image

    lazy = hasattr(array, "dask") or hasattr(array, "store_path")
    found = array if lazy else np.asanyarray(array)
    if np.dtype(found.dtype).kind not in "iub" or len(found.shape) != 2:
        raise InputError(
            f"{name}: labels are class numbers of shape (height, width), got {found.dtype} of "
            f"shape {found.shape}"
        )
    image = open_image(found, axes="YX")
    return LabelSource(
        name,
        (image.height, image.width),
        lambda window: image.read(window)[0],
        classes,
        clicks,
        image.resident_bytes,
        image.read_bytes,
    )


def of_clicks(
    shape: tuple[int, int], name: str, classes: ClassInfo, clicks: tuple[Click, ...]
) -> LabelSource:
    """Clicks alone: no other pixel has a label."""

    def nothing(window: Window) -> np.ndarray:
        return np.full(window.shape, classes.ignore_index, np.uint16)

    return LabelSource(name, shape, nothing, classes, clicks)


def _holds(window: Window, click: Click) -> bool:
    return window.y0 <= click[0] < window.y1 and window.x0 <= click[1] < window.x1
