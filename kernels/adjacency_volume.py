"""Which regions of a volume touch, along how many sides of voxels, with how much contrast."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.adjacency import REACH
from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.runs import ROW, inlined_way_home, list_across, list_shifted
from gnnseg.kernels.slots import LAYER, MASKED

CODES = (2 * REACH + 1) ** 3
"""Number of lattice offsets; code = 25 * (dz + 2) + 5 * (dy + 2) + (dx + 2)."""
LAYERS = 6
"""Layers of homes that the voxels of a plane and of the next may have, from two before on."""

MOST_CONTRAST = np.iinfo(np.int32).max
"""Where sums of contrast stop: large faces count up to 256 times."""

Tables = tuple[np.ndarray, np.ndarray, np.ndarray]


def adjacency_in_plane(
    grey: np.ndarray,
    slots: np.ndarray,
    step: int,
    tables: Tables,
    corner: tuple[int, int],
    weight: int,
) -> None:
    """Add the sides between the voxels of a plane to the tables of both regions.

    Parameters
    ----------
    grey : (H', W') int16
        Lightness.
    slots : (H, W) uint8
        Slots of a window that starts at a corner of a cell.
    step : int
    tables : contact and contrast (6, cells_y, cells_x, 125), boundary (6, cells_y, cells_x) int32
        As for a plane (`gnnseg.kernels.adjacency`), of `LAYERS` layers of homes.
    corner : (y, x)
        Where in `grey` the window starts.
    weight : int
        What a side counts.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import adjacency as gpu

        gpu.adjacency_in_plane(grey, slots, step, tables, corner, weight)
        return
    _count_across(grey, slots, step, tables, corner, weight)
    later, grey_later = slots[1:], grey[1:]
    _count_to_next((grey, grey_later), (slots[:-1], later), step, (0, 1), tables, corner, weight)


def adjacency_along_z(
    grey: tuple[np.ndarray, np.ndarray],
    slots: tuple[np.ndarray, np.ndarray],
    step: int,
    new_layer: bool,
    tables: Tables,
    corner: tuple[int, int],
    weight: int,
) -> None:
    """Add the sides between the voxels of a plane and of the next to the tables of both regions.

    Arguments as within a plane, of both planes; `new_layer` tells that a layer of cells begins with
    the second. The layers of the tables are those around the first.
    """
    if is_device_array(slots[0]):
        from gnnseg.kernels.cuda import adjacency as gpu

        gpu.adjacency_along_z(grey, slots, step, new_layer, tables, corner, weight)
        return
    _count_to_next(grey, slots, step, (int(new_layer), 0), tables, corner, weight)


@loop
def _count_across(grey, slots, step, tables, corner, weight):
    listed = np.empty(slots.shape[1] + 1, np.int32)
    for y in range(slots.shape[0]):
        here, row, cell_y = slots[y], grey[corner[0] + y, corner[1] :], y // step
        for n in range(1, list_across(here, step, listed)):
            x = listed[n]
            if here[x - 1] != MASKED and here[x] != MASKED:
                a, b = (
                    _home(here[x - 1], cell_y, (x - 1) // step),
                    _home(here[x], cell_y, x // step),
                )
                difference = abs(np.int32(row[x - 1]) - np.int32(row[x]))
                _side(a, b, difference, weight, tables)


@loop
def _count_to_next(grey, slots, step, moved, tables, corner, weight):
    """Count the sides of voxels with those one plane, or one row, further.

    `moved` tells by how many layers of cells that may lead, and rows.
    """
    listed = np.empty(slots[0].shape[1] + 1, np.int32)
    for y in range(slots[0].shape[0]):
        here, there, cell_y = slots[0][y], slots[1][y], y // step
        next_y = (y + moved[1]) // step
        shift = LAYER * moved[0] + ROW * (next_y - cell_y)
        for n in range(list_shifted(here, there, shift, listed)):
            x = listed[n]
            if here[x] != MASKED and there[x] != MASKED:
                a, b = _home(here[x], cell_y, x // step), _home(there[x], next_y, x // step)
                at = corner[0] + y, corner[1] + x
                difference = abs(np.int32(grey[0][at]) - np.int32(grey[1][at]))
                _side(a, (b[0] + moved[0], b[1], b[2]), difference, weight, tables)


@inlined
def _home(slot, cell_y, cell_x):
    layer, row, column = inlined_way_home(slot)
    return np.int64(layer), cell_y + row - REACH, cell_x + column - REACH


@part
def _side(a, b, difference, weight, tables):
    """Count one side between two regions in the tables of both."""
    contact, contrast, boundary = tables
    _, cells_y, cells_x = boundary.shape
    dz, dy, dx = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    more = np.int64(weight) * difference
    code = LAYER * (dz + REACH) + ROW * (dy + REACH) + dx + REACH
    near = abs(dz) <= REACH and abs(dy) <= REACH and abs(dx) <= REACH
    if 0 <= a[1] < cells_y and 0 <= a[2] < cells_x:
        boundary[a] += weight
        if near:
            contact[a[0], a[1], a[2], code] += weight
            at = a[0], a[1], a[2], code
            contrast[at] = min(np.int64(contrast[at]) + more, MOST_CONTRAST)
    if 0 <= b[1] < cells_y and 0 <= b[2] < cells_x:
        boundary[b] += weight
        if near:
            contact[b[0], b[1], b[2], CODES - 1 - code] += weight
            at = b[0], b[1], b[2], CODES - 1 - code
            contrast[at] = min(np.int64(contrast[at]) + more, MOST_CONTRAST)
