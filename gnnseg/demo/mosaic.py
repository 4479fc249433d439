"""A picture as large as wanted: a small one, mirrored at its borders again and again."""

from __future__ import annotations

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
    """A (Y, X, 3) picture repeated by mirroring over `side` x `side` pixels.

    >>> mosaic = Mosaic(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 4)
    >>> mosaic.read(Window(0, 1, 0, 4))[0, :, 0].tolist()
    [0, 3, 3, 0]
    """

    picture: np.ndarray
    side: int

    def read(self, window: Window) -> np.ndarray:
        """The pixels of a window, (h, w, 3)."""
        rows = _mirrored(window.y0, window.y1, self.picture.shape[0])
        cols = _mirrored(window.x0, window.x1, self.picture.shape[1])
        return self.picture[np.ix_(rows, cols)]


def write_mosaic(mosaic: Mosaic, path: Path) -> None:
    """Write a mosaic as OME-Zarr chunk by chunk; an earlier one is replaced."""
    import zarr

    remove_output(path)
    chunk = min(CHUNK, mosaic.side)
    about = {"format_version": 1, "kind": "demo_image", "complete": False}
    group = zarr.create_group(str(path), attributes={"ome": _ome(), "gnnseg": about})
    array = group.create_array(
        "0",
        shape=(3, mosaic.side, mosaic.side),
        chunks=(1, chunk, chunk),
        dtype=np.uint8,
        dimension_names=["c", "y", "x"],
    )
    for window in Window(0, mosaic.side, 0, mosaic.side).split(chunk):
        array[(slice(None), *window.slices)] = np.moveaxis(mosaic.read(window), -1, 0)
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
