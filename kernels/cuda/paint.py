"""Gather a value per region at its pixels, on a GPU; the rule is that of `gnnseg.kernels.paint`."""

from __future__ import annotations

from typing import Any

from numba import cuda

from gnnseg.kernels.cuda.homes import way_home
from gnnseg.kernels.cuda.launch import per_pixel, per_voxel
from gnnseg.kernels.runs import ROW
from gnnseg.kernels.slots import REACH, SLOTS, VOLUME_SLOTS


def paint(
    slots: Any, step: int, values: Any, first_y: int, first_x: int, fill: Any, out: Any
) -> None:
    """Paint one window; arguments as for the CPU."""
    _paint[per_pixel(*slots.shape)](slots, step, values, first_y, first_x, fill, out)


def paint_volume(
    slots: Any,
    steps: tuple[int, int],
    values: Any,
    first: tuple[int, int, int],
    fill: Any,
    out: Any,
) -> None:
    """Paint a window of a volume; arguments as for the CPU."""
    _paint_volume[per_voxel(*slots.shape)](slots, *steps, values, *first, fill, out)


@cuda.jit
def _paint(slots, step, values, first_y, first_x, fill, out):
    x, y = cuda.grid(2)
    if y < slots.shape[0] and x < slots.shape[1]:
        slot = int(slots[y, x])
        home_y = first_y + y // step + slot // ROW - REACH
        home_x = first_x + x // step + slot % ROW - REACH
        inside = 0 <= home_y < values.shape[0] and 0 <= home_x < values.shape[1]
        out[y, x] = values[home_y, home_x] if slot < SLOTS and inside else fill


@cuda.jit
def _paint_volume(slots, step_z, step, values, first_z, first_y, first_x, fill, out):
    x, y, z = cuda.grid(3)
    if y < slots.shape[1] and x < slots.shape[2]:
        slot = int(slots[z, y, x])
        layer, row, column = way_home(slot)
        home_z = first_z + z // step_z + layer - REACH
        home_y = first_y + y // step + row - REACH
        home_x = first_x + x // step + column - REACH
        inside = 0 <= home_y < values.shape[1] and 0 <= home_x < values.shape[2]
        inside = inside and 0 <= home_z < values.shape[0] and slot < VOLUME_SLOTS
        out[z, y, x] = values[home_z, home_y, home_x] if inside else fill
