"""Separable Gaussian smoothing on a GPU; the rule is that of `gnnseg.kernels.smooth`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.launch import per_pixel
from gnnseg.kernels.smooth import WEIGHT_BITS


def smooth(padded: Any, weights: np.ndarray, out: Any) -> None:
    """Smooth (C, H + 2 r, W + 2 r) int16 into (C, H, W)."""
    channels = out.shape[0]
    rows = cuda.device_array((channels, out.shape[1], padded.shape[2]), np.int16)
    kernel = cuda.to_device(weights)
    for source, target, down in ((padded, rows, 1), (rows, out, 0)):
        grid, threads = per_pixel(*target.shape[1:])
        _smooth[(*grid, channels), (*threads, 1)](source, kernel, down, target)


@cuda.jit
def _smooth(source, weights, down, target):
    """Smooth along columns (`down` is 1) or rows (0)."""
    x, y, c = cuda.grid(3)
    if y < target.shape[1] and x < target.shape[2]:
        total = 1 << (WEIGHT_BITS - 1)
        for k in range(weights.size):
            total += int(weights[k]) * int(source[c, y + k * down, x + k * (1 - down)])
        target[c, y, x] = total >> WEIGHT_BITS
