"""Arrays on a GPU: made, copied and padded; the functions of `gnnseg.kernels.arrays`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.compare import least, most
from gnnseg.kernels.cuda.launch import per_item, per_pixel


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array."""
    return cuda.device_array(shape, dtype)


def full(shape: tuple[int, ...], dtype: Any, value: Any) -> Any:
    """A new array with one value everywhere."""
    array = empty(shape, dtype)
    if array.size > 0:
        _fill[per_item(array.size)](array.reshape(-1), np.dtype(dtype).type(value))
    return array


def from_host(array: np.ndarray) -> Any:
    """A copy of an array in memory."""
    return cuda.to_device(np.ascontiguousarray(array))


def to_host(array: Any) -> np.ndarray:
    """A copy in memory of an array, or of a view of one."""
    return contiguous(array).copy_to_host()


def view(array: Any) -> Any:
    """Numba's view of an array on a GPU, whoever made it; the simulator's are Numba's."""
    array = array.detach() if hasattr(array, "detach") else array
    return cuda.as_cuda_array(array) if hasattr(array, "__cuda_array_interface__") else array


def copied(array: Any) -> Any:
    """A C-contiguous copy of an array, or of a view of one."""
    target = empty(array.shape, array.dtype)
    copy(array, target)
    return target


def contiguous(array: Any) -> Any:
    """Numba's view of an array, or a C-contiguous copy where that is none."""
    array = view(array)
    return array if array.is_c_contiguous() else copied(array)


def stacked(arrays: list[Any], dtype: Any = None) -> Any:
    """Arrays of one shape, put one after the other along a new first axis; of `dtype` if given."""
    target = empty((len(arrays), *arrays[0].shape), dtype or arrays[0].dtype)
    for at, array in enumerate(arrays):
        copy(array, target[at])
    return target


def copy(source: Any, target: Any) -> None:
    """Copy an array into another of its shape."""
    if source.ndim == 1:
        _copy[per_pixel(1, source.size)](source.reshape(1, source.size), target.reshape(1, -1))
    elif source.ndim > 2:
        fewest = int(np.argmin(source.shape))
        for at in range(source.shape[fewest]):
            index = (*[slice(None)] * fewest, at)
            copy(source[index], target[index])
    else:
        _copy[per_pixel(*source.shape)](source, target)


def repeat_edges(work: Any, margins: tuple[int, int, int, int]) -> None:
    """Fill the margins (top, bottom, left, right) of each channel with the pixels at its edges."""
    _, height, width = work.shape
    top, bottom, left, right = margins
    last = height - bottom - 1, width - right - 1
    _repeat_edges[per_pixel(height, width)](work, top, left, *last)


def write_where_zero(flags: Any, value: int, out: Any) -> None:
    """Write `value` into `out` (H, W) where `flags` (H, W) are zero."""
    _write_where_zero[per_pixel(*out.shape)](flags, value, out)


def all_set(flags: Any) -> bool:
    """Whether all of `flags` (H, W) bool are."""
    found = full((1,), np.int32, 0)
    _find_zero[per_pixel(*flags.shape)](flags, found)
    return int(to_host(found)[0]) == 0


def mean_of_channels(work: Any) -> Any:
    """The mean of (C, H, W) int16 over its channels, rounded down."""
    mean = empty(work.shape[1:], np.int16)
    _mean_of_channels[per_pixel(*mean.shape)](work, mean)
    return mean


@cuda.jit
def _fill(array, value):
    at = cuda.grid(1)
    if at < array.size:
        array[at] = value


@cuda.jit
def _copy(source, target):
    x, y = cuda.grid(2)
    if y < target.shape[0] and x < target.shape[1]:
        target[y, x] = source[y, x]


@cuda.jit
def _repeat_edges(work, top, left, bottom, right):
    """Write to margins only, from inside only: no thread reads what another writes."""
    x, y = cuda.grid(2)
    if y < work.shape[1] and x < work.shape[2]:
        from_y, from_x = least(most(y, top), bottom), least(most(x, left), right)
        if from_y != y or from_x != x:
            for c in range(work.shape[0]):
                work[c, y, x] = work[c, from_y, from_x]


@cuda.jit
def _write_where_zero(flags, value, out):
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1] and flags[y, x] == 0:
        out[y, x] = value


@cuda.jit
def _find_zero(flags, found):
    """Write 1 if a flag is zero: whichever thread does."""
    x, y = cuda.grid(2)
    if y < flags.shape[0] and x < flags.shape[1] and flags[y, x] == 0:
        found[0] = 1


@cuda.jit
def _mean_of_channels(work, mean):
    x, y = cuda.grid(2)
    if y < mean.shape[0] and x < mean.shape[1]:
        total = 0
        for c in range(work.shape[0]):
            total += int(work[c, y, x])
        mean[y, x] = total // work.shape[0]
