"""Windows of zarr arrays that are one uncompressed chunk a plane, read and written in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import DiskError
from gnnseg.io.zarr_output import FLAT_KEYS


class RawArray:
    """An array (Z, Y, X, ...) on disk, of which a window costs its own bytes and no more.

    Blocks read a few cells more than they write. Through chunks, a halo of two cells costs whole
    chunks, decoded; here a row is a read. For zarr, and whoever reads with it, this is an array
    like any other.

    Parameters
    ----------
    path : Path
        Folder of the array, made by `RawArray.create`.
    shape : tuple of int
    dtype : numpy.dtype
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self._cell = self.dtype.itemsize * int(np.prod(shape[3:], dtype=np.int64))

    @classmethod
    def create(cls, group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Create an array of zeros in a zarr group."""
        group.create_array(
            name,
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=dtype,
            fill_value=0,
            chunk_key_encoding=FLAT_KEYS,
            compressors=None,
        )

    @classmethod
    def open(cls, group: Any, name: str) -> Any:
        """An array of a group; KeyError if it is missing. Of a group in memory, a numpy copy."""
        array = group[name]
        root = getattr(array.store, "root", None)
        if root is None:
            return array[:]
        return cls(Path(root) / array.path, array.shape, array.dtype)

    def __getitem__(self, window: tuple[int, slice, slice]) -> np.ndarray:
        """What was written at (plane, rows, columns), zeros elsewhere; DiskError if it is lost."""
        plane, rows, columns = window
        out, path = np.empty(self._size(rows, columns), self.dtype), self._file(plane)
        try:
            with path.open("rb", buffering=0) as file:
                for part in self._parts(file, rows, columns, out):
                    _read(file, part)
        except (FileNotFoundError, EOFError) as error:
            lost = f"{path}: is missing or too short; use --overwrite to start anew"
            raise DiskError(lost) from error
        return out

    def __setitem__(self, window: tuple[int, slice, slice], values: np.ndarray) -> None:
        plane, rows, columns = window
        data = np.ascontiguousarray(values, self.dtype)
        if data.shape != self._size(rows, columns):
            raise ValueError(f"a window of {self._size(rows, columns)} got values of {data.shape}")
        with open(self._file(plane), "r+b", buffering=0, opener=_existing_or_new) as file:
            file.truncate(self._cell * self.shape[1] * self.shape[2])
            for part in self._parts(file, rows, columns, data):
                _write(file, part)

    def _size(self, rows: slice, columns: slice) -> tuple[int, ...]:
        return rows.stop - rows.start, columns.stop - columns.start, *self.shape[3:]

    def _file(self, plane: int) -> Path:
        """Where zarr looks for the one chunk of a plane."""
        separator = FLAT_KEYS["separator"]
        return self.path / separator.join(["c", str(plane), *"0" * (len(self.shape) - 1)])

    def _parts(
        self, file: FileIO, rows: slice, columns: slice, data: np.ndarray
    ) -> Iterator[memoryview]:
        """The bytes of `data`, by rows or all at once if whole, with the file at their place."""
        across = self.shape[2]
        if data.size == 0:
            return
        whole = columns.stop - columns.start == across
        for index, row in enumerate(data.reshape(1 if whole else len(data), -1).view(np.uint8)):
            file.seek(((rows.start + index) * across + columns.start) * self._cell)
            yield row.data


def _existing_or_new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


def _read(file: FileIO, part: memoryview) -> None:
    """All bytes of a part: the system may give fewer at once."""
    while part:
        number = file.readinto(part)
        if number == 0:
            raise EOFError
        part = part[number:]


def _write(file: FileIO, part: memoryview) -> None:
    """All bytes of a part: the system may take fewer at once."""
    while part:
        part = part[file.write(part) :]
