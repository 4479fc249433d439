"""Arrays on a GPU: made, copied and padded; the functions of `gnnseg.kernels.arrays`."""

from __future__ import annotations

import sys
from functools import lru_cache
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
    """Numba's view of an array on a GPU, whoever made it; the simulator's are Numba's.

    What PyTorch still has to do for a tensor on a stream of its own is waited for.
    """
    if hasattr(array, "detach"):
        array = array.detach()
        _finish_stream(array)
    return cuda.as_cuda_array(array) if hasattr(array, "__cuda_array_interface__") else array


def _finish_stream(tensor: Any) -> None:
    """Wait for PyTorch's current stream, unless it is the default one, which all share."""
    if getattr(tensor, "is_cuda", False):
        # Whoever holds a tensor has imported PyTorch: kernels need not.
        stream = sys.modules["torch"].cuda.current_stream(tensor.device)
        if stream.cuda_stream != 0:
            stream.synchronize()


def cut(array: Any, index: tuple[Any, ...]) -> Any:
    """`array[index]` for whole numbers and slices, of whatever strides.

    Numba's own lists all contiguous pieces of what is cut, and takes microseconds for each of them.
    """
    if not hasattr(array, "__cuda_array_interface__"):
        return array[index]  # the simulator's
    shape, strides, start = [], [], 0
    for axis, (size, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        part = index[axis] if axis < len(index) else slice(None)
        places = range(size)[part]
        if isinstance(places, range):
            shape.append(len(places))
            strides.append(stride * places.step)
        start += stride * (places.start if isinstance(places, range) else places)
    if 0 in shape:
        return empty(tuple(shape), array.dtype)
    steps = zip(shape, strides, strict=True)
    end = start + sum((size - 1) * step for size, step in steps) + array.dtype.itemsize
    data = array.gpu_data.view(start, end)
    return type(array)(tuple(shape), tuple(strides), array.dtype, gpu_data=data)


def turned(array: Any) -> Any:
    """The transpose, as a view: Numba's own is a copy, by a kernel that is compiled each time."""
    if not hasattr(array, "__cuda_array_interface__"):
        return array.T
    shape, strides = array.shape[::-1], array.strides[::-1]
    return type(array)(shape, strides, array.dtype, gpu_data=array.gpu_data)


def constant(array: np.ndarray) -> Any:
    """A copy of a small array in memory that is not to be changed: one for all who ask for it."""
    array = np.ascontiguousarray(array)
    device = cuda.current_context().device.uuid
    return _constant(array.tobytes(), array.dtype.str, array.shape, device)


@lru_cache(maxsize=64)
def _constant(raw: bytes, dtype: str, shape: tuple[int, ...], _device: object) -> Any:
    return from_host(np.frombuffer(raw, dtype).reshape(shape))


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
        _copy_row[per_item(source.size)](source, target)
    elif source.ndim > 2:
        fewest = int(np.argmin(source.shape))
        for at in range(source.shape[fewest]):
            index = (*[slice(None)] * fewest, at)
            copy(cut(source, index), cut(target, index))
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
def _copy_row(source, target):
    at = cuda.grid(1)
    if at < target.size:
        target[at] = source[at]


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
