"""Zarr arrays of version 2 and 3, and OME-Zarr images of version 0.4 and 0.5."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.io.chunks import CODED_AT_ONCE, all_touched
from gnnseg.io.guard import check_chunk_bytes, reading
from gnnseg.io.ome import Calibration, OmeImage, ome_image

_MAX_CHUNKS = 1024
_MOST_BYTES = 64 * 2**20
"""What large chunks that are held at once may take, on each thread; at least one is."""
_MOST_METADATA = 2**20
_MARKERS = ("zarr.json", ".zarray", ".zgroup")


@dataclass(frozen=True, eq=False)
class ZarrReader:
    """A Zarr array; a chunk that is absent reads as the fill value."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        return tuple(self.array.chunks)

    @property
    def resident_bytes(self) -> int:
        return 0

    def read_bytes(self, sizes: tuple[int, ...]) -> int:
        """The chunks that are decoded at once, before and after."""
        number = min(all_touched(self.shape, self.chunks, sizes), self._most_chunks)
        # Of a shard, all coded chunks that are wanted are fetched first.
        at_once = number if self._is_sharded else min(number, CODED_AT_ONCE)
        return 2 * at_once * self._chunk_bytes

    @property
    def _chunk_bytes(self) -> int:
        return math.prod(self.chunks) * self.dtype.itemsize

    @property
    def _is_sharded(self) -> bool:
        return getattr(self.array, "shards", None) is not None

    @property
    def _most_chunks(self) -> int:
        """How many chunks are asked for at once: zarr opens all, and holds some."""
        fitting = max(1, _MOST_BYTES // self._chunk_bytes)
        few = self._is_sharded or fitting < CODED_AT_ONCE
        return min(_MAX_CHUNKS, fitting) if few else _MAX_CHUNKS

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        out = np.empty([s.stop - s.start for s in index], self.dtype)
        for part in self._parts(index, self._most_chunks):
            place = (
                slice(p.start - s.start, p.stop - s.start) for p, s in zip(part, index, strict=True)
            )
            out[tuple(place)] = self.array[part]
        return out

    def _parts(self, index: tuple[slice, ...], most: int) -> Iterator[tuple[slice, ...]]:
        """The index, cut in two until each part touches at most so many chunks."""
        counts = [
            -(-s.stop // side) - s.start // side for s, side in zip(index, self.chunks, strict=True)
        ]
        axis = int(np.argmax(counts))
        if math.prod(counts) <= most or counts[axis] < 2:
            yield index
            return
        start, stop, side = index[axis].start, index[axis].stop, self.chunks[axis]
        middle = (start // side + counts[axis] // 2) * side
        for part in (slice(start, middle), slice(middle, stop)):
            yield from self._parts((*index[:axis], part, *index[axis + 1 :]), most)

    def identity(self) -> bytes | None:
        return None


@dataclass(frozen=True)
class ZarrImage:
    """What opening a store gives: the reader and what its metadata say."""

    reader: ZarrReader
    axes: str | None
    calibration: Calibration
    is_rgb: bool | None


def is_zarr(path: Path) -> bool:
    """Whether `path` is the folder of a Zarr array or group."""
    return path.is_dir() and any((path / marker).is_file() for marker in _MARKERS)


def open_zarr(path: Path, *, level: int = 0) -> ZarrImage:
    """The array at `path`, or level `level` of the OME-Zarr image there."""
    name = str(path)
    if not is_zarr(path):
        raise InputError(
            f"{name}: is a folder without zarr.json, .zarray or .zgroup: no Zarr store"
        )
    check_complete(path)
    with reading(name):
        node = open_node(path)
        if not hasattr(node, "shape"):
            about = ome_image(node.attrs.asdict(), name, lambda: _arrays(path))
            return _open_image(node, about, name, level)
        if level:
            raise UsageError(f"{name}: is one array and has no level {level}")
        return ZarrImage(_reader(node, name), dimension_axes(node), Calibration(), None)


def open_zarr_array(array: Any) -> ZarrImage:
    """The image in a Zarr array that the caller has opened."""
    return ZarrImage(
        _reader(array, "zarr array", guard=False), dimension_axes(array), Calibration(), None
    )


def check_complete(path: Path) -> None:
    """Raise StateError for an output of gnnseg, or an array in one, that is not finished."""
    from gnnseg.io.attributes import gnnseg_attributes

    for folder in (path, *path.absolute().parents[:2]):
        about = gnnseg_attributes(folder)
        if about is not None and about.get("complete") is not True:
            raise StateError(
                f"{folder}: is an unfinished output; run the same command again to finish it"
            )


def dimension_axes(array: Any) -> str | None:
    """The axes that a v3 array's dimension names spell, None if they are not all known."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    letters = "".join(str(name)[:1].upper() for name in names)
    plain = all(str(n).lower() in ("t", "z", "c", "y", "x", "channel", "time") for n in names)
    return letters if names and plain and len(set(letters)) == len(letters) else None


def open_node(path: Path) -> Any:
    """The Zarr array or group in a folder of unknown origin; keys lead nowhere else."""
    import zarr
    from zarr.errors import ArrayNotFoundError, GroupNotFoundError

    from gnnseg.io.zarr_guard import GuardedStore

    store = GuardedStore(path, read_only=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return zarr.open(store, mode="r")
    except (FileNotFoundError, ArrayNotFoundError, GroupNotFoundError) as error:
        raise InputError(f"{path}: its Zarr metadata cannot be understood") from error


def _open_image(group: Any, image: OmeImage, name: str, level: int) -> ZarrImage:
    if not 0 <= level < len(image.paths):
        raise UsageError(f"{name}: has the levels 0 to {len(image.paths) - 1}, not {level}")
    key = image.paths[level]
    if key.startswith("/") or ".." in key.split("/"):
        raise InputError(f"{name}: the level path {key!r} leaves the store")
    try:
        array = group[key]
    except KeyError as error:
        raise InputError(f"{name}: its metadata name the level {key!r}, which is absent") from error
    if not hasattr(array, "shape"):
        raise InputError(f"{name}: the level {key!r} is a group, not an array")
    reader = _reader(array, name)
    axes = image.axes or dimension_axes(array)
    if axes is not None and len(axes) != len(reader.shape):
        raise InputError(
            f"{name}: has axes {axes!r} for an array of {len(reader.shape)} dimensions"
        )
    return ZarrImage(reader, axes, image.calibrations[level], image.is_rgb)


def _reader(array: Any, name: str, *, guard: bool = True) -> ZarrReader:
    dtype = array.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in "buif":
        raise InputError(f"{name}: holds {dtype}, which is no image; real numbers are needed")
    unit = getattr(array, "shards", None) or array.chunks
    check_chunk_bytes(name, math.prod(array.chunks) * dtype.itemsize, "chunk")
    if array.shards and not guard:
        check_chunk_bytes(name, math.prod(unit) * dtype.itemsize, "shard")
    if not guard:
        return ZarrReader(array)
    from gnnseg.io.zarr_guard import guarded_array

    return ZarrReader(guarded_array(array))


def _arrays(path: Path) -> list[str]:
    """Paths of arrays at most two folders below `path`, to name in an error."""
    found: set[str] = set()
    for depth in ("*", "*/*"):
        for marker in ("zarr.json", ".zarray"):
            files = sorted(path.glob(f"{depth}/{marker}"))[:64]
            found |= {str(file.parent.relative_to(path)) for file in files if _is_array(file)}
    return sorted(found)[:8]


def _is_array(marker: Path) -> bool:
    if not marker.is_file() or marker.name == ".zarray":
        return marker.is_file()
    with marker.open("rb") as file:
        return b'"array"' in file.read(_MOST_METADATA)
