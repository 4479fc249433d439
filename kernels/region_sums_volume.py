"""Sums over the regions of a volume, plane by plane: those of a plane, and moments along z."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.region_sums import region_sums
from gnnseg.kernels.slots import LAYER, MASKED, REACH

DEPTH = 4
"""Sums along z: z, z*z, z*y and z*x, positions counted from the home cell's corner."""


def region_sums_in_plane(
    work: np.ndarray,
    grey: np.ndarray,
    slots: np.ndarray,
    steps: tuple[int, int],
    z: int,
    planes: np.ndarray,
    rings: np.ndarray,
    grey_top: int,
    tables: tuple[np.ndarray, np.ndarray, np.ndarray],
    corner: tuple[int, int],
) -> None:
    """Add a plane of a volume to the sums of its regions.

    Parameters
    ----------
    work, grey, slots, planes, rings, grey_top, corner
        As for a plane (`gnnseg.kernels.region_sums`), with slots of a volume.
    steps : (z, yx)
        Cell size in voxels.
    z : int
        Which plane of its layer of cells this one is.
    tables : sums, histogram and depth (5, cells_y, cells_x, `DEPTH`) int64
        The first two as for a plane; all of the layers of homes that its voxels may have, from two
        before on.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import region_sums as gpu

        kinds = planes, rings, grey_top
        gpu.region_sums_in_plane(work, grey, slots, steps, z, *kinds, tables, corner)
        return
    of_layer = slots // LAYER
    for layer in np.flatnonzero(np.bincount(of_layer.ravel(), minlength=MASKED)[: len(tables[0])]):
        # The voxels of this layer of homes are a plane in which all others are masked.
        part = np.where(of_layer == layer, slots % LAYER, np.uint8(MASKED))
        sums, histogram, depth = (table[layer] for table in tables)
        before = sums[..., :3].copy()
        kinds = planes, rings, grey_top
        region_sums(work, grey, part, steps[1], *kinds, sums, histogram, corner)
        count, y, x = np.moveaxis(sums[..., :3] - before, -1, 0)
        away = z - (layer - REACH) * steps[0]
        for column, gain in enumerate((count * away, count * away * away, y * away, x * away)):
            depth[..., column] += gain
