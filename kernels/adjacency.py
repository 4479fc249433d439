"""Which regions touch, along how many pixel sides, with how much contrast."""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.runs import list_across, list_down
from gnnseg.kernels.slic import MASKED

REACH = 2
"""Edges join homes at most two cells apart on each axis."""
CODES = (2 * REACH + 1) ** 2
"""Number of lattice offsets; code = 5 * (dy + 2) + (dx + 2), of the source seen from the target."""


def adjacency(
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    contact: np.ndarray,
    contrast: np.ndarray,
    boundary: np.ndarray,
    corner: tuple[int, int] = (0, 0),
) -> None:
    """Add the pixel sides between regions to the tables of both.

    Parameters
    ----------
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell.
    step : int
    contact : (cells_y, cells_x, 25) int32
        Pixel sides shared with the region at each offset.
    contrast : (cells_y, cells_x, 25) int32
        Sum of the absolute grey differences across those sides.
    boundary : (cells_y, cells_x) int32
        All sides shared with another region, also one too far for an edge.
    corner : (y, x)
        Where in `grey` the window starts.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import adjacency as gpu

        gpu.adjacency(grey, slots, step, contact, contrast, boundary, corner)
    else:
        _count_sides(grey, slots, step, contact, contrast, boundary, corner)


@njit(nogil=True, cache=True, error_model="numpy")
def _count_sides(grey, slots, step, contact, contrast, boundary, corner):
    height, width = slots.shape
    top, left = corner
    listed = np.empty(width + 1, np.int32)
    for y in range(height):
        here, row, cell_y = slots[y], grey[top + y, left : left + width], y // step
        for n in range(1, list_across(here, step, listed)):
            x = listed[n]
            if here[x - 1] != MASKED and here[x] != MASKED:
                cell_x = x // step
                a = _home(here[x - 1], cell_y, cell_x - (x == cell_x * step))
                b = _home(here[x], cell_y, cell_x)
                difference = abs(np.int32(row[x - 1]) - np.int32(row[x]))
                _side(a, b, difference, contact, contrast, boundary)
        if y + 1 == height:
            break
        below, row_below = slots[y + 1], grey[top + y + 1, left : left + width]
        next_cell = (y + 1) // step
        for n in range(list_down(here, below, next_cell > cell_y, listed)):
            x = listed[n]
            if here[x] != MASKED and below[x] != MASKED:
                cell_x = x // step
                a, b = _home(here[x], cell_y, cell_x), _home(below[x], next_cell, cell_x)
                difference = abs(np.int32(row[x]) - np.int32(row_below[x]))
                _side(a, b, difference, contact, contrast, boundary)


@njit(nogil=True, cache=True)
def _home(slot, cell_y, cell_x):
    return cell_y + slot // 5 - REACH, cell_x + slot % 5 - REACH


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _side(a, b, difference, contact, contrast, boundary):
    """Count one pixel side between two regions in the tables of both."""
    cells_y, cells_x = boundary.shape
    dy, dx = b[0] - a[0], b[1] - a[1]
    code = 5 * (dy + REACH) + dx + REACH
    near = abs(dy) <= REACH and abs(dx) <= REACH
    if 0 <= a[0] < cells_y and 0 <= a[1] < cells_x:
        boundary[a] += 1
        if near:
            contact[a[0], a[1], code] += 1
            contrast[a[0], a[1], code] += difference
    if 0 <= b[0] < cells_y and 0 <= b[1] < cells_x:
        boundary[b] += 1
        if near:
            contact[b[0], b[1], CODES - 1 - code] += 1
            contrast[b[0], b[1], CODES - 1 - code] += difference
