"""Gather a value per region at its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop, part
from gnnseg.kernels.runs import inlined_way_home
from gnnseg.kernels.slots import REACH, SLOTS, VOLUME_SLOTS

_STRIP = 512
"""Pixels of a row that are painted at once."""


def paint(
    slots: np.ndarray,
    step: int,
    values: np.ndarray,
    first_y: int,
    first_x: int,
    fill: Any,
    out: np.ndarray,
) -> None:
    """Paint one window.

    Parameters
    ----------
    slots : (H, W) uint8
        The window starts at a corner of a cell.
    step : int
    values : (rows, columns) any
        Value of each home around the window, two cells wider where the image goes on.
    first_y, first_x : int
        Where the window's first cell lies in `values`.
    fill : same type as `values`
        Value of masked pixels, and of those whose slot is no slot or leads out of `values`.
    out : (H, W), same type as `values`
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import paint as gpu

        gpu.paint(slots, step, values, first_y, first_x, fill, out)
    else:
        _paint(slots, step, values, first_y, first_x, fill, out)


@loop
def _paint(slots, step, values, first_y, first_x, fill, out):
    height, width = slots.shape
    wide = np.empty((5, (_STRIP // step + 6) * step), values.dtype)
    near = np.empty((SLOTS, _STRIP), values.dtype)
    for x0 in range(0, width, _STRIP):
        n, cell = min(_STRIP, width - x0), x0 // step
        for k in range(4):
            _widen(values, first_y + k - 2, first_x + cell - 2, step, fill, wide[k])
        for cell_y in range(-(-height // step)):
            last = first_y + cell_y + 2, first_x + cell - 2
            _widen(values, last[0], last[1], step, fill, wide[(cell_y + 4) % 5])
            for slot in range(SLOTS):
                left = x0 - cell * step + slot % 5 * step
                _copy(wide[(cell_y + slot // 5) % 5, left:], near[slot, :n])
            for y in range(cell_y * step, min(cell_y * step + step, height)):
                row, painted = slots[y, x0 : x0 + n], out[y, x0 : x0 + n]
                if values.itemsize == 1:
                    _select(row, near, fill, painted)
                else:
                    _gather(row, near, fill, painted)


@part
def _widen(values, home_y, home_x, step, fill, wide):
    """Write the values of a row of homes, from `home_x` on, at each column of their cells."""
    inside_y = 0 <= home_y < values.shape[0]
    for x in range(0, wide.size, step):
        inside = inside_y and 0 <= home_x < values.shape[1]
        value = values[home_y, home_x] if inside else fill
        for k in range(x, x + step):
            wide[k] = value
        home_x += 1


@inlined
def _copy(source, target):
    for x in range(target.size):
        target[x] = source[x]


@inlined
def _select(slots, near, fill, out):
    """Take each pixel's value from the row of its slot: compared with all, 64 bytes at once."""
    for x in range(slots.size):
        value = fill
        for slot in range(SLOTS):
            value = near[slot, x] if slots[x] == slot else value
        out[x] = value


@inlined
def _gather(slots, near, fill, out):
    """The same, looked up: faster where a value is no byte."""
    for x in range(slots.size):
        out[x] = near[slots[x], x] if slots[x] < SLOTS else fill


def paint_volume(
    slots: np.ndarray,
    steps: tuple[int, int],
    values: np.ndarray,
    first: tuple[int, int, int],
    fill: Any,
    out: np.ndarray,
) -> None:
    """Paint a window of a volume.

    Parameters
    ----------
    slots : (Z, H, W) uint8
        The window starts at a corner of a cell.
    steps : (z, yx) int
    values : (layers, rows, columns) any
        Value of each home around the window, two cells wider where the volume goes on.
    first : (z, y, x) int
        Where the window's first cell lies in `values`.
    fill : same type as `values`
        Value of masked voxels, and of those whose slot is no slot or leads out of `values`.
    out : (Z, H, W), same type as `values`
    """
    if is_device_array(slots):
        from gnnseg.kernels.cuda import paint as gpu

        gpu.paint_volume(slots, steps, values, first, fill, out)
    else:
        _paint_volume(slots, steps, values, first, fill, out)


@loop
def _paint_volume(slots, steps, values, first, fill, out):
    layers, rows, columns = values.shape
    first_x = np.arange(slots.shape[2]) // steps[1] + first[2] - REACH
    for z in range(slots.shape[0]):
        for y in range(slots.shape[1]):
            first_z, first_y = z // steps[0] + first[0] - REACH, y // steps[1] + first[1] - REACH
            for x in range(slots.shape[2]):
                slot = np.int64(slots[z, y, x])
                layer, row, column = inlined_way_home(slot)
                home_z, home_y, home_x = first_z + layer, first_y + row, first_x[x] + column
                inside = 0 <= home_z < layers and 0 <= home_y < rows and 0 <= home_x < columns
                if slot < VOLUME_SLOTS and inside:
                    out[z, y, x] = values[home_z, home_y, home_x]
                else:
                    out[z, y, x] = fill


@loop
def count_labels(slots, step, labels, counts):
    """Add each pixel's label to its region's `(cells_y, cells_x, classes)` int32 histogram.

    Labels of no class (unlabelled), and pixels whose slot is no slot or leads out of the table, are
    not counted.
    """
    (height, width), (rows, columns, classes) = slots.shape, counts.shape
    for y in range(height):
        for x in range(width):
            slot, label = np.int64(slots[y, x]), np.int64(labels[y, x])
            home_y, home_x = y // step + slot // 5 - 2, x // step + slot % 5 - 2
            inside = 0 <= home_y < rows and 0 <= home_x < columns
            if slot < SLOTS and inside and 0 <= label < classes:
                counts[home_y, home_x, label] += 1
