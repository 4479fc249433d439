"""From native pixels to working channels on a GPU; the rule is that of `gnnseg.kernels.colour`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.colour import NEUTRAL, SHIFT
from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_pixel


def scale_integers(
    pixels: Any, constants: np.ndarray, top: int, rgb: bool, out: Any, corner: tuple[int, int]
) -> None:
    """Scale integers; arguments as for the CPU, and its fixed-point constants (C, 4) int32."""
    grid = per_pixel(*pixels.shape[1:])
    _scale_integers[grid](pixels, constant(constants), top, out, *corner)
    if rgb:
        _oppose[grid](out, *corner, *pixels.shape[1:])


def scale_floats(
    pixels: Any,
    low: np.ndarray,
    gain: np.ndarray,
    top: float,
    rgb: bool,
    valid: Any,
    out: Any,
    corner: tuple[int, int],
) -> None:
    """Scale other numbers; arguments as for the CPU, and how much a unit becomes (C,)."""
    grid, scale = per_pixel(*valid.shape), (constant(low), constant(gain))
    _scale_floats[grid](pixels, *scale, top, valid, out, *corner)
    if rgb:
        _oppose[grid](out, *corner, *valid.shape)


@cuda.jit
def _scale_integers(pixels, constants, top, out, corner_y, corner_x):
    x, y = cuda.grid(2)
    if y < pixels.shape[1] and x < pixels.shape[2]:
        for c in range(pixels.shape[0]):
            first, last = int(constants[c, 0]), int(constants[c, 1])
            value = least(most(int(pixels[c, y, x]), first), last) - first
            level = (value * int(constants[c, 2]) + int(constants[c, 3])) >> SHIFT
            out[c, corner_y + y, corner_x + x] = least(most(level, 0), top)


@cuda.jit
def _oppose(out, corner_y, corner_x, height, width):
    """Turn levels of colours into working channels, in place."""
    x, y = cuda.grid(2)
    if y < height and x < width:
        row, column = corner_y + y, corner_x + x
        r, g, b = int(out[0, row, column]), int(out[1, row, column]), int(out[2, row, column])
        out[0, row, column] = (r + 2 * g + b) >> 2
        out[1, row, column] = NEUTRAL + 2 * (r - g)
        out[2, row, column] = NEUTRAL + r + g - 2 * b


@cuda.jit
def _scale_floats(pixels, low, gain, top, valid, out, corner_y, corner_x):
    x, y = cuda.grid(2)
    if y < pixels.shape[1] and x < pixels.shape[2]:
        known = True
        for c in range(pixels.shape[0]):
            value = float(pixels[c, y, x])
            finite = abs(value) < np.inf  # false also where it is no number
            known = known and finite
            scaled = ((value if finite else low[c]) - low[c]) * gain[c]
            out[c, corner_y + y, corner_x + x] = int(least(most(scaled, 0.0), top) + 0.5)
        valid[y, x] = valid[y, x] and known
