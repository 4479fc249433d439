"""Separable Gaussian smoothing in integers: the same bits in any window."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop

WEIGHT_BITS = 12


def gaussian_weights(sigma: float) -> np.ndarray:
    """(2 r + 1,) int32 weights that sum to 2**12, cut at three sigma."""
    radius = int(np.ceil(3 * sigma))
    offset = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offset / max(sigma, 1e-6)) ** 2)
    weights = np.rint(weights / weights.sum() * (1 << WEIGHT_BITS)).astype(np.int32)
    weights[radius] += (1 << WEIGHT_BITS) - weights.sum()
    return weights


def smooth(padded: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Smooth (C, H + 2 r, W + 2 r) int16 into (C, H, W); the caller pads the image's edges."""
    if is_device_array(padded):
        from gnnseg.kernels.cuda import smooth as gpu

        gpu.smooth(padded, weights, out)
        return
    radius = weights.size // 2
    channels, height, width = out.shape
    rows = np.empty((height, width + 2 * radius), np.int16)
    for c in range(channels):
        _smooth(padded[c], weights, rows, out[c])


@loop
def _smooth(padded, weights, rows, out):
    half = 1 << (WEIGHT_BITS - 1)
    height, width = out.shape
    for y in range(height):
        for x in range(rows.shape[1]):
            total = half
            for k in range(weights.size):
                total += weights[k] * padded[y + k, x]
            rows[y, x] = total >> WEIGHT_BITS
    for y in range(height):
        for x in range(width):
            total = half
            for k in range(weights.size):
                total += weights[k] * rows[y, x + k]
            out[y, x] = total >> WEIGHT_BITS
