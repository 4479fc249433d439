"""Fixed-point colour: sRGB to CIE Lab by tables, and other channels by a linear scale.

Lab after CIE 015:2018 with the sRGB matrix and D65 white of IEC 61966-2-1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LAB_UNIT = 8
"""Working units to one unit of Lab."""
LAB_OFFSET = 128
"""Added to a and b, so that working values are not negative."""
LEVELS = 1021
"""Scaled RGB takes the values 0 .. LEVELS - 1, four to an 8-bit grey level."""

_LINEAR = 1 << 14
_MATRIX = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear light by level; the cube-root curve by linear light; the matrix, rows summing to 1."""
    level = np.arange(LEVELS) / (LEVELS - 1)
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    light = np.arange(_LINEAR + 1) / _LINEAR
    delta = 6 / 29
    curve = np.where(light > delta**3, np.cbrt(light), light / (3 * delta**2) + 4 / 29)
    matrix = np.rint(_MATRIX / _MATRIX.sum(axis=1, keepdims=True) * (1 << 14))
    matrix[:, 1] += (1 << 14) - matrix.sum(axis=1)
    return (
        np.rint(linear * _LINEAR).astype(np.int32),
        np.rint(curve * (1 << 12)).astype(np.int32),
        matrix.astype(np.int32),
    )


LINEAR, CURVE, MATRIX = _tables()


@njit(nogil=True, cache=True)
def _lab(levels, linear, curve, matrix, out):
    _, height, width = levels.shape
    half = 1 << 11
    for y in range(height):
        for x in range(width):
            r, g, b = linear[levels[0, y, x]], linear[levels[1, y, x]], linear[levels[2, y, x]]
            fx = curve[(matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b) >> 14]
            fy = curve[(matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b) >> 14]
            fz = curve[(matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b) >> 14]
            light = (116 * LAB_UNIT * fy + half >> 12) - 16 * LAB_UNIT
            out[0, y, x] = max(light, 0)
            out[1, y, x] = (500 * LAB_UNIT * (fx - fy) + half >> 12) + LAB_OFFSET * LAB_UNIT
            out[2, y, x] = (200 * LAB_UNIT * (fy - fz) + half >> 12) + LAB_OFFSET * LAB_UNIT


def rgb_to_lab(levels: np.ndarray, out: np.ndarray) -> None:
    """Convert (3, H, W) int16 levels below `LEVELS` to (3, H, W) int16 Lab in working units."""
    _lab(levels, LINEAR, CURVE, MATRIX, out)


@njit(nogil=True, cache=True)
def scale_by_table(pixels, table, out):
    """Look every unsigned integer pixel of (C, H, W) up in its channel's (C, range) int16 table."""
    channels, height, width = pixels.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                out[c, y, x] = table[c, pixels[c, y, x]]


@njit(nogil=True, cache=True)
def scale_linear(pixels, low, gain, top, valid, out):
    """Map (C, H, W) pixels to `round((v - low) * gain)` in 0 .. top; not finite clears `valid`."""
    channels, height, width = pixels.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                value = np.float64(pixels[c, y, x])
                if not np.isfinite(value):
                    valid[y, x] = False
                    out[c, y, x] = 0
                else:
                    scaled = min(max((value - low[c]) * gain[c], 0.0), float(top))
                    out[c, y, x] = np.int16(scaled + 0.5)
