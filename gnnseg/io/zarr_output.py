"""The Zarr groups that gnnseg writes: born whole, unfinished until told otherwise."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from gnnseg.blocks import Window
from gnnseg.errors import InputError, MissingInputError, StateError, UsageError
from gnnseg.io.atomic import disk_errors
from gnnseg.io.attributes import gnnseg_attributes

FORMAT_VERSION = 1
FLAT_KEYS: Any = {"name": "default", "separator": "."}
"""Chunks side by side in the folder of their array, for arrays that are read block by block and
deleted as a whole: folders take long to make and to remove."""
_CONFIG: Any = {"write_empty_chunks": True}
_TORN = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""How zarr names a file while it is written; it gets its own name when it is whole."""


@dataclass(frozen=True)
class ZarrOutput:
    """An opened output: `levels[0]` is the full size, each next one half of it, rounded up."""

    path: Path
    levels: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.levels[0].shape)

    @property
    def chunk(self) -> int:
        """The side of a square chunk, in pixels."""
        return int(self.levels[0].chunks[-1])


def pyramid_shapes(
    shape: tuple[int, ...], chunk: int, n_levels: int | None
) -> list[tuple[int, ...]]:
    """Shapes of the levels: Y and X halved, rounded up, until one chunk holds them.

    >>> pyramid_shapes((100, 70), 32, None)
    [(100, 70), (50, 35), (25, 18)]
    """
    if chunk < 1 or min(shape) < 1:
        raise UsageError(f"chunk and shape must be positive, got {chunk} and {tuple(shape)}")
    if n_levels is not None and n_levels < 1:
        raise UsageError(f"n_levels must be at least 1, got {n_levels}")
    shapes = [tuple(int(size) for size in shape)]
    while len(shapes) < n_levels if n_levels is not None else max(shapes[-1][-2:]) > chunk:
        *lead, height, width = shapes[-1]
        shapes.append((*lead, -(-height // 2), -(-width // 2)))
    return shapes


def create_output(
    path: str | Path,
    *,
    shapes: Sequence[tuple[int, ...]],
    axes: str,
    chunk: int,
    dtype: Any,
    fill_value: int,
    attributes: dict[str, Any],
    overwrite: bool,
    zarr_format: Literal[2, 3] = 3,
) -> ZarrOutput:
    """Create a group with one array per level, in a single rename.

    Raises StateError when `path` exists, unless `overwrite` and it is an output of gnnseg.
    """
    import zarr

    path = Path(path)
    if chunk < 1 or min(shapes[0]) < 1:
        raise UsageError(f"chunk and shape must be positive, got {chunk} and {shapes[0]}")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
    _check_free(path, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        with disk_errors(path):
            group = zarr.create_group(str(partial), zarr_format=zarr_format, attributes=attributes)
            options = {"dtype": dtype, "fill_value": fill_value, "config": _CONFIG}
            options |= _format_options(zarr_format, axes)
            for level, shape in enumerate(shapes):
                chunks = (1,) * (len(shape) - 2) + (chunk, chunk)
                group.create_array(str(level), shape=shape, chunks=chunks, **options)
            if overwrite:
                remove_output(path)
            partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return open_output(path)


def _format_options(zarr_format: int, axes: str) -> dict[str, Any]:
    """Checksums in both versions: without them most flipped bits stay unnoticed."""
    if zarr_format == 2:
        from numcodecs import Zstd

        keys = {"name": "v2", "separator": "/"}
        return {"compressors": Zstd(level=3, checksum=True), "chunk_key_encoding": keys}
    from zarr.codecs import ZstdCodec

    return {"compressors": ZstdCodec(level=3, checksum=True), "dimension_names": list(axes)}


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise StateError(f"{path}: exists; choose another name, or allow overwriting")
    check_ours(path)


def check_ours(path: Path) -> None:
    """Raise StateError if something is there that is no Zarr output of gnnseg."""
    if not os.path.lexists(path):
        return
    about = None if path.is_symlink() or not path.is_dir() else gnnseg_attributes(path)
    if about is None:
        raise StateError(f"{path}: exists and is no output of gnnseg, so it is not replaced")


def remove_output(path: str | Path) -> None:
    """Delete a Zarr output of gnnseg; anything else there is left alone, with a StateError."""
    path = Path(path)
    check_ours(path)
    if not os.path.lexists(path):
        return
    # Renamed first, so that a deletion cut short leaves no output that looks whole.
    doomed = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    with disk_errors(path):
        path.rename(doomed)
        shutil.rmtree(doomed)


def drop_torn(path: Path) -> None:
    """Delete the files below a folder that zarr was writing when its process was killed."""
    with disk_errors(path):
        for folder, _, names in os.walk(path):
            for name in filter(_TORN.search, names):
                Path(folder, name).unlink(missing_ok=True)


def open_output(path: str | Path, *, writable: bool = True) -> ZarrOutput:
    """Open an output, finished or not; arrays write every chunk, also empty ones."""
    import zarr

    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such output")
    _check_is_output(path)
    group = zarr.open_group(str(path), mode="r+" if writable else "r")
    levels = {int(name): array for name, array in group.arrays() if name.isdecimal()}
    if not levels:
        raise InputError(f"{path}: is an output of gnnseg without arrays")
    return ZarrOutput(path, tuple(levels[k].with_config(_CONFIG) for k in sorted(levels)))


def _check_is_output(path: Path) -> None:
    if gnnseg_attributes(path) is None:
        raise InputError(f"{path}: is no Zarr output of gnnseg")


def mark_complete(path: str | Path) -> None:
    """Set `complete: true`; the metadata file is replaced in one rename."""
    import zarr

    path = Path(path)
    _check_is_output(path)
    with disk_errors(path):
        group = zarr.open_group(str(path), mode="r+")
        about = dict(group.attrs["gnnseg"])  # type: ignore[arg-type]
        group.attrs["gnnseg"] = {**about, "complete": True}


def is_complete(path: str | Path) -> bool:
    """Whether an output is whole: a Zarr group marked so, or a file, which appears only whole."""
    path = Path(path)
    if not path.is_dir():
        return path.is_file()
    about = gnnseg_attributes(path)
    return about is not None and about.get("complete") is True


def check_window(array: Any, window: Window) -> None:
    """Raise UsageError unless `window` lies in `array` and covers whole chunks of it."""
    height, width = array.shape[-2:]
    bounds = Window(0, height, 0, width)
    side_y, side_x = array.chunks[-2:]
    aligned = (
        window.clip(bounds) == window
        and window.y0 % side_y == 0
        and window.x0 % side_x == 0
        and (window.y1 % side_y == 0 or window.y1 == height)
        and (window.x1 % side_x == 0 or window.x1 == width)
    )
    if not aligned:
        raise UsageError(
            f"{window} does not cover whole chunks of {side_y} x {side_x} in {height} x {width}: "
            "two writers would share a chunk"
        )
