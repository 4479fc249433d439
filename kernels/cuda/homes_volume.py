"""Which superpixels of a volume have voxels, on a GPU."""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.cuda.homes import way_home
from gnnseg.kernels.cuda.launch import per_voxel
from gnnseg.kernels.slots import MASKED, REACH


def mark_homes(slots: Any, steps: tuple[int, int], first: tuple[int, int, int], taken: Any) -> None:
    """Mark the homes in a box of cells that any voxel has.

    Parameters
    ----------
    slots, steps, first
        As for `gnnseg.kernels.homes_volume.count_homes`.
    taken : (z, y, x) bool
        Of the cells of the box.
    """
    _mark_homes[per_voxel(*slots.shape)](slots, *steps, *first, taken)


@cuda.jit
def _mark_homes(slots, step_z, step, first_z, first_y, first_x, taken):
    """Write the same to a home, whichever voxel has it."""
    x, y, z = cuda.grid(3)
    if y < slots.shape[1] and x < slots.shape[2] and slots[z, y, x] != MASKED:
        layer, row, column = way_home(int(slots[z, y, x]))
        home_z = z // step_z + layer - REACH - first_z
        home_y = y // step + row - REACH - first_y
        home_x = x // step + column - REACH - first_x
        inside = 0 <= home_y < taken.shape[1] and 0 <= home_x < taken.shape[2]
        if inside and 0 <= home_z < taken.shape[0]:
            taken[home_z, home_y, home_x] = True
