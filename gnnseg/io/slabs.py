"""Planes of volumes that are stored in chunks of many: a chunk is decoded once for all of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.io.array_source import ArrayReader, DaskReader
from gnnseg.io.chunks import touched
from gnnseg.io.zarr_source import ZarrReader

if TYPE_CHECKING:
    from gnnseg.io.source import ImageSource

MOST_BYTES = 64 * 2**20
"""A slab is at most so large, and at least a plane."""


class SlabReader:
    """Reads another reader in slabs of planes, and keeps the last one of each thread.

    Made for windows of which one plane after the other is read.
    """

    def __init__(self, inner: ZarrReader | DaskReader, axis: int) -> None:
        self.inner, self.axis = inner, axis
        self.shape, self.dtype, self.chunks = inner.shape, inner.dtype, inner.chunks
        self.resident_bytes = inner.resident_bytes
        self._last = threading.local()

    def depth(self, plane_bytes: int) -> int:
        """How many planes of so many bytes are read at once."""
        return max(1, min(self.chunks[self.axis], MOST_BYTES // max(1, plane_bytes)))

    def read_bytes(self, sizes: tuple[int, ...]) -> int:
        """The slab, which is kept, and what reading it takes beside it: its pixels once more."""
        plane = prod(sizes) * self.dtype.itemsize // sizes[self.axis]
        depth = self.depth(plane)
        # Slabs begin at multiples of their depth.
        deep = 1 if self.chunks[self.axis] % depth == 0 else depth
        slab = (*sizes[: self.axis], deep, *sizes[self.axis + 1 :])
        return 2 * plane * depth + self.inner.read_bytes(slab)

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        """One plane of the last slab, or of a new one."""
        plane = index[self.axis]
        pixels = np.prod([s.stop - s.start for s in index]) // (plane.stop - plane.start)
        depth = self.depth(int(pixels) * self.dtype.itemsize)
        first = plane.start // depth * depth
        if depth == 1 or plane.stop > first + depth:
            return self.inner.read(index)
        slab = slice(first, min(first + depth, self.shape[self.axis]))
        around = (*index[: self.axis], slab, *index[self.axis + 1 :])
        if getattr(self._last, "index", None) != around:
            self._last.index = self._last.pixels = None
            self._last.pixels = self.inner.read(around)
            self._last.index = around
        part = [slice(None)] * len(index)
        part[self.axis] = slice(plane.start - first, plane.stop - first)
        # A copy: what is kept must not be written into.
        return np.array(self._last.pixels[tuple(part)])

    def identity(self) -> bytes | None:
        """That of the other reader."""
        return self.inner.identity()


def in_slabs(image: ImageSource) -> ImageSource:
    """An image whose planes are read in slabs, if it is stored in chunks of several planes."""
    reader: Any = image.reader
    axis = image.layout.plane
    if axis is None or not isinstance(reader, (ZarrReader, DaskReader)) or reader.chunks[axis] == 1:
        return image
    return replace(image, reader=SlabReader(reader, axis))


def decoded_pixels(image: ImageSource, size: tuple[int, int, int]) -> int:
    """How many pixels are decoded at most where `size` (z, y, x) are read; in memory, none."""
    layout, chunks = image.layout, image.reader.chunks
    if isinstance(image.reader, ArrayReader):
        return 0
    axes = zip((layout.plane, layout.y, layout.x), size, strict=True)
    return prod(
        touched(layout.shape[a], chunks[a], n) * chunks[a] for a, n in axes if a is not None
    )
