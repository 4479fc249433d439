"""From labels of regions to labels of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, run_tasks
from gnnseg.kernels.arrays import beside, contiguous, empty, is_device_array, on_host
from gnnseg.kernels.paint import paint as paint_kernel
from gnnseg.kernels.paint import paint_volume
from gnnseg.superpixels import Superpixels, Supervoxels

PAINT_HALO = 2
"""Cells around a window whose regions may own its pixels."""
_AT_ONCE = 1 << 21
"""Pixels that a thread paints at once, about."""
_WIDEST = 8
"""Bytes of a value."""


def paint_window(slots: Any, step: int, values: Any, first: tuple[int, int], fill: Any) -> Any:
    """Paint one window of slots (H, W) that starts at a corner of a cell, where the slots are.

    `values` are those of the homes around it; `first` says where the window's first cell is there.
    """
    out = empty(slots.shape, values.dtype, like=slots)
    if not is_device_array(slots):
        slots, values = np.ascontiguousarray(slots), np.ascontiguousarray(values)
    paint_kernel(slots, step, values, first[0], first[1], values.dtype.type(fill), out)
    return out


def paint_box(
    slots: Any, steps: tuple[int, int], values: Any, first: tuple[int, int, int], fill: Any
) -> Any:
    """Paint a box of slots (Z, H, W) that starts at a corner of a cell of `steps` (z, yx) voxels.

    `values` and `first` are as for a window, with layers of homes first.
    """
    out = empty(slots.shape, values.dtype, like=slots)
    slots, values = contiguous(slots), contiguous(values)
    paint_volume(slots, steps, values, first, values.dtype.type(fill), out)
    return out


def paint(
    superpixels: Superpixels | Supervoxels | np.ndarray,
    values: Any,
    *,
    step: int | None = None,
    fill: Any = None,
    out: Any = None,
    workers: int | None = None,
) -> Any:
    """Give every pixel the value of its superpixel.

    Parameters
    ----------
    superpixels : Superpixels, Supervoxels, or (H, W) uint8 slots
        With slots, `step` says the size of a cell. If they lie on a GPU, so does the result.
    values : (num_cells,) or (cells_y, cells_x), of supervoxels (cells_z, cells_y, cells_x)
        One value a superpixel, in raster order of the home cells; in memory, or on the GPU where
        the slots are. Truth values are painted as uint8, float16 as float32.
    fill : scalar, optional
        Value of masked pixels; default: the highest of the type, or NaN.
    out : array, optional
        Where to paint: of the shape of the slots and the type of the values, C-contiguous, beside
        the slots, and no part of them or of the values. By default it is made.
    workers : int, optional
        Threads, for slots of one plane in memory; by default one for each processor.

    Returns
    -------
    array
        `out`, or what was made in its place.

    Raises
    ------
    UsageError
        The number of values is not that of the superpixels, slots are no uint8, values no real
        numbers, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> paint(np.full((4, 6), 12, np.uint8), np.array([[1, 2]], np.uint8), step=4)[0]
    array([1, 1, 1, 1, 2, 2], dtype=uint8)
    """
    if isinstance(superpixels, Supervoxels):
        return _paint_volume(superpixels, values, fill, out)
    slots: Any = superpixels.slots if isinstance(superpixels, Superpixels) else superpixels
    if step is None:
        if not isinstance(superpixels, Superpixels):
            raise UsageError("painting slots needs the step they were made with")
        step = superpixels.settings.step
    slots = beside(slots, slots)
    if slots.dtype != np.uint8:
        raise UsageError(f"paint takes slots of type uint8, got {slots.dtype}: ids are no slots")
    if slots.ndim != 2:
        raise UsageError(f"paint takes one plane of slots (H, W), got shape {slots.shape}")
    height, width = slots.shape
    lattice, values = Lattice(height, width, step), _paintable(beside(values, slots))
    if values.size != lattice.num_cells:
        raise UsageError(f"{lattice.num_cells} superpixels need as many values, got {values.size}")
    target = _target(slots, values, out)
    fill, values = values.dtype.type(_fill(values, fill)), contiguous(values).reshape(lattice.shape)
    if is_device_array(slots):
        paint_kernel(slots, step, values, 0, 0, fill, target)
    else:
        workers = workers or default_workers()
        _paint_bands(lattice, contiguous(slots), values, fill, target, workers=workers)
    return target if out is None else out


def _paint_bands(
    lattice: Lattice, slots: np.ndarray, values: np.ndarray, fill: Any, out: Any, *, workers: int
) -> None:
    """Paint a whole plane, so many rows of cells at a time."""
    rows = max(1, _AT_ONCE // (lattice.step * lattice.width))
    bands = list(lattice.cells.split((rows, lattice.shape[1])))

    def work(cells: Window) -> None:
        part = lattice.pixels(cells).slices
        paint_kernel(slots[part], lattice.step, values, cells.y0, 0, fill, out[part])

    run_tasks(work, bands, workers=min(workers, len(bands)))


def _target(slots: Any, values: Any, out: Any) -> Any:
    """Where to paint: what the caller gave, if it fits, or a new array."""
    if out is None:
        return empty(slots.shape, values.dtype, like=slots)
    if is_device_array(out) != is_device_array(slots):
        raise UsageError("out must lie where the slots are: both in memory, or both on the GPU")
    there = beside(out, slots)
    if there.shape != slots.shape or there.dtype != values.dtype:
        raise UsageError(
            f"out must have shape {slots.shape} and type {values.dtype}, "
            f"got {there.shape} and {there.dtype}"
        )
    if not is_device_array(out):
        usable = isinstance(out, np.ndarray) and out.flags.c_contiguous and out.flags.writeable
        if not usable:
            raise UsageError("out must be a NumPy array, C-contiguous and writeable")
        if np.may_share_memory(out, slots) or np.may_share_memory(out, values):
            raise UsageError("out must not overlap the slots or the values: use another array")
    return there


def _paint_volume(regions: Supervoxels, values: Any, fill: Any, out: Any) -> Any:
    lattice, slots = regions.lattice, beside(regions.slots, regions.slots)
    values = _paintable(beside(values, slots))
    if values.size != lattice.num_cells:
        raise UsageError(f"{lattice.num_cells} supervoxels need as many values, got {values.size}")
    target = _target(slots, values, out)
    table = contiguous(values).reshape(lattice.shape)
    steps, fill = lattice.steps[:2], values.dtype.type(_fill(values, fill))
    paint_volume(slots, steps, table, (0, 0, 0), fill, target)
    return target if out is None else out


def _paintable(values: Any) -> Any:
    """Values of a type that the loops know, where they are."""
    dtype = np.dtype(values.dtype)
    if dtype.kind not in "buif" or dtype.itemsize > _WIDEST:
        raise UsageError(f"paint takes real numbers of at most 8 bytes, got values of {dtype}")
    known = np.dtype({"?": np.uint8, "e": np.float32}.get(dtype.char, dtype.newbyteorder("=")))
    return values if dtype == known else beside(on_host(values).astype(known), values)


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
