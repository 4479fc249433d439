"""A picture as large as wanted: a small one, mirrored at its borders again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.io import mark_complete, remove_output

CHUNK = 1024
PIXEL_SIZE = 0.5
"""Micrometres, about those of a slide at 20x; the picture's own are not known."""


@dataclass(frozen=True)
class Mosaic:
    """A (Y, X, C) picture repeated by mirroring over `side` x `side` pixels.

    >>> mosaic = Mosaic(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 4)
    >>> mosaic.read(Window(0, 1, 0, 4))[0, :, 0].tolist()
    [0, 3, 3, 0]
    """

    picture: np.ndarray
    side: int

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (h, w, C)."""
        rows = _mirrored(window.y0, window.y1, self.picture.shape[0])
        cols = _mirrored(window.x0, window.x1, self.picture.shape[1])
        return self.picture[np.ix_(rows, cols)]


def write_mosaic(mosaic: Mosaic, path: Path) -> None:
    """Write a mosaic as OME-Zarr chunk by chunk; an earlier one is replaced."""
    shape = (mosaic.picture.shape[2], mosaic.side, mosaic.side)
    write_square(mosaic.read, path, shape=shape, dtype=mosaic.picture.dtype)


def write_square(
    read: Callable[[Window], np.ndarray], path: Path, *, shape: tuple[int, int, int], dtype: Any
) -> None:
    """Write an image of `shape` (C, side, side) as OME-Zarr; an earlier one is replaced.

    `read` gives the pixels of a window, (h, w, C): never more than a chunk is held.
    """
    import zarr

    remove_output(path)
    side = shape[1]
    chunk = min(CHUNK, side)
    about = {"format_version": 1, "kind": "image", "complete": False}
    group = zarr.create_group(str(path), attributes={"ome": _ome(), "gnnseg": about})
    array = group.create_array(
        "0",
        shape=shape,
        chunks=(1, chunk, chunk),
        dtype=dtype,
        dimension_names=["c", "y", "x"],
    )
    for window in Window(0, side, 0, side).split(chunk):
        array[(slice(None), *window.slices)] = np.moveaxis(read(window), -1, 0)
    mark_complete(path)


def _mirrored(start: int, stop: int, size: int) -> np.ndarray:
    place = np.arange(start, stop) % (2 * size)
    return np.where(place < size, place, 2 * size - 1 - place)


def _ome() -> dict[str, Any]:
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [1.0, PIXEL_SIZE, PIXEL_SIZE]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    return {"version": "0.5", "multiscales": [{"name": "mosaic", "axes": axes, "datasets": levels}]}
