"""Windows of a TIFF image, decoding only the strips and tiles that a window touches."""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.io.guard import DamagedError, check_chunk_bytes
from gnnseg.io.tiff_files import SegmentFiles, check_pages, files_identity, files_of

_CACHE_BYTES = 32 * 2**20
_LISTED_BYTES = 80
"""What the offset and the size of a strip or tile take as Python numbers."""


class SegmentCache:
    """The last decoded strips or tiles, up to a number of bytes; safe to share by threads.

    Threads that want the same one at the same time wait for the first of them to decode it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._items: OrderedDict[Any, np.ndarray] = OrderedDict()
        self._pending: dict[Any, Future[np.ndarray]] = {}
        self._bytes = 0

    def get(self, key: Any, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept by `key`, or what `decode` gives; an error of it reaches all who wait."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key]
            is_first = key not in self._pending
            pending = self._pending.setdefault(key, Future())
        if is_first:
            self._decode(key, decode, pending)
        return pending.result()

    def _decode(
        self, key: Any, decode: Callable[[], np.ndarray], pending: Future[np.ndarray]
    ) -> None:
        try:
            data = decode()
        except BaseException as error:
            self._settle(key, None)
            pending.set_exception(error)
            raise
        self._settle(key, data)
        pending.set_result(data)

    def _settle(self, key: Any, data: np.ndarray | None) -> None:
        """Keep what was decoded, if it was, in place of the oldest; nobody waits for it now."""
        with self._lock:
            del self._pending[key]
            if data is not None:
                self._items[key] = data
                self._bytes += data.nbytes
            while self._bytes > self.max_bytes and self._items:
                self._bytes -= self._items.popitem(last=False)[1].nbytes


class TiffReader:
    """One level of one series of a TIFF file."""

    def __init__(self, path: Path, level: int, series: Any) -> None:
        self.path, self._level = path, level
        self._key = series.keyframe
        self.shape = tuple(int(size) for size in series.shape)
        self.dtype: np.dtype[Any] = np.dtype(self._key.dtype)
        self._lead = self._match_pages(len(series))
        # Pages are looked up while the file is open; strips and tiles are read without tifffile.
        self._pages = [series[i] for i in range(math.prod(self.shape[: self._lead]))]
        check_pages(self._pages, series)
        self._grid, self._segment = _segments(self._key)
        self._check()
        self.chunks = self._stored_chunks()
        self._cache = SegmentCache(max(_CACHE_BYTES, self._segment_bytes))
        self._files = SegmentFiles()
        listed = _LISTED_BYTES * len(self._pages) * math.prod(self._grid)
        self.resident_bytes = self._cache.max_bytes + self._segment_bytes + listed

    def __reduce__(self) -> tuple[Any, ...]:
        from gnnseg.io.tiff_source import reopen_reader

        return reopen_reader, (self.path, self._level)

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        """A strip or tile, before and after; one that is all of the file is decoded once only."""
        return 0 if len(self._pages) * math.prod(self._grid) == 1 else 2 * self._segment_bytes

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        lead, tail = index[: self._lead], index[self._lead :]
        region = self._region(tail)
        sizes = tuple(s.stop - s.start for s in index)
        out = np.empty((*sizes[: self._lead], *(s.stop - s.start for s in region)), self.dtype)
        for where in itertools.product(*(range(s.start, s.stop) for s in lead)):
            target = tuple(i - s.start for i, s in zip(where, lead, strict=True))
            self._read_page(self._page_number(where), region, out[target])
        return out.reshape(sizes)

    def identity(self) -> bytes | None:
        return files_identity(files_of(self._pages))

    def probe(self) -> None:
        """Decode the first and the last strip or tile, so that a broken file fails at once."""
        count = math.prod(self._grid)
        for number in {0, count - 1}:
            self._decode(0, number)

    @property
    def _segment_bytes(self) -> int:
        """Of a strip or tile, once decoded."""
        return math.prod(self._segment) * self.dtype.itemsize

    def _match_pages(self, num_pages: int) -> int:
        """How many leading axes of the series count pages; the rest are those of a page."""
        page = [size for size in self._key.shaped if size > 1]
        for lead in range(len(self.shape) + 1):
            if [size for size in self.shape[lead:] if size > 1] == page:
                break
        else:
            raise DamagedError(f"pages of {self._key.shape} do not make up {self.shape}")
        while lead > 0 and self.shape[lead - 1] == 1 and math.prod(self.shape[:lead]) == 1:
            lead -= 1
        if math.prod(self.shape[:lead]) > num_pages:
            raise DamagedError(f"it has {num_pages} pages and claims {self.shape}")
        return lead

    def _check(self) -> None:
        name = str(self.path)
        check_chunk_bytes(name, self._segment_bytes, "strip or tile")
        need, have = math.prod(self._grid), len(self._key.dataoffsets)
        if have < need or len(self._key.databytecounts) < need:
            raise DamagedError(f"it needs {need:,} strips or tiles and lists {have:,}")

    def _stored_chunks(self) -> tuple[int, ...]:
        sizes = iter(c for c, n in zip(self._segment, self._key.shaped[1:], strict=True) if n > 1)
        sep = [1] if self._key.shaped[0] > 1 else []
        tail = iter([*sep, *sizes])
        chunks = [1 if i < self._lead or n == 1 else next(tail) for i, n in enumerate(self.shape)]
        return tuple(min(c, n) for c, n in zip(chunks, self.shape, strict=True))

    def _region(self, tail: tuple[slice, ...]) -> tuple[slice, ...]:
        """Slices of (separate sample, depth, length, width, sample), the form of every page."""
        wide = iter(s for s, n in zip(tail, self.shape[self._lead :], strict=True) if n > 1)
        return tuple(next(wide) if n > 1 else slice(0, 1) for n in self._key.shaped)

    def _page_number(self, where: tuple[int, ...]) -> int:
        return int(np.ravel_multi_index(where, self.shape[: self._lead])) if where else 0

    def _read_page(self, page: int, region: tuple[slice, ...], out: np.ndarray) -> None:
        for number, origin in self._touched(region):
            data = self._decode(page, number)
            source, target = [], []
            for start, size, want in zip(origin, data.shape, region, strict=True):
                low, high = max(start, want.start), min(start + size, want.stop)
                source.append(slice(low - start, max(low, high) - start))
                target.append(slice(low - want.start, max(low, high) - want.start))
            out[tuple(target)] = data[tuple(source)]

    def _touched(self, region: tuple[slice, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
        sep, *others = region
        sides = self._segment[:3]
        ranges = [range(sep.start, sep.stop)]
        for want, side in zip(others[:3], sides, strict=True):
            ranges.append(range(want.start // side, -(-want.stop // side)))
        for where in itertools.product(*ranges):
            number = int(np.ravel_multi_index(where, self._grid))
            starts = (i * side for i, side in zip(where[1:], sides, strict=True))
            yield number, (where[0], *starts, 0)

    def _decode(self, page: int, number: int) -> np.ndarray:
        return self._cache.get((page, number), lambda: self._decode_new(page, number))

    def _decode_new(self, page: int, number: int) -> np.ndarray:
        frame = self._pages[page]
        data = self._encoded(frame, number)
        options = {"jpegtables": frame.jpegtables}
        if self._key.jpegheader is not None:
            options["jpegheader"] = self._key.jpegheader
        pixels, _, shape = self._key.decode(data, number, **options)
        if pixels is None:
            return np.full((1, *shape), self._key.nodata, self.dtype)
        return np.asarray(pixels)[None]

    def _encoded(self, frame: Any, number: int) -> bytes | None:
        if number >= len(frame.dataoffsets) or number >= len(frame.databytecounts):
            raise DamagedError(f"strip or tile {number:,} is missing")
        offset, count = frame.dataoffsets[number], frame.databytecounts[number]
        if offset == 0 or count == 0:
            return None
        return self._files.read(frame.parent.filehandle.path, offset, count)


def _segments(page: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The grid (separate sample, depth, length, width) of segments, and one segment's shape."""
    sep, depth, length, width, samples = page.shaped
    if page.is_tiled:
        shape = (page.tiledepth, page.tilelength, page.tilewidth)
    else:
        shape = (1, min(page.rowsperstrip, length), width)
    if min(shape) < 1:
        raise DamagedError(f"it has strips or tiles of {shape} pixels")
    grid = tuple(-(-n // side) for n, side in zip((depth, length, width), shape, strict=True))
    return (sep, *grid), (*shape, samples)
