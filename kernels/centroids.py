"""Centroids of the regions of a window of the lattice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gnnseg.kernels.arrays import is_device_array


def centroids(area: Any, moment: Any, first: Sequence[int], cell: int | Sequence[int]) -> Any:
    """Float64 centroids in pixels of the image, of shape (h, w, 2) or (d, h, w, 3).

    Parameters
    ----------
    area : (h, w) or (d, h, w) int64
        Pixels; an empty region has the middle of its cell.
    moment : (h, w, 2) or (d, h, w, 3) int64
        Sums of places, from the corner of the home cell.
    first
        The first cell of the window, along each axis.
    cell
        Size of a cell in pixels, if need be along each axis.
    """
    sizes = np.broadcast_to(np.array(cell), area.ndim)
    if is_device_array(area):
        from gnnseg.kernels.cuda import centroids as gpu

        return gpu.centroids(area, moment, tuple(first), tuple(sizes.tolist()))
    places = np.ogrid[tuple(slice(a, a + n) for a, n in zip(first, area.shape, strict=True))]
    corner = np.stack(np.broadcast_arrays(*places), axis=-1) * sizes.astype(np.float64)
    mean = moment / np.maximum(area, 1)[..., None]
    return corner + np.where(area[..., None] > 0, mean, (sizes - 1) / 2)
