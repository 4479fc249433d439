"""Which regions touch, on a GPU; the rules are those of `gnnseg.kernels.adjacency` and its volumes.

A block of threads counts the sides of one region, or of those of the homes above each other in the
layers of a volume, from one plane or from two, so that each side is counted twice, once for either
region, and no two blocks write to the same place.

Differences across the sides of a region with another fit 32 bits: the pixels of both, in a plane at
most those of 25 cells of 256 x 256, have at most two sides each, of at most 1020. No difference is
negative, so that contrasts that stop at their end at every side, or after each plane, are the same;
those of a plane alone, which do not stop on a processor, reach no end at steps below 230.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, types

from gnnseg.kernels.adjacency import REACH
from gnnseg.kernels.adjacency_volume import MOST_CONTRAST
from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.homes import home_offset, near
from gnnseg.kernels.cuda.launch import THREADS
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import LAYER

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
    one_layer = [table.reshape(1, *table.shape) for table in (contact, contrast, boundary)]
    adjacency_in_plane(grey, slots, step, (one_layer[0], one_layer[1], one_layer[2]), corner, 1)


def adjacency_in_plane(
    grey: Any,
    slots: Any,
    step: int,
    tables: tuple[Any, Any, Any],
    corner: tuple[int, int],
    weight: int,
) -> None:
    """Add the sides between the voxels of a plane; arguments as for the CPU."""
    _count_in_plane[_launch(tables)](grey, slots, step, *tables, *corner, weight)


def adjacency_along_z(
    grey: tuple[Any, Any],
    slots: tuple[Any, Any],
    step: int,
    new_layer: bool,
    tables: tuple[Any, Any, Any],
    corner: tuple[int, int],
    weight: int,
) -> None:
    """Add the sides between the voxels of a plane and of the next; arguments as for the CPU."""
    _count_along_z[_launch(tables)](*grey, *slots, step, int(new_layer), *tables, *corner, weight)


def _launch(tables: tuple[Any, Any, Any]) -> tuple[int, int, int, int]:
    """Blocks, threads, stream and bytes that a block shares."""
    layers, cells_y, cells_x, codes = tables[0].shape
    return cells_y * cells_x, THREADS, 0, 4 * _begin(layers, codes)


def _begin(layer: int, codes: int) -> int:
    """Where the counts of a layer begin: sides by code, all sides, and differences by code."""
    return layer * (2 * codes + 1)


_begin_there = cuda.jit(device=True)(_begin)


@cuda.jit
def _count_in_plane(grey, slots, step, contact, contrast, boundary, top, left, weight):
    layers, codes = boundary.shape[0], contact.shape[3]
    counts = cuda.shared.array(0, types.uint32)
    home_y, home_x = _begin_home(counts, boundary, codes)
    y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * columns, cuda.blockDim.x):
        y, x = y0 + at // columns, x0 + at % columns
        layer, dy, dx = home_offset(slots, step, y, x, home_y, home_x)
        if layer < layers and dy == 0 and dx == 0:
            for side in range(4):
                other_y, other_x = y + (side == 1) - (side == 0), x + (side == 3) - (side == 2)
                if 0 <= other_y < slots.shape[0] and 0 <= other_x < slots.shape[1]:
                    to = home_offset(slots, step, other_y, other_x, home_y, home_x)
                    code = _code(to[0] - layer, to[1], to[2], codes) if to[0] < layers else _NO_SIDE
                    if code != _NO_SIDE:
                        here = int(grey[top + y, left + x])
                        there = int(grey[top + other_y, left + other_x])
                        _count(counts, _begin_there(layer, codes), code, codes, abs(here - there))
    cuda.syncthreads()
    _hand_over(counts, weight, home_y, home_x, contact, contrast, boundary)


@cuda.jit
def _count_along_z(
    grey, next_grey, slots, next_slots, step, moved, contact, contrast, boundary, top, left, weight
):
    layers, codes = boundary.shape[0], contact.shape[3]
    counts = cuda.shared.array(0, types.uint32)
    home_y, home_x = _begin_home(counts, boundary, codes)
    y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
    for at in range(cuda.threadIdx.x, rows * columns, cuda.blockDim.x):
        y, x = y0 + at // columns, x0 + at % columns
        a_layer, ay, ax = home_offset(slots, step, y, x, home_y, home_x)
        b_layer, by, bx = home_offset(next_slots, step, y, x, home_y, home_x)
        b_layer += moved
        mine, next_mine = ay == 0 and ax == 0, by == 0 and bx == 0
        if (mine or next_mine) and a_layer < layers and b_layer < layers:
            difference = abs(int(grey[top + y, left + x]) - int(next_grey[top + y, left + x]))
            if mine:
                code = _code(b_layer - a_layer, by, bx, codes)
                _count(counts, _begin_there(a_layer, codes), code, codes, difference)
            if next_mine:
                code = _code(a_layer - b_layer, ay, ax, codes)
                _count(counts, _begin_there(b_layer, codes), code, codes, difference)
    cuda.syncthreads()
    _hand_over(counts, weight, home_y, home_x, contact, contrast, boundary)


@cuda.jit(device=True)
def _begin_home(counts, boundary, codes):
    """Clear what a block counts; return where its homes lie."""
    layers, _, cells_x = boundary.shape
    for k in range(cuda.threadIdx.x, _begin_there(layers, codes), cuda.blockDim.x):
        counts[k] = 0
    cuda.syncthreads()
    return cuda.blockIdx.x // cells_x, cuda.blockIdx.x % cells_x


@cuda.jit(device=True)
def _code(dz, dy, dx, codes):
    """The code of a home so many cells away: `codes` where it is too far."""
    if dz == 0 and dy == 0 and dx == 0:
        return _NO_SIDE
    near_by = abs(dz) <= REACH and abs(dy) <= REACH and abs(dx) <= REACH
    return codes // 2 + LAYER * dz + ROW * dy + dx if near_by else codes


@cuda.jit(device=True)
def _count(counts, begin, code, codes, difference):
    if code != _NO_SIDE:
        cuda.atomic.add(counts, begin + codes, 1)
    if 0 <= code < codes:
        cuda.atomic.add(counts, begin + code, 1)
        cuda.atomic.add(counts, begin + codes + 1 + code, difference)


@cuda.jit(device=True)
def _hand_over(counts, weight, home_y, home_x, contact, contrast, boundary):
    """Add what was counted to the tables; what stays the same is not written."""
    layers, codes = boundary.shape[0], contact.shape[3]
    for at in range(cuda.threadIdx.x, layers * codes, cuda.blockDim.x):
        layer, code = at // codes, at % codes
        place = _begin_there(layer, codes) + code
        number = np.int64(counts[place])
        if number > 0:
            more = weight * np.int64(counts[place + codes + 1])
            total = np.int64(contrast[layer, home_y, home_x, code]) + more
            contact[layer, home_y, home_x, code] += weight * number
            contrast[layer, home_y, home_x, code] = least(total, MOST_CONTRAST)
    for layer in range(cuda.threadIdx.x, layers, cuda.blockDim.x):
        boundary[layer, home_y, home_x] += weight * np.int64(
            counts[_begin_there(layer, codes) + codes]
        )
