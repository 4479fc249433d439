"""TIFF, BigTIFF, OME-TIFF, ImageJ TIFF and slides in TIFF form: the first image, any level.

Palettes become RGB unless indices are asked for. CMYK, Lab and plain YCbCr keep their stored
channels. What tifffile cannot decode and Pillow can (old JPEG, subsampled YCbCr) goes to Pillow.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from gnnseg.errors import InputError, UsageError
from gnnseg.io.array_source import RawReader
from gnnseg.io.guard import DamagedError, reading, regular_file
from gnnseg.io.ome import Calibration
from gnnseg.io.palette import PaletteReader, palette_colors
from gnnseg.io.source import Reader, native_dtype
from gnnseg.io.tiff_calibration import tiff_calibration
from gnnseg.io.tiff_files import series_files
from gnnseg.io.tiff_reader import TiffReader

_MAX_PLANES = 10_000_000
_BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6
_DEFLATE = (8, 32946)
_OLD_JPEG = 6
_JPEG = (_OLD_JPEG, 7)
_ALPHA = (1, 2)

logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class TiffImage:
    """What opening a TIFF gives: the reader and what its tags say."""

    reader: Reader
    axes: str
    is_rgb: bool
    alpha: int
    calibration: Calibration
    is_palette: bool = False


def open_tiff(
    path: Path, *, level: int = 0, indices: bool = False, max_pixels: int | None = None
) -> TiffImage:
    """Open level `level` of the first image of a TIFF file."""
    name = str(path)
    regular_file(path)
    with reading(name):
        import tifffile

        with tifffile.TiffFile(path) as tif:
            series = _series(tif, path, level)
            page = series.keyframe
            _check_page(series, name)
            if level == 0 and _needs_pillow(page):
                return _pillow(path, indices, max_pixels)
            calibration = tiff_calibration(tif, level)
            try:
                reader = _reader(path, level, series)
            except (InputError, MemoryError):
                raise
            except Exception:
                if level or not _pillow_reads(path, series, max_pixels):
                    raise
                return _pillow(path, indices, max_pixels)
            return _image(reader, series.axes, page, indices, calibration)


def reopen_reader(path: Path, level: int) -> TiffReader | RawReader:
    """The reader of a level again, in another process."""
    import tifffile

    with reading(str(path)), tifffile.TiffFile(path) as tif:
        return _reader(path, level, _series(tif, path, level))


def _image(
    reader: Reader, axes: str, page: Any, indices: bool, calibration: Calibration
) -> TiffImage:
    if (
        page.photometric == _PALETTE
        and page.colormap is not None
        and not indices
        and "S" not in axes
    ):
        colored = PaletteReader(reader, palette_colors(page.colormap))
        return TiffImage(colored, axes + "S", True, 0, calibration, is_palette=True)
    extra = tuple(int(sample) for sample in page.extrasamples)
    alpha = 1 if extra and extra[-1] in _ALPHA and "S" in axes else 0
    is_rgb = page.photometric == _RGB or (page.photometric == _YCBCR and page.compression in _JPEG)
    return TiffImage(reader, axes, is_rgb, alpha, calibration)


def _series(tif: Any, path: Path, level: int) -> Any:
    if tif.is_ome:
        _check_ome(tif.ome_metadata, path)
    if not tif.series:
        raise DamagedError("it holds no image")
    levels = tif.series[0].levels
    if level >= len(levels):
        raise UsageError(f"{path}: has the levels 0 to {len(levels) - 1}, not {level}")
    return levels[level]


def _reader(path: Path, level: int, series: Any) -> TiffReader | RawReader:
    page, own = series.keyframe, series_files(series) == [path.resolve()]
    if own and series.dataoffset is not None and page.is_memmappable:
        dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        return RawReader(path, offset=series.dataoffset, shape=tuple(series.shape), dtype=dtype)
    reader = TiffReader(path, level, series)
    reader.probe()
    return reader


def _check_page(series: Any, name: str) -> None:
    if series.dtype is None or series.keyframe.dtype is None:
        raise DamagedError("its sample format is not known")
    native_dtype(series.dtype, name)
    if 0 in series.shape or len(series.shape) < 2:
        raise InputError(f"{name}: is empty, its shape is {series.shape}")


def _needs_pillow(page: Any) -> bool:
    return page.photometric == _YCBCR and page.is_subsampled and page.compression not in _JPEG


def _pillow(path: Path, indices: bool, max_pixels: int | None) -> TiffImage:
    from gnnseg.io.raster_source import RasterReader

    raster = RasterReader(path, max_pixels=max_pixels, indices=indices)
    axes = "YX" if len(raster.shape) == 2 else "YXS"
    return TiffImage(raster, axes, raster.is_rgb, 0, Calibration())


def _pillow_reads(path: Path, series: Any, max_pixels: int | None) -> bool:
    """Whether Pillow decodes the same pixels: one page of uint8 in deflate or old JPEG."""
    from gnnseg.io.raster_source import RasterReader

    page = series.keyframe
    plain = page.photometric in (_BLACK_IS_ZERO, _RGB) and page.compression in _DEFLATE
    old_jpeg = page.compression == _OLD_JPEG
    if len(series.pages) > 1 or page.dtype != np.uint8 or not (plain or old_jpeg):
        return False
    try:
        raster = RasterReader(path, max_pixels=max_pixels)
        raster.read((slice(0, 1),) * len(raster.shape))
    except Exception:  # noqa: BLE001 - the error of the first decoder is the one to report
        return False
    return True


def _check_ome(xml: str | None, path: Path) -> None:
    """Raise InputError where OME-XML names files outside the folder, or claims absurd sizes."""
    try:
        root = ET.fromstring(xml or "")  # noqa: S314 - expat limits entity expansion
    except ET.ParseError:
        return
    folder = path.resolve().parent
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag in ("UUID", "BinaryOnly"):
            named = element.get("FileName") or element.get("MetadataFile")
            if named:
                _check_reference(named, folder, path)
        if tag == "Pixels":
            sizes = [_int(element.get(f"Size{axis}")) for axis in "ZCT"]
            if np.prod([max(1, size) for size in sizes], dtype=float) > _MAX_PLANES:
                raise InputError(f"{path}: claims {sizes} planes, channels and time points")


def _check_reference(named: str, folder: Path, path: Path) -> None:
    if re.search(r"[/\\\0]", named) or named in (".", ".."):
        raise InputError(f"{path}: refers to {named[:80]!r}, which lies outside its folder")
    target = folder / named
    if target.exists() and (target.resolve().parent != folder or not target.is_file()):
        raise InputError(f"{path}: refers to {named[:80]!r}, which leads outside its folder")


def _int(text: str | None) -> int:
    return int(text) if text and text.strip().lstrip("+-").isdigit() else 1
