"""One value a superpixel, from a `.npy` file or a Zarr array, read window by window."""

from __future__ import annotations

import math
from pathlib import Path

from gnnseg.errors import InputError, MissingInputError
from gnnseg.io.array_source import RawReader, open_npy
from gnnseg.io.axes import resolve_axes
from gnnseg.io.guard import reading
from gnnseg.io.source import ImageSource, Reader


def open_values(path: str | Path, shape: tuple[int, int, int]) -> ImageSource:
    """Values of the superpixels as an image of `shape`, (planes, cells_y, cells_x).

    A `.npy` may have any shape with as many values in that order; a Zarr array has this shape, or
    (cells_y, cells_x) for one plane. Raises InputError for anything else, and for numbers that
    are no integers or floats of 4 or 8 bytes, or bytes or shorts.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such file or folder")
    reader = _open_zarr(path) if path.is_dir() else _open_npy(path, shape)
    count = math.prod(shape)
    if math.prod(reader.shape) != count:
        raise InputError(
            f"{path}: {count} superpixels need as many values, got {math.prod(reader.shape)}"
        )
    if reader.shape not in (shape, shape[1:]):
        raise InputError(f"{path}: has the shape {reader.shape}; save it in the shape {shape}")
    if reader.dtype.kind not in "iuf" or reader.dtype.itemsize > 8 or reader.dtype == "float16":
        raise InputError(f"{path}: holds {reader.dtype}, and integers or floats are painted")
    axes = "ZYX"[-len(reader.shape) :]
    layout = resolve_axes(reader.shape, name=str(path), found=None, given=axes, select={})
    return ImageSource(str(path), reader, layout, num_channels=1)


def _open_npy(path: Path, shape: tuple[int, int, int]) -> Reader:
    with reading(str(path)):
        reader = open_npy(path)
    if isinstance(reader, RawReader) and math.prod(reader.shape) == math.prod(shape):
        return RawReader(path, offset=reader.offset, shape=shape, dtype=reader.dtype)
    return reader


def _open_zarr(path: Path) -> Reader:
    from gnnseg.io.zarr_source import open_zarr

    return open_zarr(path).reader
