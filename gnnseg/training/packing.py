"""Tensors and arrays of nested objects in a file: to be read again, or shared by processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from gnnseg.io.atomic import disk_errors

_ALIGNED = 64


@dataclass(frozen=True)
class _TensorPlace:
    """Where a tensor lies in the file."""

    offset: int
    dtype: str
    shape: tuple[int, ...]

    def view(self, data: torch.Tensor) -> torch.Tensor:
        dtype = getattr(torch, self.dtype)
        size = torch.Size(self.shape).numel() * dtype.itemsize
        return data[self.offset : self.offset + size].view(dtype).view(self.shape)


@dataclass(frozen=True)
class _ArrayPlace:
    """Where an array lies in the file."""

    offset: int
    dtype: str
    shape: tuple[int, ...]

    def view(self, data: torch.Tensor) -> np.ndarray:
        return np.ndarray(self.shape, self.dtype, data.numpy(), self.offset)


_PARTS, _PLACES = (torch.Tensor, np.ndarray), (_TensorPlace, _ArrayPlace)


@dataclass(frozen=True)
class Stored:
    """An object whose tensors and arrays lie in a part of the file `path`."""

    path: Path
    start: int
    stop: int
    content: Any

    def load(self) -> Any:
        """The object, in memory of its own."""
        size = self.stop - self.start
        data = torch.from_numpy(np.fromfile(self.path, np.uint8, size, offset=self.start))
        return _each(self.content, _PLACES, lambda place: place.view(data))


def store(value: Any, path: Path) -> Stored:
    """Write the tensors and arrays of an object to the end of a file."""
    with disk_errors(path), path.open("ab") as file:
        file.write(bytes(-file.tell() % _ALIGNED))
        start = file.tell()
        content = _each(value, _PARTS, lambda part: _write(file, part, start))
        return Stored(path, start, file.tell(), content)


def num_bytes(value: Any) -> int:
    """Bytes of the tensors and arrays of an object."""
    total = 0

    def add(part: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
        nonlocal total
        total += part.nbytes
        return part

    _each(value, _PARTS, add)
    return total


@dataclass(frozen=True)
class Packed:
    """Objects whose tensors and arrays lie in the file `path`."""

    path: Path
    size: int
    content: list[Any]

    def unpack(self) -> list[Any]:
        """The objects, whose tensors and arrays share the memory of all who unpack them."""
        data = torch.from_file(str(self.path), shared=True, size=self.size, dtype=torch.uint8)
        return [_each(value, _PLACES, lambda place: place.view(data)) for value in self.content]


def pack(values: list[Any], path: Path) -> Packed:
    """Write tensors and arrays to `path`; `values` is emptied, so that memory is not doubled.

    Values are tensors, arrays of numbers, dataclasses, lists, tuples and dicts of such; anything
    else stays as it is.
    """
    content = []
    values.reverse()
    with disk_errors(path), path.open("wb") as file:
        while values:
            content.append(_each(values.pop(), _PARTS, lambda value: _write(file, value)))
        file.write(bytes(_ALIGNED))
        size = file.tell()
    return Packed(path, size, content)


def _write(
    file: BinaryIO, value: torch.Tensor | np.ndarray, start: int = 0
) -> _TensorPlace | _ArrayPlace:
    """Write a part; its place is counted from `start`."""
    file.write(bytes(-file.tell() % _ALIGNED))
    offset = file.tell() - start
    if isinstance(value, np.ndarray):
        file.write(np.ascontiguousarray(value).data)
        return _ArrayPlace(offset, value.dtype.str, value.shape)
    flat = value.detach().cpu().contiguous().reshape(-1)
    file.write(flat.view(torch.uint8).numpy().data)
    return _TensorPlace(offset, str(value.dtype).removeprefix("torch."), tuple(value.shape))


def _each(value: Any, kind: tuple[type, ...], change: Callable[[Any], Any]) -> Any:
    """The same nested object with every part of some kinds changed; what is stored stays."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Stored):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.init]
        return replace(value, **{n: _each(getattr(value, n), kind, change) for n in names})
    if isinstance(value, (list, tuple)):
        return type(value)(_each(part, kind, change) for part in value)
    if isinstance(value, dict):
        return {name: _each(part, kind, change) for name, part in value.items()}
    return value
