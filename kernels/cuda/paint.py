"""Gather a value per region at its pixels, on a GPU; the rule is that of `gnnseg.kernels.paint`."""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.cuda.launch import per_pixel
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import REACH, SLOTS


def paint(
    slots: Any, step: int, values: Any, first_y: int, first_x: int, fill: Any, out: Any
) -> None:
    """Paint one window; arguments as for the CPU."""
    _paint[per_pixel(*slots.shape)](slots, step, values, first_y, first_x, fill, out)


@cuda.jit
def _paint(slots, step, values, first_y, first_x, fill, out):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        slot = int(slots[y, x])
        home_y = first_y + y // step + slot // ROW - REACH
        home_x = first_x + x // step + slot % ROW - REACH
        inside = 0 <= home_y < values.shape[0] and 0 <= home_x < values.shape[1]
        out[y, x] = values[home_y, home_x] if slot < SLOTS and inside else fill
