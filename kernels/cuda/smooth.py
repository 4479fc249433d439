"""Smoothing on a GPU: separable Gaussian filters, and the one that is part of the clustering."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.launch import per_pixel
from gnnseg.kernels.smooth import WEIGHT_BITS


def smooth(padded: Any, weights: np.ndarray, out: Any) -> None:
    """Smooth (C, H + 2 r, W + 2 r) int16 into (C, H, W); the rule is `gnnseg.kernels.smooth`'s."""
    channels = out.shape[0]
    rows = cuda.device_array((channels, out.shape[1], padded.shape[2]), np.int16)
    kernel = constant(weights)
    for source, target, down in ((padded, rows, 1), (rows, out, 0)):
        grid, threads = per_pixel(*target.shape[1:])
        _smooth[(*grid, channels), (*threads, 1)](source, kernel, down, target)


def soften(work: Any, corner: tuple[int, int], soft: Any) -> None:
    """Write the filtered channels (C, H, W) uint16 of a window that begins at a corner."""
    grid, threads = per_pixel(*soft.shape[1:])
    _soften[(*grid, soft.shape[0]), (*threads, 1)](work, *corner, soft)


@cuda.jit
def _smooth(source, weights, down, target):
    """Smooth along columns (`down` is 1) or rows (0)."""
    x, y, c = cuda.grid(3)
    if y < target.shape[1] and x < target.shape[2]:
        total = 1 << (WEIGHT_BITS - 1)
        for k in range(weights.size):
            total += int(weights[k]) * int(source[c, y + k * down, x + k * (1 - down)])
        target[c, y, x] = total >> WEIGHT_BITS


@cuda.jit
def _soften(work, corner_y, corner_x, soft):
    """The 3 x 3 binomial filter, rounded."""
    x, y, c = cuda.grid(3)
    if y < soft.shape[1] and x < soft.shape[2]:
        total = 8
        for dy in range(3):
            for dx in range(3):
                weight = (2 - abs(dy - 1)) * (2 - abs(dx - 1))
                total += weight * int(work[c, corner_y + y + dy - 1, corner_x + x + dx - 1])
        soft[c, y, x] = total >> 4
