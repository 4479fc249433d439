"""SLIC pinned to a lattice, on a GPU; the rule is that of `gnnseg.kernels.slic`.

A thread works on a pixel, or on a cell or home where centres are made. In the rounds, a block of
threads adds up the pixels of one cell for each of the nine homes around it, and a home then
collects its share from nine cells: no two blocks write to one place, so sums need no order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.launch import THREADS, per_item, per_pixel
from gnnseg.kernels.ruler import QUARTERS
from gnnseg.kernels.slic import inner_cells
from gnnseg.kernels.slots import FIRST, MASKED

MOST_CHANNELS = 64
"""What readers let through to a GPU at most."""
_FAR = 1 << 30  # above every cost
_COUNT, _Y, _X, _CHANNELS = range(4)  # columns of the sums
_WIDTH = _CHANNELS + MOST_CHANNELS


def slic(
    work: Any,
    step: int,
    n_iter: int,
    stride: int,
    ruler: np.ndarray,
    slots: Any,
    colour: Any,
    place: Any,
    corner: tuple[int, int],
    open_sides: tuple[bool, bool, bool, bool],
) -> None:
    """Cluster one window, in place; arguments as for the CPU, and its ruler in place of a weight.

    Takes at most `MOST_CHANNELS` channels.
    """
    cells = tuple(place.shape[:2])
    num_cells, stride = cells[0] * cells[1], stride if n_iter > 0 else 1
    soft = cuda.device_array((work.shape[0], *slots.shape), np.uint16)
    active = cuda.device_array(cells, np.bool_)
    scale = cuda.to_device(ruler)
    grid, threads = per_pixel(*slots.shape)
    _soften[(*grid, work.shape[0]), (*threads, 1)](work, corner[0], corner[1], soft)
    _seed[per_item(num_cells)](soft, slots, step, stride, colour, place, active)
    look = soft, slots, step, scale, colour, place, active
    if n_iter > 0:
        parts = cuda.device_array((*cells, 9, _CHANNELS + work.shape[0]), np.int32)
    for round_ in range(n_iter):
        part = np.array(inner_cells(cells, 2 * round_ + 1, open_sides))
        _add_up[num_cells, THREADS](*look, stride, cuda.to_device(part), parts)
        _update[per_item(num_cells)](parts, step, stride, colour, place)
    part = np.array(inner_cells(cells, 2 * n_iter + 1, open_sides))
    _assign[grid, threads](*look, cuda.to_device(part))


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


@cuda.jit(device=True)
def _mean(total, count):
    return (2 * total + count) // (2 * count)


@cuda.jit
def _seed(soft, slots, step, stride, colour, place, active):
    """A cell starts with the mean of its own pixels that rounds look at, or of all of them."""
    at = cuda.grid(1)
    if at < active.size:
        cy, cx = at // active.shape[1], at % active.shape[1]
        found = _seed_cell(soft, slots, step, stride, cy, cx, colour, place)
        if not found and stride > 1:
            found = _seed_cell(soft, slots, step, 1, cy, cx, colour, place)
        active[cy, cx] = found


@cuda.jit(device=True)
def _seed_cell(soft, slots, step, stride, cy, cx, colour, place):
    """Seed from every `stride`-th row and column; return whether any pixel takes part."""
    y1 = least(cy * step + step, slots.shape[0])
    x1 = least(cx * step + step, slots.shape[1])
    count, total_y, total_x = 0, 0, 0
    for y in range(cy * step, y1, stride):
        for x in range(cx * step, x1, stride):
            if slots[y, x] != MASKED:
                count += 1
                total_y += y - (cy - 1) * step
                total_x += x - (cx - 1) * step
    if count == 0:
        return False
    shift, last = QUARTERS * (stride - 1) // 2, QUARTERS * (3 * step - 1)
    place[cy, cx, 0] = least(_mean(QUARTERS * total_y, count) + shift, last)
    place[cy, cx, 1] = least(_mean(QUARTERS * total_x, count) + shift, last)
    for c in range(soft.shape[0]):
        total = 0
        for y in range(cy * step, y1, stride):
            for x in range(cx * step, x1, stride):
                if slots[y, x] != MASKED:
                    total += int(soft[c, y, x])
        colour[cy, cx, c] = _mean(total, count)
    return True


@cuda.jit(device=True)
def _nearest(soft, y, x, step, ruler, colour, place, active):
    """Which of the nine homes around its cell a pixel joins, 0 to 8 in raster order."""
    cy, cx = y // step, x // step
    at_y = int(ruler[QUARTERS * (2 * step + y - cy * step)])
    at_x = int(ruler[QUARTERS * (2 * step + x - cx * step)])
    best, nearest = _FAR, 4
    for k in range(9):
        ky, kx = k // 3, k % 3
        hy, hx = cy + ky - 1, cx + kx - 1
        inside = 0 <= hy < active.shape[0] and 0 <= hx < active.shape[1]
        if inside and active[hy, hx]:
            cost = abs(at_y - int(ruler[place[hy, hx, 0] + ky * QUARTERS * step]))
            cost += abs(at_x - int(ruler[place[hy, hx, 1] + kx * QUARTERS * step]))
            for c in range(soft.shape[0]):
                cost += abs(int(soft[c, y, x]) - int(colour[hy, hx, c]))
            if cost < best:
                best, nearest = cost, k
    return nearest


@cuda.jit
def _add_up(soft, slots, step, ruler, colour, place, active, stride, part, parts):
    """Add up what a cell's pixels give to each of the nine homes; a block of threads a cell."""
    sums = cuda.shared.array((9, _WIDTH), np.int32)
    cell, width = cuda.blockIdx.x, _CHANNELS + soft.shape[0]
    cy, cx = cell // active.shape[1], cell % active.shape[1]
    for at in range(cuda.threadIdx.x, 9 * width, cuda.blockDim.x):
        sums[at // width, at % width] = 0
    cuda.syncthreads()
    size = (step + stride - 1) // stride
    inside = part[0] <= cy < part[1] and part[2] <= cx < part[3]
    for at in range(cuda.threadIdx.x, size * size if inside else 0, cuda.blockDim.x):
        away_y, away_x = at // size * stride, at % size * stride
        y, x = cy * step + away_y, cx * step + away_x
        if y < slots.shape[0] and x < slots.shape[1] and slots[y, x] != MASKED:
            k = _nearest(soft, y, x, step, ruler, colour, place, active)
            cuda.atomic.add(sums, (k, _COUNT), 1)
            cuda.atomic.add(sums, (k, _Y), away_y)
            cuda.atomic.add(sums, (k, _X), away_x)
            for c in range(soft.shape[0]):
                cuda.atomic.add(sums, (k, _CHANNELS + c), int(soft[c, y, x]))
    cuda.syncthreads()
    for at in range(cuda.threadIdx.x, 9 * width, cuda.blockDim.x):
        parts[cy, cx, at // width, at % width] = sums[at // width, at % width]


@cuda.jit
def _update(parts, step, stride, colour, place):
    """Move each home to the mean of its pixels; one that lost them all stays where it was."""
    at = cuda.grid(1)
    if at < place.shape[0] * place.shape[1]:
        hy, hx = at // place.shape[1], at % place.shape[1]
        count, total_y, total_x = 0, 0, 0
        for k in range(9):
            cy, cx = hy - k // 3 + 1, hx - k % 3 + 1
            if 0 <= cy < place.shape[0] and 0 <= cx < place.shape[1]:
                num = int(parts[cy, cx, k, _COUNT])
                count += num
                total_y += num * (2 - k // 3) * step + int(parts[cy, cx, k, _Y])
                total_x += num * (2 - k % 3) * step + int(parts[cy, cx, k, _X])
        if count > 0:
            shift, last = QUARTERS * (stride - 1) // 4, QUARTERS * (3 * step - 1)
            place[hy, hx, 0] = least(_mean(QUARTERS * total_y, count) + shift, last)
            place[hy, hx, 1] = least(_mean(QUARTERS * total_x, count) + shift, last)
            for c in range(colour.shape[2]):
                colour[hy, hx, c] = _mean(_collect(parts, hy, hx, _CHANNELS + c), count)


@cuda.jit(device=True)
def _collect(parts, hy, hx, column):
    """What nine cells give to a home."""
    total = 0
    for k in range(9):
        cy, cx = hy - k // 3 + 1, hx - k % 3 + 1
        if 0 <= cy < parts.shape[0] and 0 <= cx < parts.shape[1]:
            total += int(parts[cy, cx, k, column])
    return total


@cuda.jit
def _assign(soft, slots, step, ruler, colour, place, active, part):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1] and slots[y, x] != MASKED:
        inside = part[0] <= y // step < part[1] and part[2] <= x // step < part[3]
        if inside:
            k = _nearest(soft, y, x, step, ruler, colour, place, active)
            slots[y, x] = FIRST + 5 * (k // 3) + k % 3
