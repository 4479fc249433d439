"""What the commonest class of every region reaches, counted from slots and labels."""

from __future__ import annotations

import numpy as np

from gnnseg.blocks import Window
from gnnseg.kernels.slots import MASKED
from gnnseg.metrics.confusion import count_regions


def count_commonest(pixels: np.ndarray) -> np.ndarray:
    """As `count_regions`, where regions of `pixels` (N, classes) int64 get their commonest class.

    Of equally common classes the lowest wins.
    """
    return count_regions(pixels.argmax(axis=1), pixels)


def count_ceiling(
    slots: np.ndarray, labels: np.ndarray, step: int, homes: Window, num_classes: int
) -> np.ndarray:
    """The same of the regions of `homes`, and masked pixels of these cells, which have no label.

    Arguments as in `pixels_by_class`. Windows of homes add up to the whole image.
    """
    counts = count_commonest(pixels_by_class(slots, labels, step, homes, num_classes))
    own = homes.scale(step).slices
    lost = labels[own][(slots[own] == MASKED) & (labels[own] < num_classes)]
    counts[:, -1] += np.bincount(lost.astype(np.int64), minlength=num_classes)
    return counts


def count_filled(slots: np.ndarray, step: int, homes: Window) -> int:
    """How many regions of `homes` have a pixel; slots as in `pixels_by_class`."""
    areas = pixels_by_class(slots, np.zeros_like(slots), step, homes, 1)
    return int((areas > 0).sum())


def pixels_by_class(
    slots: np.ndarray, labels: np.ndarray, step: int, homes: Window, num_classes: int
) -> np.ndarray:
    """Pixels of each region by class, (regions, classes) int64, of labels below `num_classes`.

    `slots` and `labels` (H, W) cover the pixels of the regions of `homes`, a window that counts
    from the first cell of the slots.
    """
    slot, (rows, columns) = slots.astype(np.int32), homes.shape
    y = np.arange(slots.shape[0], dtype=np.int32)[:, None] // step + slot // 5 - 2 - homes.y0
    x = np.arange(slots.shape[1], dtype=np.int32)[None, :] // step + slot % 5 - 2 - homes.x0
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    inside &= (slots != MASKED) & (labels < num_classes)
    places = (y[inside].astype(np.int64) * columns + x[inside]) * num_classes
    places += labels[inside].astype(np.int64)
    found = np.bincount(places, minlength=rows * columns * num_classes)
    return found.reshape(-1, num_classes)
