"""Read a window of an image as working channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Lattice, Window
from gnnseg.errors import InputError
from gnnseg.io.guard import MAX_CHANNELS
from gnnseg.kernels.arrays import (
    beside,
    copied,
    empty,
    full,
    is_device_array,
    mean_of_channels,
    write_where_zero,
)
from gnnseg.kernels.colour import view_colours
from gnnseg.kernels.slic import COLOUR_MARGIN
from gnnseg.kernels.slots import MASKED
from gnnseg.kernels.smooth import gaussian_weights, smooth
from gnnseg.superpixels.scaling import RGB

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.kernels.colour import Colours
    from gnnseg.superpixels.scaling import Scaling
    from gnnseg.superpixels.settings import SlicSettings

MARGIN = 4
"""Pixels around a window that textures and the filter of the clustering look at."""

BAND_MARGIN = COLOUR_MARGIN
"""Pixels around a band, of which the filter looks at one."""


def check_mask(image: ImageSource, mask: ImageSource | None) -> None:
    """Raise `InputError` for a mask that does not fit an image."""
    size = image.height, image.width
    if mask is None:
        return
    if (mask.height, mask.width) != size:
        raise InputError(
            f"the mask is {mask.height} x {mask.width} pixels and the image "
            f"{size[0]} x {size[1]}: give a mask of the image's size"
        )
    if mask.num_channels != 1 or mask.num_planes not in (1, image.num_planes):
        raise InputError(
            f"the mask has {mask.num_channels} channels and {mask.num_planes} planes: give one "
            f"channel, and one plane or the {image.num_planes} of the image"
        )


@dataclass(frozen=True)
class Pixels:
    """One window as the stages see it, in memory or on the GPU where the image lies.

    `work` is (C, H + 8, W + 8) int16, with a margin of `MARGIN` pixels, `smooth` the same after
    smoothing, `grey` its lightness, and `slots` (H, W) uint8 with `MASKED` where a pixel takes no
    part and 0 elsewhere.
    """

    work: Any
    smooth: Any
    grey: Any
    slots: Any


@dataclass(frozen=True)
class _Native:
    """Pixels (C, H', W') of `window` as they are in an image, and the mask (H, W) of one within."""

    window: Window
    pixels: Any
    mask: Any


@dataclass(frozen=True)
class PixelReader:
    """An image, its optional mask, and the constants that turn its pixels to working channels.

    `scaling` becomes that of the image, where each has its own.
    """

    image: ImageSource
    scaling: Scaling
    settings: SlicSettings
    mask: ImageSource | None = None

    def __post_init__(self) -> None:
        self.scaling.check(self.image)
        object.__setattr__(self, "scaling", self.scaling.of(self.image))
        if self.image.is_on_device and self.scaling.num_channels > MAX_CHANNELS:
            raise InputError(
                f"{self.image.name} has {self.scaling.num_channels} channels, and the kernels of a "
                f"GPU take at most {MAX_CHANNELS}: bring it to memory"
            )
        check_mask(self.image, self.mask)

    @property
    def lattice(self) -> Lattice:
        return Lattice(self.image.height, self.image.width, self.settings.step)

    @property
    def margin(self) -> int:
        """Pixels around a window that are read with it."""
        return self._read_margin(MARGIN)

    @property
    def _radius(self) -> int:
        """Pixels on each side that smoothing looks at."""
        return gaussian_weights(self.settings.sigma).size // 2

    def _rings(self, margin: int) -> int:
        """How far away pixels are looked at: by textures, or by the filter of smoothed ones."""
        return max(margin, self._radius + 1)

    def _read_margin(self, margin: int) -> int:
        may_lack = self.image.dtype.kind == "f"
        return margin + self._radius + may_lack * self._rings(margin)

    def read(self, window: Window, plane: int = 0) -> Pixels:
        """The pixels of a window whose first corner is a cell's."""
        native = self._read_native(window, plane, MARGIN)
        mask = native.mask
        work, valid = self._to_channels(window, native, MARGIN)
        del native  # may be larger than the channels
        work, blurred = self._smooth(window, work, MARGIN)
        slots = full(window.shape, np.uint8, 0, like=work)
        _mark_masked(valid, mask, slots)
        return Pixels(work, blurred, self._grey(work), slots)

    def read_bands(
        self, window: Window, rows: int, slots: np.ndarray, plane: int = 0
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """The same for the clustering only, `rows` rows after `rows`, of an image in memory.

        Yields which pixels these are, and their channels after smoothing (C, H + 4, W + 4), with a
        margin of `BAND_MARGIN` pixels. By then the rows of `slots` (H, W) are written. The image
        is read at once, and turned to channels in bands, which stay in the cache.
        """
        native = self._read_native(window, plane, BAND_MARGIN)
        slots[:] = 0
        for band in window.split((rows, window.x1)):
            work, valid = self._to_channels(band, native, BAND_MARGIN)
            part = band.relative_to(window).slices
            mask = None if native.mask is None else native.mask[part]
            _mark_masked(valid, mask, slots[part])
            yield band, self._smooth(band, work, BAND_MARGIN)[1]

    def read_colours(
        self, window: Window, slots: np.ndarray, plane: int = 0
    ) -> tuple[Colours, int, tuple[int, int]] | None:
        """The same of colours of 8 bits, which the clustering itself turns to channels, or None.

        With the row in them that the window begins with, and how many columns are missing of
        `BAND_MARGIN` on the left and right.
        """
        is_plain = self.scaling.rgb and self.image.num_channels == RGB and self.settings.sigma == 0
        if not is_plain or self.image.dtype != np.uint8:
            return None
        times = self.scaling.levels_of_bytes()
        if times == 0:
            return None
        native = self._read_native(window, plane, BAND_MARGIN)
        slots[:] = 0
        _mark_masked(None, native.mask, slots)
        inner, frame = native.window, window.grow(BAND_MARGIN)
        margins = inner.x0 - frame.x0, frame.x1 - inner.x1
        return view_colours(native.pixels, times), window.y0 - inner.y0, margins

    def _read_native(self, window: Window, plane: int, margin: int) -> _Native:
        """What lies around a window, as far as channels with such a margin depend on it."""
        inner = window.grow(self._read_margin(margin)).clip(self.lattice.bounds)
        pixels, mask = self.image.read_there(inner, plane), None
        if self.mask is not None:
            mask = self.mask.read_there(window, min(plane, self.mask.num_planes - 1))[0]
            mask = beside(_flags(mask), pixels)
        return _Native(inner, pixels, mask)

    def _to_channels(self, window: Window, native: _Native, margin: int) -> tuple[Any, Any]:
        """Channels of a window with what smoothing takes of a margin, and the finite pixels."""
        outer = window.grow(margin + self._radius)
        work, valid = self._scale(outer, native)
        if valid is None:
            return work, None
        del work
        rings = self._rings(margin)
        wide = outer.grow(rings)
        work, valid = self._scale(wide, native, rings)
        work = copied(work[(slice(None), *outer.relative_to(wide).slices)])
        return work, valid[window.relative_to(wide.clip(self.lattice.bounds)).slices]

    def _scale(self, frame: Window, native: _Native, rings: int = 0) -> tuple[Any, Any]:
        """Channels of a frame, which repeat the image's edges, and its finite pixels; None: all."""
        inner = frame.clip(self.lattice.bounds)
        margins = (
            inner.y0 - frame.y0, frame.y1 - inner.y1, inner.x0 - frame.x0, frame.x1 - inner.x1
        )  # fmt: skip
        pixels = native.pixels[(slice(None), *inner.relative_to(native.window).slices)]
        return self.scaling.apply(pixels, margins, rings)

    def _smooth(self, window: Window, work: Any, margin: int) -> tuple[Any, Any]:
        """Channels of a window with a margin, without and with smoothing."""
        weights = gaussian_weights(self.settings.sigma)
        frame = window.grow(margin)
        outer = frame.grow(weights.size // 2)
        if outer == frame:
            return work, work
        blurred = empty((work.shape[0], *frame.shape), np.int16, like=work)
        smooth(work, weights, blurred)
        return copied(work[(slice(None), *frame.relative_to(outer).slices)]), blurred

    def channels(self, window: Window, plane: int = 0) -> Any:
        """Working channels (C, H, W) int16 of any window."""
        return self.scaling.apply(self.image.read_there(window, plane))[0]

    def _grey(self, work: Any) -> Any:
        return work[0] if self.scaling.rgb or work.shape[0] == 1 else mean_of_channels(work)


def _flags(mask: Any) -> Any:
    """A mask as it is on a GPU, or in memory with a byte a pixel: it is held with the channels."""
    if is_device_array(mask) or mask.dtype.itemsize == 1:
        return mask
    return (mask != 0).view(np.uint8)


def _mark_masked(valid: Any, mask: Any, slots: Any) -> None:
    """Mark what takes no part in `slots` (H, W): pixels that are not valid, or that are masked."""
    for flags in (valid, mask):
        if flags is not None:
            write_where_zero(flags, MASKED, slots)
