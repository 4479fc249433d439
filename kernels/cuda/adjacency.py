"""Which regions touch, on a GPU; the rule is that of `gnnseg.kernels.adjacency`.

A block of threads counts the sides of one region, so that each side is counted twice, once for
either region, and no two blocks write to the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.adjacency import CODES, REACH
from gnnseg.kernels.cuda.homes import belongs, home_offset, near
from gnnseg.kernels.cuda.launch import THREADS
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import MASKED

_COUNTS = CODES + 1
"""Sides by offset, and all sides in the last place."""
_NO_SIDE = -1


def adjacency(
    grey: Any,
    slots: Any,
    step: int,
    contact: Any,
    contrast: Any,
    boundary: Any,
    corner: tuple[int, int],
) -> None:
    """Add the pixel sides between regions to the tables of both; arguments as for the CPU."""
    homes = boundary.shape[0] * boundary.shape[1]
    _count_sides[homes, THREADS](grey, slots, step, contact, contrast, boundary, *corner)


@cuda.jit(device=True)
def _code(slots, step, y, x, home_y, home_x):
    """The code of a pixel's home, seen from a home beside it: `CODES` where it is too far."""
    if not (0 <= y < slots.shape[0] and 0 <= x < slots.shape[1]) or slots[y, x] == MASKED:
        return _NO_SIDE
    dy, dx = home_offset(slots, step, y, x, home_y, home_x)
    if dy == 0 and dx == 0:
        return _NO_SIDE
    near_by = abs(dy) <= REACH and abs(dx) <= REACH
    return ROW * (dy + REACH) + dx + REACH if near_by else CODES


@cuda.jit
def _count_sides(grey, slots, step, contact, contrast, boundary, top, left):
    counts = cuda.shared.array(_COUNTS, np.int32)
    differences = cuda.shared.array(CODES, np.int32)
    home_y, home_x = cuda.blockIdx.x // boundary.shape[1], cuda.blockIdx.x % boundary.shape[1]
    for k in range(cuda.threadIdx.x, _COUNTS, cuda.blockDim.x):
        counts[k] = 0
        if k < CODES:
            differences[k] = 0
    cuda.syncthreads()
    y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * columns, cuda.blockDim.x):
        y, x = y0 + at // columns, x0 + at % columns
        if belongs(slots, step, y, x, home_y, home_x):
            for side in range(4):
                other_y, other_x = y + (side == 1) - (side == 0), x + (side == 3) - (side == 2)
                code = _code(slots, step, other_y, other_x, home_y, home_x)
                if code != _NO_SIDE:
                    cuda.atomic.add(counts, CODES, 1)
                if 0 <= code < CODES:
                    here = int(grey[top + y, left + x])
                    there = int(grey[top + other_y, left + other_x])
                    cuda.atomic.add(counts, code, 1)
                    cuda.atomic.add(differences, code, abs(here - there))
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, CODES, cuda.blockDim.x):
        contact[home_y, home_x, k] += counts[k]
        contrast[home_y, home_x, k] += differences[k]
    if cuda.threadIdx.x == 0:
        boundary[home_y, home_x] += counts[CODES]
