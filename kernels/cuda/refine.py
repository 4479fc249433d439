"""Labels along borders, on a GPU; the rules are those of `gnnseg.kernels.refine`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import constant
from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_item, per_pixel
from gnnseg.kernels.refine import CANDIDATES, LEVELS, PARTS, SHIFT, WEIGHTS
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import REACH


def border_band(labels: Any, reach: int, unlabelled: int, out: Any) -> None:
    """Find the pixels near a border; arguments as for the CPU."""
    _flag[per_pixel(*labels.shape)](labels, reach - 1, unlabelled, out)


def mix(
    slots: Any,
    step: int,
    homes: Any,
    first: tuple[int, int],
    work: Any,
    corner: tuple[int, int],
    places: Any,
    nearness: int,
    out: Any,
) -> None:
    """Mix the logits of the homes around some pixels; arguments as for the CPU."""
    weights = constant(WEIGHTS)
    pixels = work, *corner, places
    _mix[per_item(len(places))](slots, step, *homes, *first, *pixels, nearness, weights, out)


@cuda.jit
def _flag(labels, reach, unlabelled, out):
    x, y = cuda.grid(2)
    if y < labels.shape[0] and x < labels.shape[1]:
        found = False
        if labels[y, x] != unlabelled:
            for row in range(most(y - reach, 0), least(y + reach + 1, labels.shape[0])):
                for column in range(most(x - reach, 0), least(x + reach + 1, labels.shape[1])):
                    found = found or _at_border(labels, row, column, unlabelled)
        out[y, x] = found


@cuda.jit(device=True)
def _at_border(labels, y, x, unlabelled):
    """Whether a pixel and one at its sides have different labels."""
    if labels[y, x] == unlabelled:
        return False
    for side in range(4):
        row, column = y + (side == 1) - (side == 0), x + (side == 3) - (side == 2)
        if 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]:
            other = labels[row, column]
            if other != unlabelled and other != labels[y, x]:
                return True
    return False


@cuda.jit
def _mix(
    slots, step, logits, colour, precision, centre, occupied, first_y, first_x,
    work, top, left, places, nearness, weights, out,
):  # fmt: skip
    n = cuda.grid(1)
    if n >= places.shape[0]:
        return
    exponents = cuda.local.array(CANDIDATES, np.int64)
    y, x = int(places[n, 0]), int(places[n, 1])
    cell_y, cell_x = first_y + y // step, first_x + x // step
    slot = int(slots[y, x])
    for k in range(CANDIDATES):
        home_y, home_x = _home(k, slot, cell_y, cell_x, occupied)
        exponents[k] = -1
        if home_y >= 0:
            far_y = PARTS * (y - (home_y - first_y) * step) - int(centre[home_y, home_x, 0])
            far_x = PARTS * (x - (home_x - first_x) * step) - int(centre[home_y, home_x, 1])
            exponents[k] = (far_y * far_y + far_x * far_x) * nearness
    for c in range(work.shape[0]):
        soft = _soften(work, c, top + y, left + x)
        for k in range(CANDIDATES):
            if exponents[k] >= 0:
                home_y, home_x = _home(k, slot, cell_y, cell_x, occupied)
                away = soft - int(colour[home_y, home_x, c])
                exponents[k] += away * away * precision[cell_y, cell_x, c]
    whole = _weigh(exponents, weights)
    for c in range(out.shape[1]):
        total = 0
        for k in range(CANDIDATES):
            if exponents[k] > 0:
                home_y, home_x = _home(k, slot, cell_y, cell_x, occupied)
                total += exponents[k] * int(logits[home_y, home_x, c])
        out[n, c] = total / (float(whole) * LEVELS)


@cuda.jit(device=True)
def _home(k, slot, cell_y, cell_x, occupied):
    """The k-th candidate of a pixel; -1 for y where there is none."""
    y, x = cell_y + k // 3 - 1, cell_x + k % 3 - 1
    if k == CANDIDATES - 1:
        y, x = cell_y + slot // ROW - REACH, cell_x + slot % ROW - REACH
        if abs(y - cell_y) <= 1 and abs(x - cell_x) <= 1:
            return -1, x
    if 0 <= y < occupied.shape[0] and 0 <= x < occupied.shape[1] and occupied[y, x]:
        return y, x
    return -1, x


@cuda.jit(device=True)
def _soften(work, c, y, x):
    total = 0
    for dy in range(-1, 2):
        side = int(work[c, y + dy, x - 1]) + int(work[c, y + dy, x + 1])
        total += (2 - abs(dy)) * (side + 2 * int(work[c, y + dy, x]))
    return total


@cuda.jit(device=True)
def _weigh(exponents, weights):
    """Turn exponents into weights, 0 where there is no home; return their sum."""
    lowest = -1
    for k in range(CANDIDATES):
        level = exponents[k] >> SHIFT
        if exponents[k] >= 0 and (lowest < 0 or level < lowest):
            lowest = level
    whole = 0
    for k in range(CANDIDATES):
        level = (exponents[k] >> SHIFT) - lowest
        used = exponents[k] >= 0 and level < weights.size
        exponents[k] = weights[level] if used else 0
        whole += exponents[k]
    return whole
