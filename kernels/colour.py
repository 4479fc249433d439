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
        np.rint(linear * _LINEAR).astype(np.uint16),
        np.rint(curve * (1 << 12)).astype(np.uint16),
        matrix.astype(np.int32),
    )


LINEAR, CURVE, MATRIX = _tables()


def rgb_to_lab(pixels: np.ndarray, light: np.ndarray, out: np.ndarray) -> None:
    """Convert sRGB to Lab in working units.

    Parameters
    ----------
    pixels : (3, H, W) integers
        Native values, or scaled levels.
    light : (3, range) uint16
        Linear light, at most 2**14, of each value of each channel: `LINEAR` of its level.
    out : (3, H, W) int16
        May be `pixels` itself.
    """
    _lab(pixels, light, CURVE, MATRIX, out)


@njit(nogil=True, cache=True)
def _lab(pixels, light, curve, matrix, out):
    """Row by row: looking up takes a value at a time, the arithmetic in between many."""
    _, height, width = pixels.shape
    linear, curved = np.empty((3, width), np.uint16), np.empty((3, width), np.uint16)
    mixed = np.empty(width, np.uint16)
    for y in range(height):
        for c in range(3):
            _look_up(pixels[c, y], light[c], linear[c])
        for c in range(3):
            _mix(linear, matrix[c, 0], matrix[c, 1], matrix[c, 2], mixed)
            _look_up(mixed, curve, curved[c])
        _store_lab(curved[0], curved[1], curved[2], out[0, y], out[1, y], out[2, y])


@njit(nogil=True, cache=True)
def _look_up(values, table, out):
    for x in range(values.size):
        out[x] = table[values[x]]


@njit(nogil=True, cache=True)
def _mix(linear, r, g, b, out):
    reds, greens, blues = linear[0], linear[1], linear[2]
    for x in range(out.size):
        total = r * np.int32(reds[x]) + g * np.int32(greens[x]) + b * np.int32(blues[x])
        out[x] = np.int32(total) >> 14


@njit(nogil=True, cache=True)
def _store_lab(fx, fy, fz, light, a, b):
    half = 1 << 11
    for x in range(fx.size):
        from_x, from_y, from_z = np.int32(fx[x]), np.int32(fy[x]), np.int32(fz[x])
        lightness = np.int32(116 * LAB_UNIT * from_y + half) >> 12
        light[x] = max(lightness - 16 * LAB_UNIT, 0)
        a[x] = np.int32(500 * LAB_UNIT * (from_x - from_y) + half >> 12) + LAB_OFFSET * LAB_UNIT
        b[x] = np.int32(200 * LAB_UNIT * (from_y - from_z) + half >> 12) + LAB_OFFSET * LAB_UNIT


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
