"""From labels of regions to labels of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import UsageError
from gnnseg.kernels.arrays import beside, empty, is_device_array
from gnnseg.kernels.paint import paint as paint_kernel

if TYPE_CHECKING:
    from gnnseg.superpixels import Superpixels

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
    superpixels: Superpixels | np.ndarray,
    values: Any,
    *,
    step: int | None = None,
    fill: Any = None,
) -> Any:
    """Give every pixel the value of its superpixel.

    Parameters
    ----------
    superpixels : Superpixels or (H, W) uint8 slots
        With slots, `step` says the size of a cell. If they lie on a GPU, so does the result.
    values : (num_cells,) or (cells_y, cells_x)
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
    slots: Any = getattr(superpixels, "slots", superpixels)
    if step is None:
        if isinstance(superpixels, np.ndarray) or not hasattr(superpixels, "settings"):
            raise UsageError("painting slots needs the step they were made with")
        step = superpixels.settings.step
    if slots.ndim != 2:
        raise UsageError(f"paint takes one plane of slots (H, W), got shape {slots.shape}")
    height, width = slots.shape
    lattice, values = Lattice(height, width, step), beside(values, slots)
    if values.size != lattice.num_cells:
        raise UsageError(f"{lattice.num_cells} superpixels need as many values, got {values.size}")
    if fill is None:
        fill = np.nan if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    return paint_window(slots, step, values.reshape(lattice.shape), (0, 0), fill)


def homes_around(lattice: Lattice, pixels: Window) -> tuple[Window, Window, tuple[int, int]]:
    """The cells of a window of pixels, the homes around them, and where the first cell is there."""
    cells = pixels.coarsen(lattice.step)
    homes = cells.grow(PAINT_HALO).clip(lattice.cells)
    return cells, homes, (cells.y0 - homes.y0, cells.x0 - homes.x0)
