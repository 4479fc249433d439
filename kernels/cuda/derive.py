"""Features from integer sums, on a GPU; the rule is that of `gnnseg.features.derive`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.compare import most
from gnnseg.kernels.cuda.exact import dadd, dmul
from gnnseg.kernels.cuda.launch import per_item
from gnnseg.kernels.region_sums import GEOMETRY, GREY_BINS


def derive(
    inside: tuple[Any, Any, Any, Any],
    around: tuple[Any, Any, Any, np.ndarray],
    steps: tuple[int, int],
    units: tuple[float, float],
    out: Any,
) -> None:
    """Write the features of regions.

    Parameters
    ----------
    inside
        Sums, deciles, histogram, and the sums along z of a volume, (N, 4), of a plane (N, 0).
    around
        Boundary, contrast, pos, and the extent of the image, which is in memory.
    steps
        Rows and layers of a cell.
    units
        Sides of a cell, and the share of the grey scale that a level is.
    out
        As for the CPU.
    """
    *tables, extent = around
    sizes = constant(extent)
    _write_rows[per_item(out.shape[0])](*inside, *tables, sizes, *steps, *units, out)


@cuda.jit
def _write_rows(
    sums, tenths, histogram, depth, boundary, contrast, pos, extent, step, layers, sides, scale, x
):
    """A thread writes a region's row."""
    n = cuda.grid(1)
    if n < x.shape[0] and sums[n, 0] == 0:
        for k in range(x.shape[1]):
            x[n, k] = 0
    elif n < x.shape[0]:
        count = np.float64(sums[n, 0])
        at = _write_planes(sums, n, count, scale, x)
        for k in range(tenths.shape[1]):
            x[n, at + k] = tenths[n, k]
        at += tenths.shape[1]
        for k in range(GREY_BINS, histogram.shape[1]):
            x[n, at + k - GREY_BINS] = histogram[n, k] / count
        at += histogram.shape[1] - GREY_BINS
        at = _write_shape(sums, n, count, step, layers, x, at)
        if depth.shape[1] > 0:
            at = _write_depth(sums, depth, n, count, step, layers, x, at)
        total = 0
        for code in range(contrast.shape[1]):
            total += int(contrast[n, code])
        x[n, at] = boundary[n] / sides
        x[n, at + 1] = total / most(int(boundary[n]), 1) * scale
        for axis in range(extent.size):
            x[n, at + 2 + axis] = pos[n, axis] / extent[axis]


@cuda.jit(device=True)
def _write_planes(sums, n, count, scale, x):
    """Write means and deviations of the planes; return the column after them."""
    num = (sums.shape[1] - GEOMETRY) // 2
    for k in range(num):
        mean = sums[n, GEOMETRY + 2 * k] / count
        x[n, k] = mean * scale
        x[n, num + k] = _deviation(sums[n, GEOMETRY + 2 * k + 1] / count, mean) * scale
    return 2 * num


@cuda.jit(device=True)
def _deviation(square, mean):
    """The deviation of what has such a mean, and such a mean of its squares."""
    return math.sqrt(most(dadd(square, -dmul(mean, mean)), 0.0))


@cuda.jit(device=True)
def _write_shape(sums, n, count, step, layers, x, at):
    mean_y, mean_x = sums[n, 1] / count, sums[n, 2] / count
    middle = (step - 1) / 2  # to a compiler, a product
    x[n, at] = count / (step * step * layers)
    x[n, at + 1] = dadd(mean_y, -middle) / step
    x[n, at + 2] = dadd(mean_x, -middle) / step
    x[n, at + 3] = _deviation(sums[n, 3] / count, mean_y) / step
    x[n, at + 4] = _deviation(sums[n, 5] / count, mean_x) / step
    x[n, at + 5] = dadd(sums[n, 4] / count, -dmul(mean_y, mean_x)) / (step * step)
    return at + 6


@cuda.jit(device=True)
def _write_depth(sums, depth, n, count, step, layers, x, at):
    mean_y, mean_x, mean_z = sums[n, 1] / count, sums[n, 2] / count, depth[n, 0] / count
    x[n, at] = dadd(mean_z, -((layers - 1) / 2)) / layers
    x[n, at + 1] = _deviation(depth[n, 1] / count, mean_z) / layers
    x[n, at + 2] = dadd(depth[n, 2] / count, -dmul(mean_z, mean_y)) / (layers * step)
    x[n, at + 3] = dadd(depth[n, 3] / count, -dmul(mean_z, mean_x)) / (layers * step)
    return at + 4
