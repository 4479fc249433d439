"""Which regions touch, along how many pixel sides, with how much contrast."""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.runs import ROW, list_across, list_down
from gnnseg.kernels.slic import LAYER, MASKED

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
    weight: int = 1,
) -> None:
    """Add the pixel sides between regions to the tables of both.

    Parameters
    ----------
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell; of a plane, or of one of a volume.
    step : int
    contact : (cells_y, cells_x, 25) int32
        Pixel sides shared with the region at each offset. For a plane of a volume, (layers,
        cells_y, cells_x, 125), contiguous: at least five layers, from two before its own on; the
        other tables alike.
    contrast : (cells_y, cells_x, 25) int32
        Sum of the absolute grey differences across those sides.
    boundary : (cells_y, cells_x) int32
        All sides shared with another region, also one too far for an edge.
    corner : (y, x)
        Where in `grey` the window starts.
    weight : int
        What a side counts (in memory only).
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import adjacency as gpu

        gpu.adjacency(grey, slots, step, contact, contrast, boundary, corner)
    else:
        _count_sides(grey, slots, step, *_layered(contact, contrast, boundary), corner, weight)


def adjacency_along_z(
    grey: tuple[np.ndarray, np.ndarray],
    slots: tuple[np.ndarray, np.ndarray],
    step: int,
    new_layer: bool,
    contact: np.ndarray,
    contrast: np.ndarray,
    boundary: np.ndarray,
    corner: tuple[int, int] = (0, 0),
    weight: int = 1,
) -> None:
    """Add the sides between the voxels of a plane and of the next to the tables of both regions.

    Arguments as for `adjacency`, of both planes; `new_layer` tells that a layer of cells begins
    with the second. The tables have at least six layers, from two before that of the first on.
    """
    tables = _layered(contact, contrast, boundary)
    _count_sides_along_z(grey, slots, step, int(new_layer), *tables, corner, weight)


def _layered(
    contact: np.ndarray, contrast: np.ndarray, boundary: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables with an axis of layers; those of a plane have one."""
    shape = -1, *contact.shape[-3:]
    return contact.reshape(shape), contrast.reshape(shape), boundary.reshape(shape[:3])


@njit(nogil=True, cache=True, error_model="numpy")
def _count_sides(grey, slots, step, contact, contrast, boundary, corner, weight):
    height, width = slots.shape
    top, left = corner
    listed = np.empty(width + 1, np.int32)
    for y in range(height):
        here, row, cell_y = slots[y], grey[top + y, left : left + width], y // step
        for n in range(1, list_across(here, step, listed)):
            x = listed[n]
            if here[x - 1] != MASKED and here[x] != MASKED:
                cell_x = x // step
                a = _home(here[x - 1], 0, cell_y, cell_x - (x == cell_x * step))
                b = _home(here[x], 0, cell_y, cell_x)
                difference = abs(np.int32(row[x - 1]) - np.int32(row[x]))
                _side(a, b, difference, weight, contact, contrast, boundary)
        if y + 1 == height:
            break
        below, row_below = slots[y + 1], grey[top + y + 1, left : left + width]
        next_cell = (y + 1) // step
        for n in range(list_down(here, below, ROW * (next_cell > cell_y), listed)):
            x = listed[n]
            if here[x] != MASKED and below[x] != MASKED:
                cell_x = x // step
                a, b = _home(here[x], 0, cell_y, cell_x), _home(below[x], 0, next_cell, cell_x)
                difference = abs(np.int32(row[x]) - np.int32(row_below[x]))
                _side(a, b, difference, weight, contact, contrast, boundary)


@njit(nogil=True, cache=True, error_model="numpy")
def _count_sides_along_z(grey, slots, step, new_layer, contact, contrast, boundary, corner, weight):
    height, width = slots[0].shape
    listed = np.empty(width + 1, np.int32)
    for y in range(height):
        here, there, cell_y = slots[0][y], slots[1][y], y // step
        for n in range(list_down(here, there, LAYER * new_layer, listed)):
            x = listed[n]
            if here[x] != MASKED and there[x] != MASKED:
                cell_x = x // step
                a = _home(here[x], 0, cell_y, cell_x)
                b = _home(there[x], new_layer, cell_y, cell_x)
                at = corner[0] + y, corner[1] + x
                difference = abs(np.int32(grey[0][at]) - np.int32(grey[1][at]))
                _side(a, b, difference, weight, contact, contrast, boundary)


@njit(nogil=True, cache=True)
def _home(slot, layer, cell_y, cell_x):
    home_y, home_x = cell_y + slot % LAYER // 5 - REACH, cell_x + slot % 5 - REACH
    return layer + slot // LAYER, home_y, home_x


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _side(a, b, difference, weight, contact, contrast, boundary):
    """Count one pixel side between two regions in the tables of both."""
    (_, cells_y, cells_x), codes = boundary.shape, contact.shape[3]
    deep = codes // LAYER // 2  # reach along z: none in a plane
    dz, dy, dx = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    code = LAYER * (dz + deep) + 5 * (dy + REACH) + dx + REACH
    near = abs(dz) <= deep and abs(dy) <= REACH and abs(dx) <= REACH
    if 0 <= a[1] < cells_y and 0 <= a[2] < cells_x:
        boundary[a] += weight
        if near:
            contact[a[0], a[1], a[2], code] += weight
            contrast[a[0], a[1], a[2], code] += weight * difference
    if 0 <= b[1] < cells_y and 0 <= b[2] < cells_x:
        boundary[b] += weight
        if near:
            contact[b[0], b[1], b[2], codes - 1 - code] += weight
            contrast[b[0], b[1], b[2], codes - 1 - code] += weight * difference
