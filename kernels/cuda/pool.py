"""Add up a map over the pixels of regions, on a GPU; the rule is that of `gnnseg.kernels.pool`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.arrays import view
from gnnseg.kernels.cuda.compare import least
from gnnseg.kernels.cuda.exact import fadd, fmul
from gnnseg.kernels.cuda.homes import home_offset, near
from gnnseg.kernels.cuda.launch import per_item


def pool(maps: Any, slots: Any, step: int, stride: int, sums: Any) -> None:
    """Add the map's value at each pixel to the pixel's region; arguments as for the CPU."""
    maps, slots, sums = map(view, (maps, slots, sums))
    _pool[per_item(sums.size)](maps, slots, step, stride, sums)


@cuda.jit
def _pool(maps, slots, step, stride, sums):
    """A thread adds up a channel of a region, run after run in raster order."""
    at, channels = cuda.grid(1), sums.shape[2]
    if at < sums.size:
        home, c = at // channels, at % channels
        home_y, home_x = home // sums.shape[1], home % sums.shape[1]
        y0, x0, rows, columns = near(home_y, home_x, step, slots.shape[0], slots.shape[1])
        total = sums[home_y, home_x, c]
        for y in range(y0, y0 + rows):
            x = x0
            while x < x0 + columns:
                end = _run_end(slots, y, x, step, stride)
                if home_offset(slots, step, y, x, home_y, home_x) == (0, 0, 0):
                    value = maps[y // stride, x // stride, c]
                    total = fadd(total, fmul(np.float32(end - x), value))
                x = end
        sums[home_y, home_x, c] = total


@cuda.jit(device=True)
def _run_end(slots, y, x, step, stride):
    """The first pixel after `x` of another slot, cell or value of the map."""
    stop = least(least((x // step + 1) * step, (x // stride + 1) * stride), slots.shape[1])
    end = x + 1
    while end < stop and slots[y, end] == slots[y, x]:
        end += 1
    return end
