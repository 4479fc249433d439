"""The physical size of a pixel in TIFF metadata, where it can be trusted."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from gnnseg.io.ome import Calibration, calibration
from gnnseg.io.units import converted

_UNITS = {
    "\u00b5m": "micrometer",
    "\u03bcm": "micrometer",
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "\\u00b5m": "micrometer",
    "nm": "nanometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "pm": "picometer",
    "\u00c5": "angstrom",
    "inch": "inch",
}
_MICRONS = {2: 25_400.0, 3: 10_000.0}
_FINE = 10.0
"""Micrometres. Resolution tags coarser than this say how to print, not how large a pixel is."""


def tiff_calibration(tif: Any, level: int) -> Calibration:
    """Sizes from OME-XML, ImageJ, Aperio's MPP or fine resolution tags, at a pyramid level."""
    base, page = tif.series[0].levels[0], tif.series[0].levels[level]
    found = _of_ome(tif) or _of_imagej(tif) or _of_aperio(tif) or _of_resolution(base.keyframe)
    if not found:
        return Calibration()
    sizes, unit = found
    for axis in "YX":
        if sizes.get(axis) is not None and axis in base.axes and axis in page.axes:
            sizes[axis] *= _factor(_length(base, axis), _length(page, axis))
    return calibration(sizes, unit)


def _factor(base: int, level: int) -> float:
    """How much coarser a level is; whole where rounding of its size explains the rest."""
    whole = max(1, round(base / level))
    return whole if level in (base // whole, -(-base // whole)) else base / level


def _length(series: Any, axis: str) -> int:
    return int(series.shape[series.axes.index(axis)])


def _of_ome(tif: Any) -> tuple[dict[str, Any], str] | None:
    if not tif.is_ome:
        return None
    try:
        root = ET.fromstring(tif.ome_metadata)  # noqa: S314 - expat limits expansion
    except ET.ParseError:
        return None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Pixels":
            sizes = {axis: _number(element.get(f"PhysicalSize{axis}")) for axis in "YXZ"}
            y, x, z = (_unit(element.get(f"PhysicalSize{axis}Unit", "\u00b5m")) for axis in "YXZ")
            sizes["Z"] = converted(sizes["Z"], z, y)
            return (sizes, y) if y == x and sizes["X"] else None
    return None


def _of_imagej(tif: Any) -> tuple[dict[str, Any], str] | None:
    about = tif.imagej_metadata if tif.is_imagej else None
    unit = _UNITS.get(str((about or {}).get("unit", "")).strip())
    if about is None or unit is None:
        return None
    page = tif.series[0].keyframe
    sizes = {
        axis: 1 / per if per else None for axis, per in zip("XY", _resolution(page), strict=True)
    }
    deep = _unit(str(about.get("zunit", unit)).strip())
    return {**sizes, "Z": converted(_number(about.get("spacing")), deep, unit)}, unit


def _of_aperio(tif: Any) -> tuple[dict[str, Any], str] | None:
    if not tif.is_svs:
        return None
    match = re.search(r"\bMPP\s*=\s*([0-9.]+)", tif.pages[0].description)
    size = _number(match.group(1)) if match else None
    return ({"Y": size, "X": size}, "micrometer") if size else None


def _of_resolution(page: Any) -> tuple[dict[str, Any], str] | None:
    unit = page.tags.valueof(296, 2)
    x, y = _resolution(page)
    if unit not in _MICRONS or not x or not y:
        return None
    sizes = {"X": _MICRONS[unit] / x, "Y": _MICRONS[unit] / y}
    return (sizes, "micrometer") if max(sizes.values()) < _FINE else None


def _resolution(page: Any) -> tuple[float, float]:
    values = []
    for tag in (282, 283):
        value = page.tags.valueof(tag, (0, 1))
        fraction = isinstance(value, tuple) and len(value) == 2 and value[1]
        values.append(float(value[0]) / float(value[1]) if fraction else 0.0)
    return values[0], values[1]


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _unit(text: str) -> str:
    return _UNITS.get(text, text)
