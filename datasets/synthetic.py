"""Labelled images of any size that no file holds: every pixel is a function of its coordinates.

Any window of a terapixel can be read, in any order and by any worker, with the same bits, since
all arithmetic is on integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from gnnseg.blocks import Window
from gnnseg.datasets.arrays import ArrayDataset
from gnnseg.errors import UsageError
from gnnseg.io.axes import resolve_axes
from gnnseg.io.classes import ClassInfo, default_colors
from gnnseg.io.source import ImageSource

_CHUNK = 1024


class SyntheticSource(ImageSource):
    """An image of regions with textures and discs, and its labels.

    Regions are the cells of 64 pixels around scattered points, with wavy borders; discs of 5 to 12
    pixels radius lie in them. uint8, red, green and blue; in a stack the planes drift slowly.

    Parameters
    ----------
    height, width
        Pixels; any size.
    seed
        0 to 2**31 - 1; another seed gives another image.
    num_classes
        2 to 254.
    planes
        Planes of a stack; 1 is a plain image.

    Examples
    --------
    >>> source = SyntheticSource(1_000_000, 1_000_000, seed=1)
    >>> window = Window(999_000, 999_100, 0, 50)
    >>> source.read(window).shape, source.labels(window).shape
    ((3, 100, 50), (100, 50))
    """

    reader: _Texture

    def __init__(
        self, height: int, width: int, seed: int = 0, num_classes: int = 4, *, planes: int = 1
    ) -> None:
        if min(height, width, planes) < 1:
            raise UsageError(f"an image needs pixels, got {planes} x {height} x {width}")
        if not 2 <= num_classes <= 254:
            raise UsageError(f"num_classes must be 2 to 254, got {num_classes}")
        if not 0 <= seed < 2**31:
            raise UsageError(f"seed must be 0 to {2**31 - 1}, got {seed}")
        reader = _Texture((planes, 3, height, width), seed, num_classes)
        name = f"synthetic {height} x {width}, seed {seed}"
        layout = resolve_axes(reader.shape, name=name, given="ZCYX")
        super().__init__(name, reader, layout, num_channels=3, is_rgb=True)

    @property
    def classes(self) -> ClassInfo:
        """The class table."""
        return _classes(self.reader.num_classes)

    def labels(self, window: Window | None = None, plane: int = 0) -> np.ndarray:
        """The labels of a window (by default of the whole image), uint8 (h, w)."""
        window = window or self.bounds
        out = np.empty(window.shape, np.uint8)
        _label_window(self.reader.seed, self.reader.num_classes, plane, window.y0, window.x0, out)
        return out


def synthetic_dataset(
    num_images: int = 8,
    *,
    height: int = 192,
    width: int = 256,
    num_classes: int = 4,
    seed: int = 0,
    val: float = 0.25,
) -> ArrayDataset:
    """A small labelled set of synthetic images, of consecutive seeds.

    >>> len(synthetic_dataset(4, height=32, width=32).stems)
    4
    """
    sources = [SyntheticSource(height, width, seed + i, num_classes) for i in range(num_images)]
    return ArrayDataset(
        sources,
        [source.labels() for source in sources],
        _classes(num_classes),
        val,
        name="synthetic",
    )


@dataclass(frozen=True)
class _Texture:
    """The reader behind `SyntheticSource`: a (Z, C, Y, X) array that is computed."""

    shape: tuple[int, ...]
    seed: int
    num_classes: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def chunks(self) -> tuple[int, ...]:
        return (1, 3, min(_CHUNK, self.shape[2]), min(_CHUNK, self.shape[3]))

    @property
    def resident_bytes(self) -> int:
        return 0

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        planes, channels, rows, cols = index
        out = np.empty(tuple(s.stop - s.start for s in index), np.uint8)
        colors = np.array(default_colors(self.num_classes), np.int64)[:, channels]
        for plane, image in zip(range(planes.start, planes.stop), out, strict=True):
            _paint_window(self.seed, plane, rows.start, cols.start, colors, image)
        return out

    def identity(self) -> bytes:
        return f"synthetic 1 {self.shape} {self.seed} {self.num_classes}".encode()


def _classes(num_classes: int) -> ClassInfo:
    return ClassInfo(tuple(f"class_{i}" for i in range(num_classes)))


@numba.njit(nogil=True, cache=True, inline="always")
def _hash(seed: int, a: int, b: int) -> int:
    """32 well-mixed bits of three integers (Wellons' lowbias32)."""
    h = (seed * 0xC2B2AE35 + a * 0x9E3779B1 + b * 0x85EBCA77) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return h ^ (h >> 16)


@numba.njit(nogil=True, cache=True, inline="always")
def _smooth(seed: int, y: int, x: int, shift: int) -> int:
    """Value noise, 0 to 255: random values every `2**shift` pixels, bilinear between them."""
    size = 1 << shift
    cy, cx, fy, fx = y >> shift, x >> shift, y & (size - 1), x & (size - 1)
    top = (_hash(seed, cy, cx) & 255) * (size - fx) + (_hash(seed, cy, cx + 1) & 255) * fx
    low = (_hash(seed, cy + 1, cx) & 255) * (size - fx) + (_hash(seed, cy + 1, cx + 1) & 255) * fx
    return (top * (size - fy) + low * fy) >> (2 * shift)


@numba.njit(nogil=True, cache=True, inline="always")
def _label(seed: int, num_classes: int, y: int, x: int) -> int:
    """The class of one pixel."""
    wy = y + ((_smooth(seed + 1, y, x, 4) - 128) >> 4)
    wx = x + ((_smooth(seed + 2, y, x, 4) - 128) >> 4)
    nearest, label = 1 << 40, 0
    for cy in range((wy >> 6) - 1, (wy >> 6) + 2):
        for cx in range((wx >> 6) - 1, (wx >> 6) + 2):
            h = _hash(seed, cy, cx)
            dy, dx = (cy << 6) + (h & 63) - wy, (cx << 6) + ((h >> 6) & 63) - wx
            if dy * dy + dx * dx < nearest:
                nearest, label = dy * dy + dx * dx, (h >> 12) % num_classes
    # One disc in every fourth cell of 32 pixels, wholly inside its cell.
    h = _hash(seed + 3, y >> 5, x >> 5)
    radius = 5 + ((h >> 2) & 7)
    dy = (y & 31) - radius - ((h >> 8) & 255) % (32 - 2 * radius)
    dx = (x & 31) - radius - ((h >> 16) & 255) % (32 - 2 * radius)
    if h & 3 == 0 and dy * dy + dx * dx <= radius * radius:
        label = (label + 1) % num_classes
    return label


@numba.njit(nogil=True, cache=True)
def _label_window(
    seed: int, num_classes: int, plane: int, y0: int, x0: int, out: np.ndarray
) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = _label(seed, num_classes, y0 + i, x0 + j + 2 * plane)


@numba.njit(nogil=True, cache=True)
def _paint_window(
    seed: int, plane: int, y0: int, x0: int, colors: np.ndarray, out: np.ndarray
) -> None:
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            y, x = y0 + i, x0 + j + 2 * plane
            label = _label(seed, colors.shape[0], y, x)
            texture = (_smooth(seed + 4, y, x, 3) - 128) >> 2
            grain = _hash(seed + 5 + plane, y, x)
            for c in range(out.shape[0]):
                value = 48 + (colors[label, c] * 5 >> 3) + texture + ((grain >> (5 * c)) & 31) - 16
                out[c, i, j] = min(max(value, 0), 255)
