"""Gather a value per region at its pixels."""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.slic import MASKED


@njit(nogil=True, cache=True)
def paint(slots, step, values, first_y, first_x, fill, out):
    """Paint one window.

    Parameters
    ----------
    slots : (H, W) uint8
        The window starts at a corner of a cell.
    step : int
    values : (rows, columns) any
        Value of each home around the window, two cells wider where the image goes on.
    first_y, first_x : int
        Where the window's first cell lies in `values`.
    fill : same type as `values`
        Value of masked pixels.
    out : (H, W), same type as `values`
    """
    height, width = slots.shape
    nearby = np.empty(256, values.dtype)
    nearby[:] = fill
    for y0 in range(0, height, step):
        for x0 in range(0, width, step):
            own_y, own_x = first_y + y0 // step, first_x + x0 // step
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    home_y, home_x = own_y + dy, own_x + dx
                    inside = 0 <= home_y < values.shape[0] and 0 <= home_x < values.shape[1]
                    slot = 5 * (dy + 2) + dx + 2
                    nearby[slot] = values[home_y, home_x] if inside else fill
            for y in range(y0, min(y0 + step, height)):
                for x in range(x0, min(x0 + step, width)):
                    out[y, x] = nearby[slots[y, x]]


@njit(nogil=True, cache=True)
def count_labels(slots, step, labels, counts):
    """Add each pixel's label to its region's `(cells_y, cells_x, classes)` int32 histogram.

    Labels of `classes` and above (unlabelled), and masked pixels, are not counted.
    """
    height, width = slots.shape
    for y in range(height):
        for x in range(width):
            slot, label = np.int64(slots[y, x]), np.int64(labels[y, x])
            if slot != MASKED and label < counts.shape[2]:
                counts[y // step + slot // 5 - 2, x // step + slot % 5 - 2, label] += 1
