"""Dense tables of a window of the lattice: one row per home cell, one column per lattice offset."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import UsageError
from gnnseg.kernels.arrays import contiguous, full, on_host
from gnnseg.kernels.centroids import centroids
from gnnseg.kernels.coarsen import coarsen as coarsen_kernel
from gnnseg.kernels.coarsen import coarsen_volume
from gnnseg.superpixels.box import Box

FINE_REACH = 2
COARSE_REACH = 1


@dataclass(frozen=True)
class _Table:
    """Arrays over the cells of a window of a lattice."""

    x: np.ndarray
    area: np.ndarray
    moment: np.ndarray
    contact: np.ndarray
    contrast: np.ndarray
    window: Window | Box
    cell: int | tuple[int, int, int]

    def __post_init__(self) -> None:
        shape = self.window.shape
        for name, array in self.arrays().items():
            if array.shape[: len(shape)] != shape:
                raise UsageError(f"{name} must cover {shape} cells, got shape {array.shape}")

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("window", "cell")
        }

    @property
    def reach(self) -> int:
        """How many cells an edge may span on an axis."""
        return (round(self.contact.shape[self.area.ndim] ** (1 / self.area.ndim)) - 1) // 2

    def pad(self, window: Any) -> Self:
        """The same for a window around this one, with empty regions there."""
        if window == self.window:
            return self
        padded = self.empty(
            window, self.cell, self.x.shape[self.area.ndim], self.reach, like=self.area
        )
        part = self.window.relative_to(window).slices
        for name, array in padded.arrays().items():
            if array.size:
                array[part] = getattr(self, name)
        return padded

    def on_host(self) -> Self:
        """The same in memory: itself, or a copy of what lies on a GPU."""
        arrays: dict[str, Any] = {name: on_host(array) for name, array in self.arrays().items()}
        return replace(self, **arrays)

    @classmethod
    def empty(
        cls,
        window: Any,
        cell: Any,
        num_features: int,
        reach: int = FINE_REACH,
        *,
        like: Any = None,
    ) -> Self:
        """A table of empty regions, in memory or where `like` lies."""
        arrays = _blank(window.shape, num_features, reach, like)
        return cls(window=window, cell=cell, **arrays)

    def pos(self) -> np.ndarray:
        """Float64 centroids, (y, x) or (z, y, x) in pixels of the image; a cell's middle if empty.

        Of shape (h, w, 2), or (d, h, w, 3).
        """
        first = [part.start for part in self.window.slices]
        made: np.ndarray = centroids(self.area, self.moment, first, self.cell)
        return made


def _blank(
    shape: tuple[int, ...], num_features: int, reach: int, like: Any
) -> dict[str, np.ndarray]:
    """The arrays of empty regions."""
    codes = (2 * reach + 1) ** len(shape)
    columns: dict[str, tuple[tuple[int, ...], type]] = {
        "x": ((num_features,), np.float32),
        "area": ((), np.int64),
        "moment": ((len(shape),), np.int64),
        "contact": ((codes,), np.int32),
        "contrast": ((codes,), np.int32),
    }
    return {
        name: full((*shape, *rest), dtype, 0, like=like) for name, (rest, dtype) in columns.items()
    }


@dataclass(frozen=True)
class RegionTable(_Table):
    """What is known of the regions whose homes lie in `window`.

    Attributes
    ----------
    window : Window
        Home cells, in cells of this level of the whole image's lattice.
    cell : int
        Size of such a cell in pixels.
    x : (h, w, F) float32
        Features; F = 0 on coarse levels.
    area : (h, w) int64
        Pixels; 0 for a cell that ended up empty.
    moment : (h, w, 2) int64
        Sums of y and of x, from the corner of the home cell.
    contact, contrast : (h, w, (2 reach + 1) ** 2) int32
        Pixel sides shared with the region at each lattice offset, and the sum of the grey
        differences across them.
    """

    window: Window
    cell: int

    def crop(self, window: Window) -> RegionTable:
        """The same for a window inside this one."""
        part = window.relative_to(self.window).slices
        arrays = {name: array[part] for name, array in self.arrays().items()}
        return RegionTable(window=window, cell=self.cell, **arrays)

    def coarsen(self) -> RegionTable:
        """Pool 2 x 2 cells, aligned to the lattice of the whole image."""
        fine = self.pad(self.window.align(2))
        window = fine.window.coarsen(2)
        coarse = RegionTable.empty(window, 2 * self.cell, 0, COARSE_REACH, like=self.area)
        coarsen_kernel(
            contiguous(fine.area),
            contiguous(fine.moment),
            contiguous(fine.contact),
            contiguous(fine.contrast),
            self.reach,
            self.cell,
            coarse.area,
            coarse.moment,
            coarse.contact,
            coarse.contrast,
        )
        return coarse


@dataclass(frozen=True)
class VolumeTable(_Table):
    """What is known of the regions whose homes lie in a box of cells of a volume.

    Attributes
    ----------
    window : Box
        Home cells, in cells of the whole volume's lattice.
    cell : (z, y, x)
        Size of such a cell in voxels.
    x, area, moment, contact, contrast
        As in `RegionTable`, with an axis of layers first: (d, h, w, ...). `moment` is of z, y and
        x; offsets are 125, on coarse levels 27 where layers were pooled; faces between voxels
        count by `VolumeLattice.face_weights`.
    """

    window: Box
    cell: tuple[int, int, int]

    def coarsen(self, ratio: float) -> VolumeTable:
        """Pool 2 x 2 cells, and pairs of layers where cells are at most 1.41 times as deep as wide.

        A voxel is `ratio` times as long along z as across. So layers are pooled where that leaves
        cells nearer to cubes. Where they are not, edges reach two layers still, and so two cells
        in the table; else one.
        """
        layers = 2 if (self.cell[0] * ratio) ** 2 <= 2 * self.cell[1] ** 2 else 1
        fine = self.pad(self.window.align(layers))
        reach = COARSE_REACH if layers == 2 else max(self.reach, COARSE_REACH)
        cell = self.cell[0] * layers, 2 * self.cell[1], 2 * self.cell[2]
        window = fine.window.coarsen(layers)
        coarse = VolumeTable.empty(window, cell, 0, reach, like=self.area)
        tables, out = (
            (*map(contiguous, (t.area, t.moment, t.contact, t.contrast)),) for t in (fine, coarse)
        )
        coarsen_volume(tables, self.reach, self.cell, layers, out, reach)
        return coarse
