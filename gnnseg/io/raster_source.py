"""PNG, JPEG and the other small formats of Pillow, decoded whole at the first read.

The first frame only; EXIF orientation is not applied, since labels and positions refer to the
stored rows. Palettes, CMYK and YCbCr become RGB; transparency is dropped; 1-bit becomes 0 and 1.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import InputError
from gnnseg.io.file_identity import file_identity
from gnnseg.io.guard import reading, regular_file

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM", "JPEG2000", "TIFF")
_TO_RGB = {"P", "PA", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
_MODES = {
    "1": (1, np.uint8),
    "L": (1, np.uint8),
    "RGB": (3, np.uint8),
    "LAB": (3, np.uint8),
    "HSV": (3, np.uint8),
    "I;16": (1, np.uint16),
    "I;16B": (1, np.uint16),
    "I;16L": (1, np.uint16),
    "I": (1, np.int32),
    "F": (1, np.float32),
}
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes of a pixel in an image of Pillow; 4 in those of other modes."""
_PROGRESSIVE = 2
"""Bytes of a pixel and band that are held of a progressive JPEG until all of it is there."""
_DECODERS = {"JPEG2000": 18, "WEBP": 13, "TIFF": 2}
"""Bytes of a pixel that decoders hold besides (measured in RGB; none of other formats)."""
_BAND_PIXELS = 2**18
"""Pixels that are converted at once."""


class RasterReader:
    """An image file that Pillow decodes, kept in memory once read."""

    def __init__(self, path: Path, *, max_pixels: int | None = None, indices: bool = False) -> None:
        self.path, self._max_pixels, self._indices = path, max_pixels, indices
        with opened_image(path, max_pixels=max_pixels) as image:
            self._mode = _target_mode(image, path, indices=indices)
            width, height = image.size
            decoding = _decoding_bytes(image)
        channels, dtype = _MODES[self._mode]
        self.shape: tuple[int, ...] = (
            (height, width) if channels == 1 else (height, width, channels)
        )
        self.chunks = self.shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.resident_bytes = width * height * (decoding + channels * self.dtype.itemsize)
        self._lock = threading.Lock()
        self._pixels: np.ndarray | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self._max_pixels, self._indices)

    @property
    def is_rgb(self) -> bool:
        return self._mode == "RGB"

    def read_bytes(self, _sizes: tuple[int, ...]) -> int:
        return 0

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        return self._pixels[index].copy()

    def identity(self) -> bytes | None:
        return file_identity(self.path)

    def _decode(self) -> np.ndarray:
        """The pixels, band by band: whole, they would be converted and copied several times."""
        pixels = np.empty(self.shape, self.dtype)
        with opened_image(self.path, max_pixels=self._max_pixels) as image:
            image.load()
            width, height = image.size
            if (height, width) != self.shape[:2]:
                raise InputError(f"{self.path}: decodes to {height, width}, not {self.shape[:2]}")
            rows = max(1, _BAND_PIXELS // width)
            for top in range(0, height, rows):
                bottom = min(top + rows, height)
                band = image.crop((0, top, width, bottom))
                pixels[top:bottom] = np.asarray(_converted(band, self._mode))
        return pixels


def _reopen(path: Path, max_pixels: int | None, indices: bool) -> RasterReader:
    return RasterReader(path, max_pixels=max_pixels, indices=indices)


@contextmanager
def opened_image(path: Path, *, max_pixels: int | None = None) -> Iterator[Any]:
    """A Pillow image of one of `FORMATS`, of at most `max_pixels`; every failure is an InputError.

    Pillow's own bomb guard stays on: beyond twice its limit no option helps.
    """
    from PIL import Image, UnidentifiedImageError

    regular_file(path)
    limit = Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    with reading(str(path)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise InputError(f"{path}: is no image of a format that is read") from error
        except Image.DecompressionBombError as error:
            raise InputError(
                _too_big(path, "more pixels", 2 * (Image.MAX_IMAGE_PIXELS or 0))
            ) from error
        with image:
            width, height = image.size
            if width < 1 or height < 1:
                raise InputError(f"{path}: is empty, {width} x {height} pixels")
            if limit is not None and width * height > limit:
                raise InputError(_too_big(path, f"{width * height:,} pixels", limit))
            yield image


def _too_big(path: Path, what: str, limit: int) -> str:
    return (
        f"{path}: has {what} and at most {limit:,} are decoded at once; "
        "raise max_pixels, or convert it to a tiled TIFF or OME-Zarr"
    )


def _decoding_bytes(image: Any) -> int:
    """Bytes of a pixel while Pillow decodes an image: its own, and the decoder's."""
    progressive = _PROGRESSIVE * len(image.getbands()) if image.info.get("progressive") else 0
    return _STORED.get(image.mode, 4) + _DECODERS.get(image.format, 0) + progressive


def _converted(image: Any, mode: str) -> Any:
    if image.mode == mode:
        return image
    if mode == "L" and image.mode in ("P", "PA"):
        return image.getchannel(0)
    return image.convert(mode)


def _target_mode(image: Any, path: Path, *, indices: bool) -> str:
    mode = image.mode
    if indices and mode in ("P", "PA"):
        return "L"
    if mode in ("LA", "La"):
        return "L"
    if mode in _TO_RGB:
        return "RGB"
    if mode not in _MODES:
        raise InputError(f"{path}: has the pixel mode {mode}, which is not supported")
    return str(mode)
