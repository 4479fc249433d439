"""Centroids of regions, on a GPU; the rule is that of `gnnseg.kernels.centroids`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.arrays import as_rows
from gnnseg.kernels.cuda.exact import dadd
from gnnseg.kernels.cuda.launch import per_item


def centroids(area: Any, moment: Any, first: tuple[int, ...], cell: tuple[int, ...]) -> Any:
    """Float64 centroids in pixels; a thread a region."""
    shape, axes = tuple(area.shape), area.ndim
    pos = cuda.device_array((area.size, axes), np.float64)
    tables = as_rows(area, axes), as_rows(moment, axes)
    _write[per_item(area.size)](*tables, shape, first, cell, pos)
    return pos.reshape(*shape, axes)


@cuda.jit
def _write(area, moment, shape, first, cell, pos):
    n = cuda.grid(1)
    if n < area.size:
        rest = n
        for back in range(len(shape)):
            axis = len(shape) - 1 - back
            corner = np.float64((first[axis] + rest % shape[axis]) * cell[axis])
            rest //= shape[axis]
            inside = moment[n, axis] / area[n] if area[n] > 0 else (cell[axis] - 1) / 2
            pos[n, axis] = dadd(corner, inside)
