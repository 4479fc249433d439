"""Palette images as RGB, looked up window by window."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gnnseg.io.guard import DamagedError
from gnnseg.io.source import Reader


@dataclass(frozen=True, eq=False)
class PaletteReader:
    """Another reader's indices as a last axis of three colours."""

    inner: Reader
    colors: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.inner.shape, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.colors.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return (*self.inner.chunks, 3)

    @property
    def resident_bytes(self) -> int:
        return self.inner.resident_bytes

    def read_bytes(self, sizes: tuple[int, ...]) -> int:
        """What reading the indices takes; these, and once more as numbers of 8 bytes."""
        indices = prod(sizes[:-1]) * (self.inner.dtype.itemsize + 8)
        return self.inner.read_bytes(sizes[:-1]) + indices

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        values = self.inner.read(index[:-1]).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() >= len(self.colors)):
            raise DamagedError(
                f"it has a pixel beyond the {len(self.colors)} colours of its palette"
            )
        return self.colors[values][..., index[-1]]

    def identity(self) -> bytes | None:
        inner = self.inner.identity()
        return None if inner is None else inner + self.colors.tobytes()


def palette_colors(colormap: Any) -> np.ndarray:
    """A TIFF colour map, (3, n) of 16 bits, as (n, 3) uint8; maps of 8 bits are taken as such."""
    table = np.asarray(colormap, np.uint16).T
    shift = 8 if table.max(initial=0) > 255 else 0
    return np.ascontiguousarray(table >> shift, np.uint8)
