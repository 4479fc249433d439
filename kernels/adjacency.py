"""Which regions touch, along how many pixel sides, with how much contrast."""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnseg.kernels.slic import MASKED

REACH = 2
"""Edges join homes at most two cells apart on each axis."""
CODES = (2 * REACH + 1) ** 2
"""Number of lattice offsets; code = 5 * (dy + 2) + (dx + 2), of the source seen from the target."""


@njit(nogil=True, cache=True)
def adjacency(grey, slots, step, contact, contrast, boundary):
    """Add the pixel sides between regions to the tables of both.

    Parameters
    ----------
    grey : (H, W) int16
        Lightness; the window starts at a corner of a cell.
    slots : (H, W) uint8
    step : int
    contact : (cells_y, cells_x, 25) int32
        Pixel sides shared with the region at each offset.
    contrast : (cells_y, cells_x, 25) int32
        Sum of the absolute grey differences across those sides.
    boundary : (cells_y, cells_x) int32
        All sides shared with another region, also one too far for an edge.
    """
    height, width = slots.shape
    cells_y, cells_x = boundary.shape
    here = np.empty(width, np.int64)
    below = np.empty(width, np.int64)
    _home_row(slots[0], 0, step, cells_x, here)
    for y in range(height):
        if y + 1 < height:
            _home_row(slots[y + 1], (y + 1) // step, step, cells_x, below)
        else:
            below[:] = here
        for x in range(width):
            home = here[x]
            if x + 1 < width and here[x + 1] != home:
                difference = abs(np.int32(grey[y, x]) - np.int32(grey[y, x + 1]))
                _side(home, here[x + 1], difference, cells_y, cells_x, contact, contrast, boundary)
            if below[x] != home:
                difference = abs(np.int32(grey[y, x]) - np.int32(grey[y + 1, x]))
                _side(home, below[x], difference, cells_y, cells_x, contact, contrast, boundary)
        here, below = below, here


@njit(nogil=True, cache=True)
def _home_row(slots, cell_y, step, cells_x, homes):
    """Write the home of each pixel of a row, on a lattice two cells wider all round; -1: masked."""
    wide = cells_x + 2 * REACH
    for cell_x in range(-(-slots.size // step)):
        own = (cell_y + REACH) * wide + cell_x + REACH
        for x in range(cell_x * step, min((cell_x + 1) * step, slots.size)):
            slot = np.int64(slots[x])
            home = own + (slot // 5 - 2) * wide + slot % 5 - 2
            homes[x] = home if slot != MASKED else -1


@njit(nogil=True, cache=True)
def _side(a, b, difference, cells_y, cells_x, contact, contrast, boundary):
    """Count one pixel side between two regions in the tables of both."""
    if a < 0 or b < 0:
        return
    wide = cells_x + 2 * REACH
    ay, ax = a // wide - REACH, a % wide - REACH
    by, bx = b // wide - REACH, b % wide - REACH
    dy, dx = by - ay, bx - ax
    code = 5 * (dy + REACH) + dx + REACH
    near = abs(dy) <= REACH and abs(dx) <= REACH
    if 0 <= ay < cells_y and 0 <= ax < cells_x:
        boundary[ay, ax] += 1
        if near:
            contact[ay, ax, code] += 1
            contrast[ay, ax, code] += difference
    if 0 <= by < cells_y and 0 <= bx < cells_x:
        boundary[by, bx] += 1
        if near:
            contact[by, bx, CODES - 1 - code] += 1
            contrast[by, bx, CODES - 1 - code] += difference
