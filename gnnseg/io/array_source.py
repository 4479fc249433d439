"""Arrays in memory, Dask arrays and `.npy` files."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import InputError
from gnnseg.io.chunks import all_touched
from gnnseg.io.file_identity import file_identity
from gnnseg.io.guard import regular_file

_CHUNK = 1024
"""The chunk told for arrays that have none."""
_SAMPLES = 64
"""A last axis of so many values or fewer is read whole: a system call for each part costs more."""


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """A NumPy array or memory map."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return tuple(min(_CHUNK, size) for size in self.array.shape)

    @property
    def resident_bytes(self) -> int:
        """Pages of a mapped file as they are read; another array is in memory already."""
        return int(self.array.nbytes) if _is_mapped(self.array) else 0

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        # A copy: what is read must not change when the caller's array does, nor be written into.
        return self.array[index].copy()

    def identity(self) -> bytes | None:
        return None


def _is_mapped(array: Any) -> bool:
    """Whether an array lies in a mapped file, or is a view of one that does."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap)


@dataclass(frozen=True, eq=False)
class DaskReader:
    """A Dask array; the calling thread computes, as blocks already run in threads or workers."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        if any(math.isnan(size) for size in self.array.shape):
            raise InputError("dask array: its shape is unknown; call compute_chunk_sizes() first")
        return tuple(int(size) for size in self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        return tuple(max(sizes) for sizes in self.array.chunks)

    @property
    def resident_bytes(self) -> int:
        return 0

    def read_bytes(self, sizes: tuple[int, ...]) -> int:
        """The chunks, which are joined when all are there, and what one is made of."""
        number = all_touched(self.shape, self.chunks, sizes) + 1
        return number * math.prod(self.chunks) * self.dtype.itemsize

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        return np.asarray(self.array[index].compute(scheduler="synchronous"))

    def identity(self) -> bytes | None:
        return None


class RawReader:
    """A plain array of numbers inside a file, read by position.

    Not a memory map: the pages of a map count as memory of the process until the system takes
    them back, so a scan of a big file would break a memory limit.
    """

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        need, size = offset + math.prod(shape) * dtype.itemsize, regular_file(path).st_size
        if need > size:
            raise InputError(f"{path}: is cut short: {need:,} bytes are needed and {size:,} exist")
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        self.chunks = chunks or tuple(min(_CHUNK, n) for n in shape)
        self.resident_bytes = 0

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        sizes = tuple(s.stop - s.start for s in index)
        out = np.empty(sizes, self.dtype)
        with self.path.open("rb", buffering=0) as file:
            if len(sizes) > 1 and sizes[-1] < self.shape[-1] <= _SAMPLES:
                self._read_samples(file.fileno(), index, out)
            else:
                self._read_runs(file.fileno(), index, out)
        return out

    def _read_samples(self, descriptor: int, index: tuple[slice, ...], out: np.ndarray) -> None:
        """Some of the samples of each pixel: all are read, a row of pixels at a time."""
        lead, pixels, samples = index[:-2], index[-2], index[-1]
        row = np.empty((pixels.stop - pixels.start, self.shape[-1]), self.dtype)
        for where in np.ndindex(*out.shape[:-2]):
            there = (slice(s.start + i, s.start + i + 1) for s, i in zip(lead, where, strict=True))
            self._read_runs(descriptor, (*there, pixels, slice(0, self.shape[-1])), row)
            out[where] = row[:, samples]

    def _read_runs(self, descriptor: int, index: tuple[slice, ...], out: np.ndarray) -> None:
        """Read whole runs of neighbours into `out`, a contiguous array."""
        sizes = tuple(s.stop - s.start for s in index)
        axis = len(sizes) - 1
        while axis > 0 and sizes[axis] == self.shape[axis]:
            axis -= 1
        strides = [math.prod(self.shape[i + 1 :]) for i in range(len(sizes))]
        base = sum(s.start * stride for s, stride in zip(index, strides, strict=True))
        runs = out.reshape(*sizes[:axis], -1)
        for where in np.ndindex(*sizes[:axis]):
            start = base + sum(i * stride for i, stride in zip(where, strides[:axis], strict=True))
            self._fill(descriptor, runs[where], start)

    def _fill(self, descriptor: int, run: np.ndarray, start: int) -> None:
        view = memoryview(run.data).cast("B")
        position = self.offset + start * self.dtype.itemsize
        while view.nbytes:
            count = os.preadv(descriptor, [view], position)
            if count <= 0:
                raise InputError(f"{self.path}: ended while it was read")
            view, position = view[count:], position + count

    def identity(self) -> bytes | None:
        return file_identity(self.path)


@dataclass(frozen=True, eq=False)
class TransposedReader:
    """Another reader with its axes reversed: Fortran order."""

    inner: RawReader

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner.shape[::-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inner.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.inner.chunks[::-1]

    @property
    def resident_bytes(self) -> int:
        return 0

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        return self.inner.read(index[::-1]).transpose()

    def identity(self) -> bytes | None:
        return self.inner.identity()


def open_npy(path: Path) -> RawReader | TransposedReader:
    """A reader of a `.npy` file; arrays of Python objects are refused, never unpickled."""
    regular_file(path)
    with path.open("rb") as file:
        shape, fortran, dtype = _npy_header(file, path)
        offset = file.tell()
    if fortran and len(shape) > 1:
        return TransposedReader(RawReader(path, offset=offset, shape=shape[::-1], dtype=dtype))
    return RawReader(path, offset=offset, shape=shape, dtype=dtype)


def _npy_header(file: Any, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise InputError(f"{path}: has the .npy version {version}; 1.0 and 2.0 are read")
    shape, fortran, dtype = read(file)
    if dtype.hasobject or dtype.names or dtype.kind not in "buif":
        raise InputError(f"{path}: pixels of type {dtype} are not supported; use real numbers")
    if any(size < 0 for size in shape):
        raise InputError(f"{path}: claims the shape {shape}")
    return tuple(shape), fortran, dtype
