"""Add up a map of channels, coarser than the pixels, over the pixels of each region; and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import loop, part
from gnnseg.kernels.slots import MASKED


def pool(maps: Any, slots: Any, step: int, stride: int, sums: Any) -> None:
    """Add the map's value at each pixel to the pixel's region.

    Parameters
    ----------
    maps : (H', W', C) float32
        Each value stands for `stride` x `stride` pixels.
    slots : (H, W) uint8
        Begins at a corner of a cell and of a value of the map.
    step, stride : int
        Size of a cell and of a value, in pixels.
    sums : (rows, columns, C) float32
        Of the cells that `slots` covers. Pixels of regions whose home lies elsewhere are left out.

    Notes
    -----
    A region's pixels are added in raster order, runs of equal ones by one product: its bits depend
    on its own pixels alone, as long as all of them are there.
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import pool as gpu

        gpu.pool(maps, slots, step, stride, sums)
        return
    _walk(maps, slots, step, stride, sums, False)


def spread(sums: np.ndarray, slots: np.ndarray, step: int, stride: int, maps: np.ndarray) -> None:
    """Add each region's value at all its pixels to the map: the transpose of `pool`.

    The arrays are those of `pool`, with `sums` read and `maps` written.
    """
    _walk(maps, slots, step, stride, sums, True)


@loop
def _walk(maps, slots, step, stride, sums, back):
    """Add the map to the sums, run by run of pixels, or `back` the sums to the map."""
    for y in range(slots.shape[0]):
        x = 0
        while x < slots.shape[1]:
            end = _run_end(slots[y], x, step, stride)
            home_y, home_x = _home(slots[y, x], y // step, x // step)
            if 0 <= home_y < sums.shape[0] and 0 <= home_x < sums.shape[1]:
                value, total = maps[y // stride, x // stride], sums[home_y, home_x]
                if back:
                    _add(total, np.float32(end - x), value)
                else:
                    _add(value, np.float32(end - x), total)
            x = end


@part
def _add(values, number, out):
    for c in range(values.size):
        out[c] += number * values[c]


@part
def _run_end(row, x, step, stride):
    """The first pixel after `x` of another slot, cell or value of the map."""
    stop = min(row.size, (x // step + 1) * step, (x // stride + 1) * stride)
    end = x + 1
    while end < stop and row[end] == row[x]:
        end += 1
    return end


@part
def _home(slot, cell_y, cell_x):
    """The home cell of a slot; -1, -1 for a masked pixel."""
    if slot == MASKED:
        return -1, -1
    return cell_y + slot // 5 - 2, cell_x + slot % 5 - 2
