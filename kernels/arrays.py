"""Arrays in memory or on a GPU: made, copied and padded where the pixels are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def is_device_array(array: Any) -> bool:
    """Whether an array lies on a GPU, or on Numba's simulator of one.

    CuPy's and Numba's arrays, and tensors of PyTorch on a GPU, say so by
    `__cuda_array_interface__`; the simulator's arrays do not have it.
    """
    if getattr(array, "requires_grad", False):
        array = array.detach()
    return hasattr(array, "__cuda_array_interface__") or type(array).__name__ == "FakeCUDAArray"


def empty(shape: tuple[int, ...], dtype: Any, *, like: Any) -> Any:
    """A new array beside `like`."""
    if is_device_array(like):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.empty(shape, dtype)
    return np.empty(shape, dtype)


def full(shape: tuple[int, ...], dtype: Any, value: Any, *, like: Any) -> Any:
    """A new array beside `like`, with one value everywhere."""
    if is_device_array(like):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.full(shape, dtype, value)
    return np.full(shape, value, dtype)


def copied(array: Any) -> Any:
    """A C-contiguous copy of an array, or of a view of one, with at least two axes."""
    if is_device_array(array):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.copied(array)
    return array.copy(order="C")


def copy_to(source: Any, target: Any) -> None:
    """Write an array into another of its shape, where both lie."""
    if is_device_array(target):
        from gnnseg.kernels.cuda import arrays as gpu

        gpu.copy(source, target)
    else:
        target[...] = source


def cut(array: Any, index: tuple[Any, ...]) -> Any:
    """`array[index]`, a view, also where that is not of one piece on a GPU."""
    if is_device_array(array):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.cut(array, index)
    return array[index]


def contiguous(array: Any) -> Any:
    """An array itself if it is C-contiguous, else a copy."""
    if is_device_array(array):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.contiguous(array)
    return np.ascontiguousarray(array)


def as_rows(array: Any, axes: int) -> Any:
    """An array whose first `axes` axes are one, C-contiguous: a view of it where that can be."""
    shape = math.prod(array.shape[:axes]), *array.shape[axes:]
    # Numba neither reshapes nor cuts arrays on a GPU that hold nothing.
    return contiguous(array).reshape(shape) if array.size else empty(shape, array.dtype, like=array)


def on_host(array: Any) -> np.ndarray:
    """An array in memory: itself, or a copy of what lies on a GPU."""
    if is_device_array(array):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.to_host(array)
    return np.asarray(array)


def beside(array: Any, like: Any) -> Any:
    """An array brought to where `like` is, if it is not there."""
    if not is_device_array(like):
        return on_host(array)
    from gnnseg.kernels.cuda import arrays as gpu

    return gpu.view(array) if is_device_array(array) else gpu.from_host(array)


def repeat_channel(pixels: Any, number: int) -> Any:
    """A single channel (1, H, W) so many times over."""
    if is_device_array(pixels):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.stacked([pixels[0]] * number)
    return np.repeat(pixels, number, axis=0)


def repeat_edges(work: Any, margins: tuple[int, int, int, int]) -> None:
    """Fill the margins (top, bottom, left, right) of each channel with the pixels at its edges.

    `work` (C, H, W) has the margins already.
    """
    if is_device_array(work):
        from gnnseg.kernels.cuda import arrays as gpu

        gpu.repeat_edges(work, margins)
        return
    top, bottom, left, right = margins
    height, width = work.shape[1:]
    work[:, :, :left] = work[:, :, left, None]
    work[:, :, width - right :] = work[:, :, width - right - 1, None]
    work[:, :top] = work[:, top, None]
    work[:, height - bottom :] = work[:, height - bottom - 1, None]


def write_where_zero(flags: Any, value: int, out: Any) -> None:
    """Write `value` into `out` (H, W) where `flags` (H, W) are zero."""
    if is_device_array(out):
        from gnnseg.kernels.cuda import arrays as gpu

        gpu.write_where_zero(flags, value, out)
        return
    out[flags == 0] = value


def all_set(flags: Any) -> bool:
    """Whether all of `flags` (H, W) bool are."""
    if is_device_array(flags):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.all_set(flags)
    return bool(flags.all())


def mean_of_channels(work: Any) -> Any:
    """The mean of (C, H, W) int16 over its channels, rounded down."""
    if is_device_array(work):
        from gnnseg.kernels.cuda import arrays as gpu

        return gpu.mean_of_channels(work)
    return (work.sum(axis=0, dtype=np.int32) // work.shape[0]).astype(np.int16)
