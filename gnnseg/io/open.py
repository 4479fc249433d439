"""`open_image`: one door for every kind of image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io.array_source import ArrayReader, DaskReader, open_npy
from gnnseg.io.axes import Layout, resolve_axes
from gnnseg.io.device_source import DeviceReader
from gnnseg.io.guard import reading
from gnnseg.io.ome import Calibration
from gnnseg.io.source import ImageSource, Reader, native_dtype
from gnnseg.kernels.arrays import is_device_array

TIFF_SUFFIXES = (
    ".tif",
    ".tiff",
    ".btf",
    ".tf8",
    ".tf2",
    ".svs",
    ".ndpi",
    ".scn",
    ".qptiff",
    ".lsm",
)
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_image(
    source: Any,
    *,
    axes: str | None = None,
    level: int = 0,
    select: Mapping[str, int] | None = None,
    rgb: bool | None = None,
    indices: bool = False,
    max_pixels: int | None = None,
) -> ImageSource:
    """Open an image so that windows of it can be read.

    Parameters
    ----------
    source
        A path (Zarr array, OME-Zarr 0.4 or 0.5, TIFF, OME-TIFF, slide in TIFF form, PNG, JPEG,
        BMP, WebP, GIF, PNM, JPEG 2000, .npy), a NumPy, Dask or Zarr array, an array on a GPU
        (CuPy, Numba, PyTorch), or an ImageSource.
    axes
        The meaning of the stored axes, a letter each: Y, X, and at most one of each of Z, C, S,
        T. Needed where neither file nor shape tell. Axes of length 1 may be left out.
    level
        The level of a pyramid, 0 is the finest.
    select
        One index along an axis that is not to be read whole, such as `{"T": 0}`.
    rgb
        Whether three channels are red, green and blue; told from the file where None, and for
        uint8 assumed.
    indices
        Read the indices of a palette image in place of its colours.
    max_pixels
        The most pixels decoded at once from a PNG, JPEG or alike.

    Raises
    ------
    InputError
        The image is missing, damaged, ambiguous or of a kind that is not supported.
    StateError
        It is an output of gnnseg that is not finished.
    UsageError
        An argument does not fit the image.

    Notes
    -----
    Alpha channels are dropped, and so is the fourth channel of an array whose axes were guessed.
    Orientation tags are not applied. White-is-zero images keep their stored values.

    Examples
    --------
    >>> image = open_image(np.zeros((40, 60, 3), np.uint8))
    >>> image.height, image.width, image.num_channels, image.is_rgb
    (40, 60, 3, True)
    """
    if isinstance(source, ImageSource):
        return source
    if level < 0:
        raise UsageError(f"level must not be negative, got {level}")
    options = _Options(axes, dict(select or {}), rgb)
    if isinstance(source, (str, Path)):
        return _open_path(Path(source), options, level, indices, max_pixels)
    if level:
        raise UsageError("an array has no levels; open the level wanted")
    return _open_array(source, options)


class _Options:
    def __init__(self, axes: str | None, select: dict[str, int], rgb: bool | None) -> None:
        self.axes, self.select, self.rgb = axes, select, rgb

    def source(
        self,
        name: str,
        reader: Reader,
        *,
        found: str | None = None,
        is_rgb: bool | None = None,
        alpha: int = 0,
        calibration: Calibration | None = None,
    ) -> ImageSource:
        """Join a reader with what the user and the file say; `alpha` trailing channels go."""
        native_dtype(reader.dtype, name)
        layout = resolve_axes(
            tuple(reader.shape), name=name, found=found, given=self.axes, select=self.select
        )
        guessed = found is None and self.axes is None
        channels = layout.num_channels - min(alpha, layout.num_channels - 1)
        if guessed and layout.num_channels == 4:
            channels = 3
        cal = calibration or Calibration()
        return ImageSource(
            name=name,
            reader=reader,
            layout=layout,
            num_channels=channels,
            is_rgb=self._is_rgb(channels, reader, layout, is_rgb),
            pixel_size=cal.pixel_size,
            plane_spacing=cal.plane_spacing,
            unit=cal.unit,
        )

    def _is_rgb(self, channels: int, reader: Reader, layout: Layout, is_rgb: bool | None) -> bool:
        if self.rgb and channels != 3:
            raise UsageError(f"rgb=True needs three channels, the image has {channels}")
        if channels != 3 or layout.channel is None:
            return False
        if self.rgb is not None:
            return self.rgb
        return reader.dtype == np.uint8 if is_rgb is None else is_rgb


def _open_array(source: Any, options: _Options) -> ImageSource:
    if isinstance(source, np.ndarray):
        return options.source("array", ArrayReader(source))
    if hasattr(source, "dask") and hasattr(source, "compute"):
        return options.source("dask array", DaskReader(source))
    if hasattr(source, "store_path") and hasattr(source, "shape"):
        from gnnseg.io.zarr_source import open_zarr_array

        image = open_zarr_array(source)
        return options.source("zarr array", image.reader, found=image.axes)
    if is_device_array(source):
        from gnnseg.kernels.cuda.arrays import view

        return options.source("device array", DeviceReader(view(source)))
    raise UsageError(
        f"cannot open {type(source).__name__} as an image; "
        "give a path, or a NumPy, Dask or Zarr array, or one on a GPU"
    )


def _open_path(
    path: Path, options: _Options, level: int, indices: bool, max_pixels: int | None
) -> ImageSource:
    name = str(path)
    if "\0" in name or not _exists(path):
        raise MissingInputError(f"{name!r}: no such file or folder")
    if path.is_dir():
        from gnnseg.io.zarr_source import open_zarr

        image = open_zarr(path, level=level)
        return options.source(
            name, image.reader, found=image.axes, is_rgb=image.is_rgb, calibration=image.calibration
        )
    magic = _magic(path)
    if magic[:4] in _TIFF_MAGIC:
        from gnnseg.io.tiff_source import open_tiff

        tiff = open_tiff(path, level=level, indices=indices, max_pixels=max_pixels)
        if tiff.is_palette and options.axes is not None:
            options = _Options(options.axes + "S", options.select, options.rgb)
        return options.source(
            name,
            tiff.reader,
            found=tiff.axes,
            is_rgb=tiff.is_rgb,
            alpha=tiff.alpha,
            calibration=tiff.calibration,
        )
    if level:
        raise UsageError(f"{name}: has no level {level}; only TIFF and OME-Zarr hold pyramids")
    if magic == b"\x93NUMPY":
        with reading(name):
            return options.source(name, open_npy(path))
    return _open_raster(path, options, indices, max_pixels)


def _open_raster(
    path: Path, options: _Options, indices: bool, max_pixels: int | None
) -> ImageSource:
    from gnnseg.io.raster_source import RasterReader

    if path.suffix.lower() in TIFF_SUFFIXES:
        raise InputError(f"{path}: is no TIFF file, whatever its name says{_what(path)}")
    raster = RasterReader(path, max_pixels=max_pixels, indices=indices)
    found = "YX" if len(raster.shape) == 2 else "YXS"
    return options.source(str(path), raster, found=found, is_rgb=raster.is_rgb)


def _what(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "; it is a web page, perhaps a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "; it is a Git LFS pointer: fetch the file with 'git lfs pull'"
    return ""


def _magic(path: Path) -> bytes:
    from gnnseg.io.guard import regular_file

    regular_file(path)
    with reading(str(path)), path.open("rb") as file:
        return file.read(6)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
