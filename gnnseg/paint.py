"""From labels of regions to labels of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import UsageError
from gnnseg.kernels.arrays import beside, empty, is_device_array, on_host
from gnnseg.kernels.paint import paint as paint_kernel
from gnnseg.kernels.paint import paint_volume
from gnnseg.superpixels import Superpixels, Supervoxels

PAINT_HALO = 2
"""Cells around a window whose regions may own its pixels."""


def paint_window(slots: Any, step: int, values: Any, first: tuple[int, int], fill: Any) -> Any:
    """Paint one window of slots (H, W) that starts at a corner of a cell, where the slots are.

    `values` are those of the homes around it; `first` says where the window's first cell is there.
    """
    out = empty(slots.shape, values.dtype, like=slots)
    if not is_device_array(slots):
        slots, values = np.ascontiguousarray(slots), np.ascontiguousarray(values)
    paint_kernel(slots, step, values, first[0], first[1], values.dtype.type(fill), out)
    return out


def paint(
    superpixels: Superpixels | Supervoxels | np.ndarray,
    values: Any,
    *,
    step: int | None = None,
    fill: Any = None,
) -> Any:
    """Give every pixel the value of its superpixel.

    Parameters
    ----------
    superpixels : Superpixels, Supervoxels, or (H, W) uint8 slots
        With slots, `step` says the size of a cell. If they lie on a GPU, so does the result.
    values : (num_cells,) or (cells_y, cells_x), of supervoxels (cells_z, cells_y, cells_x)
        One value a superpixel, in raster order of the home cells; in memory, or on the GPU where
        the slots are.
    fill : scalar, optional
        Value of masked pixels; default: the highest of the type, or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> paint(np.full((4, 6), 12, np.uint8), np.array([[1, 2]], np.uint8), step=4)[0]
    array([1, 1, 1, 1, 2, 2], dtype=uint8)
    """
    if isinstance(superpixels, Supervoxels):
        return _paint_volume(superpixels, values, fill)
    slots: Any = superpixels.slots if isinstance(superpixels, Superpixels) else superpixels
    if step is None:
        if not isinstance(superpixels, Superpixels):
            raise UsageError("painting slots needs the step they were made with")
        step = superpixels.settings.step
    if slots.ndim != 2:
        raise UsageError(f"paint takes one plane of slots (H, W), got shape {slots.shape}")
    height, width = slots.shape
    lattice, values = Lattice(height, width, step), beside(values, slots)
    if values.size != lattice.num_cells:
        raise UsageError(f"{lattice.num_cells} superpixels need as many values, got {values.size}")
    fill = _fill(values, fill)
    return paint_window(slots, step, values.reshape(lattice.shape), (0, 0), fill)


def _paint_volume(regions: Supervoxels, values: np.ndarray, fill: Any) -> np.ndarray:
    lattice, values = regions.lattice, on_host(values)
    if values.size != lattice.num_cells:
        raise UsageError(f"{lattice.num_cells} supervoxels need as many values, got {values.size}")
    out = np.empty(regions.slots.shape, values.dtype)
    table = np.ascontiguousarray(values).reshape(lattice.shape)
    steps = lattice.step_z, lattice.step
    paint_volume(regions.slots, steps, table, values.dtype.type(_fill(values, fill)), out)
    return out


def _fill(values: Any, fill: Any) -> Any:
    """Value of masked pixels: by default the highest of the type, or NaN."""
    if fill is not None:
        return fill
    return np.nan if values.dtype.kind == "f" else np.iinfo(values.dtype).max


def homes_around(lattice: Lattice, pixels: Window) -> tuple[Window, Window, tuple[int, int]]:
    """The cells of a window of pixels, the homes around them, and where the first cell is there."""
    cells = pixels.coarsen(lattice.step)
    homes = cells.grow(PAINT_HALO).clip(lattice.cells)
    return cells, homes, (cells.y0 - homes.y0, cells.x0 - homes.x0)
