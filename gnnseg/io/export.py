"""A finished label image as one file: a tiled pyramidal OME-TIFF, or a palette PNG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.io.atomic import replacing
from gnnseg.io.attributes import gnnseg_attributes
from gnnseg.io.guard import reading
from gnnseg.io.labels import label_table
from gnnseg.io.ome import Calibration
from gnnseg.io.zarr_output import ZarrOutput, is_complete, open_output

MAX_PNG_PIXELS = 89_478_485
"""What image programs accept without asking; Pillow's own limit."""
_TILE = 512
_BIGTIFF_FROM = 3_500_000_000
_SUFFIXES: dict[str, Literal["zarr", "tiff", "png"]] = {
    ".zarr": "zarr",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
}


def output_kind(path: str | Path) -> Literal["zarr", "tiff", "png"]:
    """The kind of label output that a name asks for; raises UsageError for another suffix.

    >>> output_kind("labels.ome.tif")
    'tiff'
    """
    kind = _SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: an output ends in .zarr, .tif, .tiff or .png")
    return kind


def export_tiff(label_zarr_path: str | Path, out: str | Path, *, overwrite: bool = False) -> None:
    """Write a finished label image as a tiled OME-TIFF with its pyramid in Sub-IFDs.

    Streams tile by tile, so the memory does not depend on the size of the image. The values are
    those of the label image, with the class colours as colour map and the physical pixel size.
    """
    if output_kind(out) != "tiff":
        raise UsageError(f"{out}: a TIFF ends in .tif or .tiff")
    source = _finished(label_zarr_path)
    with replacing(out, overwrite=overwrite) as partial:
        import tifffile

        nbytes = sum(level.nbytes for level in source.levels)
        with tifffile.TiffWriter(partial, ome=True, bigtiff=nbytes > _BIGTIFF_FROM) as tif:
            for number, level in enumerate(source.levels):
                tif.write(_tiles(level), **_tiff_options(source, number))


def _tiff_options(source: ZarrOutput, number: int) -> dict[str, Any]:
    level = source.levels[number]
    options: dict[str, Any] = {
        "shape": level.shape,
        "dtype": level.dtype,
        "tile": (_tile(level),) * 2,
        "photometric": "palette",
        "colormap": _colormap(source.path),
        "compression": "zlib",
        "maxworkers": 1,
    }
    if number:
        return {**options, "subfiletype": 1}
    calibration = _calibration(source.path)
    resolution = _resolution(calibration)
    axes = "ZYX"[-len(level.shape) :]
    options["metadata"] = {
        "axes": axes,
        "Name": source.path.stem,
        "UUID": _uuid(source),
        **_physical_sizes(calibration, stack=axes[0] == "Z"),
    }
    options["subifds"] = len(source.levels) - 1
    return {**options, **resolution}


def _tiles(level: Any) -> Iterator[np.ndarray]:
    """Tiles in the order of a TIFF, those at the border filled up with the unlabelled value."""
    side = _tile(level)
    height, width = level.shape[-2:]
    for lead in np.ndindex(*level.shape[:-2]):
        for y in range(0, height, side):
            for x in range(0, width, side):
                tile = np.full((side, side), level.fill_value, level.dtype)
                pixels = _read(level, (*lead, slice(y, y + side), slice(x, x + side)))
                tile[: pixels.shape[0], : pixels.shape[1]] = pixels
                yield tile


def _read(level: Any, index: tuple[Any, ...]) -> np.ndarray:
    with reading(str(level.store_path)):
        return np.asarray(level[index])


def _tile(level: Any) -> int:
    """The chunk, so that each is decoded once, where TIFF allows it (multiples of 16)."""
    chunk = int(level.chunks[-1])
    return chunk if chunk % 16 == 0 and chunk <= 4 * _TILE else _TILE


def _colormap(path: Path) -> np.ndarray:
    classes, offset, unlabelled = label_table(path)
    colormap = np.zeros((3, unlabelled + 1), np.uint16)
    colors = np.asarray(classes.colors, np.uint16).T
    colormap[:, offset : offset + classes.num_classes] = colors * 257
    return colormap


def _calibration(path: Path) -> Calibration:
    from gnnseg.io.zarr_source import open_zarr

    return open_zarr(path).calibration


def _uuid(source: ZarrOutput) -> str:
    """An identity that is the same for the same labels, so that a repeated export is equal."""
    coarse = _read(source.levels[-1], (Ellipsis,))
    about = json.dumps(gnnseg_attributes(source.path), sort_keys=True)
    return str(uuid5(NAMESPACE_OID, f"{source.shape}{about}{sha256(coarse.tobytes()).hexdigest()}"))


def _physical_sizes(calibration: Calibration, *, stack: bool) -> dict[str, Any]:
    if calibration.pixel_size is None:
        return {}
    unit = _OME_UNITS.get(calibration.unit or "", calibration.unit)
    y, x = calibration.pixel_size
    sizes: dict[str, Any] = {"PhysicalSizeX": x, "PhysicalSizeY": y}
    sizes |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    if stack and calibration.plane_spacing is not None:
        sizes["PhysicalSizeZ"] = calibration.plane_spacing
        sizes |= {"PhysicalSizeZUnit": unit} if unit else {}
    return sizes


_OME_UNITS = {
    "micrometer": "\u00b5m",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "picometer": "pm",
    "angstrom": "\u00c5",
    "inch": "in",
}
_PER_CENTIMETER = {"micrometer": 1e4, "nanometer": 1e7, "millimeter": 10.0, "centimeter": 1.0}


def _resolution(calibration: Calibration) -> dict[str, Any]:
    per = _PER_CENTIMETER.get(calibration.unit or "")
    if calibration.pixel_size is None or per is None:
        return {}
    y, x = calibration.pixel_size
    return {"resolution": (per / x, per / y), "resolutionunit": "CENTIMETER"}


def export_png(
    label_zarr_path: str | Path,
    out: str | Path,
    *,
    max_pixels: int = MAX_PNG_PIXELS,
    overwrite: bool = False,
) -> None:
    """Write a finished label image of one plane as a palette PNG, 16-bit grey for uint16.

    Raises UsageError for more than `max_pixels`, and for stacks.
    """
    if output_kind(out) != "png":
        raise UsageError(f"{out}: a PNG ends in .png")
    source = _finished(label_zarr_path)
    if len(source.shape) != 2:
        raise UsageError(f"{out}: a PNG holds one plane, the labels have {source.shape[0]}")
    height, width = source.shape
    if height * width > max_pixels:
        raise UsageError(
            f"{out}: {height * width:,} pixels are more than the {max_pixels:,} of a PNG; "
            "export a .tif or keep the .zarr"
        )
    image, options = _png_image(source)
    with replacing(out, overwrite=overwrite) as partial:
        image.save(partial, format="PNG", **options)


def _png_image(source: ZarrOutput) -> tuple[Any, dict[str, Any]]:
    from PIL import Image

    image = Image.fromarray(_read(source.levels[0], (slice(None),) * 2))
    if source.levels[0].dtype != np.uint8:
        return image, {}
    image.putpalette((_colormap(source.path) // 257).astype(np.uint8).T.tobytes())
    return image, {"transparency": label_table(source.path)[2]}


def _finished(path: str | Path) -> ZarrOutput:
    path = Path(path)
    about = gnnseg_attributes(path)
    if about is None or about.get("kind") != "labels":
        raise InputError(f"{path}: is no label output of gnnseg")
    if not is_complete(path):
        raise StateError(f"{path}: is an unfinished output; run the same command to finish it")
    with reading(str(path)):
        return open_output(path, writable=False)
