"""How many superpixels of a volume have voxels."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import loop
from gnnseg.kernels.slots import LAYER, MASKED


def count_homes(
    slots: np.ndarray,
    steps: tuple[int, int],
    first: tuple[int, int, int],
    shape: tuple[int, int, int],
) -> int:
    """Count the homes in a box of cells that any voxel of a window has.

    Parameters
    ----------
    slots : (Z, H, W) uint8
        The window starts at a corner of a cell, and holds all voxels of the homes.
    steps : (z, yx)
        Cell size in voxels.
    first : (z, y, x)
        Where the box starts, in cells from the window's first.
    shape : (z, y, x)
        Cells of the box.

    Examples
    --------
    >>> slots = np.full((2, 4, 8), 62, np.uint8)
    >>> slots[:, :, 4:] = 61
    >>> count_homes(slots, (2, 4), (0, 0, 0), (1, 1, 2))
    1
    """
    taken = np.zeros(shape, np.bool_)
    _mark(slots, steps, first, taken)
    return int(taken.sum())


@loop
def _mark(slots, steps, first, taken):
    depth, height, width = taken.shape
    for z in range(slots.shape[0]):
        for y in range(slots.shape[1]):
            cell_z, cell_y = z // steps[0] - first[0] - 2, y // steps[1] - first[1] - 2
            for x in range(slots.shape[2]):
                slot = np.int64(slots[z, y, x])
                home_z, home_y = cell_z + slot // LAYER, cell_y + slot % LAYER // 5
                home_x = x // steps[1] - first[2] + slot % 5 - 2
                inside = 0 <= home_z < depth and 0 <= home_y < height and 0 <= home_x < width
                if inside and slot != MASKED:
                    taken[home_z, home_y, home_x] = True
