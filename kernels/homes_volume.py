"""How many superpixels of a volume have voxels."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import full, is_device_array, on_host
from gnnseg.kernels.compiled import loop
from gnnseg.kernels.runs import inlined_way_home
from gnnseg.kernels.slots import MASKED, REACH


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
    taken = full(shape, np.bool_, False, like=slots)
    if is_device_array(slots):
        from gnnseg.kernels.cuda import homes_volume as gpu

        gpu.mark_homes(slots, steps, first, taken)
    else:
        _mark_homes(slots, steps, first, taken)
    return int(np.count_nonzero(on_host(taken)))


@loop
def _mark_homes(slots, steps, first, taken):
    depth, height, width = taken.shape
    for z in range(slots.shape[0]):
        for y in range(slots.shape[1]):
            first_z, first_y = z // steps[0] - first[0] - REACH, y // steps[1] - first[1] - REACH
            for x in range(slots.shape[2]):
                slot = np.int64(slots[z, y, x])
                layer, row, column = inlined_way_home(slot)
                home_z, home_y = first_z + layer, first_y + row
                home_x = x // steps[1] - first[2] - REACH + column
                inside = 0 <= home_z < depth and 0 <= home_y < height and 0 <= home_x < width
                if inside and slot != MASKED:
                    taken[home_z, home_y, home_x] = True
