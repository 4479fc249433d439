"""What OME metadata say about an image: axes, levels, sizes of pixels, colours of channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gnnseg.errors import InputError
from gnnseg.io.units import converted

_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")
_PURE = ("FF0000", "00FF00", "0000FF")


@dataclass(frozen=True)
class Calibration:
    """Physical sizes: of a pixel as (y, x), of the step from plane to plane, and their unit."""

    pixel_size: tuple[float, float] | None = None
    plane_spacing: float | None = None
    unit: str | None = None


@dataclass(frozen=True)
class OmeImage:
    """The first multiscale image of an OME-Zarr group."""

    axes: str | None
    paths: tuple[str, ...]
    calibrations: tuple[Calibration, ...]
    is_rgb: bool | None


def ome_image(
    attributes: Mapping[str, Any], name: str, find_arrays: Callable[[], Sequence[str]]
) -> OmeImage:
    """Read the metadata of a group; `find_arrays` gives paths to name when it is no plain image."""
    ome = attributes.get("ome", attributes)
    scales = ome.get("multiscales") if isinstance(ome, Mapping) else None
    if not isinstance(scales, list) or not scales or not isinstance(scales[0], Mapping):
        arrays = find_arrays()
        hint = f"; open one of its arrays, such as {name}/{arrays[0]}" if arrays else ""
        raise InputError(f"{name}: is a Zarr group without OME multiscales metadata{hint}")
    first = scales[0]
    version = str(first.get("version") or ome.get("version") or "0.4")
    if version not in _VERSIONS:
        raise InputError(f"{name}: is OME-Zarr {version}; versions up to 0.5 are read")
    datasets = first.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise InputError(f"{name}: its OME metadata list no datasets")
    axes = _axes(first.get("axes"), name)
    common = _scale(first.get("coordinateTransformations"))
    units = _units(first.get("axes"))
    return OmeImage(
        axes=axes,
        paths=tuple(_path(dataset, name) for dataset in datasets),
        calibrations=tuple(_calibration(d, common, axes, units) for d in datasets),
        is_rgb=_is_rgb(ome.get("omero")),
    )


def calibration(sizes: Mapping[str, float | None], unit: str | None) -> Calibration:
    """A Calibration of the sizes per axis letter; sizes that are no positive number are dropped."""
    y, x, z = (_positive(sizes.get(letter)) for letter in "YXZ")
    pixel = (y, x) if y is not None and x is not None else None
    return Calibration(pixel, z, unit if pixel is not None else None)


def _positive(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if usable and math.isfinite(value) and value > 0 else None


def _path(dataset: Any, name: str) -> str:
    path = dataset.get("path") if isinstance(dataset, Mapping) else None
    if not isinstance(path, str) or not path:
        raise InputError(f"{name}: a dataset of its OME metadata has no path")
    return path


def _axes(axes: Any, name: str) -> str | None:
    if axes is None:
        return None
    if not isinstance(axes, list):
        raise InputError(f"{name}: the axes of its OME metadata are no list")
    return "".join(_letter(axis, name) for axis in axes)


def _letter(axis: Any, name: str) -> str:
    label = axis.get("name") if isinstance(axis, Mapping) else axis
    kind = axis.get("type") if isinstance(axis, Mapping) else None
    if kind == "channel":
        return "C"
    if kind == "time":
        return "T"
    if isinstance(label, str) and label.upper() in ("T", "C", "Z", "Y", "X"):
        return label.upper()
    raise InputError(
        f"{name}: its OME metadata name an axis {str(label)[:40]!r}, which is not known"
    )


def _units(axes: Any) -> dict[str, str | None]:
    named = {
        str(axis.get("name")).upper(): axis.get("unit")
        for axis in (axes if isinstance(axes, list) else ())
        if isinstance(axis, Mapping)
    }
    return {name: unit if isinstance(unit, str) else None for name, unit in named.items()}


def _scale(transformations: Any) -> list[float] | None:
    for entry in transformations if isinstance(transformations, list) else ():
        if isinstance(entry, Mapping) and entry.get("type") == "scale":
            scale = entry.get("scale")
            return scale if isinstance(scale, list) else None
    return None


def _calibration(
    dataset: Any, common: list[float] | None, axes: str | None, units: dict[str, str | None]
) -> Calibration:
    scale = _scale(dataset.get("coordinateTransformations"))
    if scale is None or axes is None or len(scale) != len(axes):
        return Calibration()
    if common is None or len(common) != len(axes):
        common = [1.0] * len(axes)
    sizes = {
        letter: (_positive(a) or math.nan) * (_positive(b) or math.nan)
        for letter, a, b in zip(axes, scale, common, strict=True)
    }
    # Without a unit the scale says how levels relate, not how large a pixel is.
    unit = units.get("Y")
    if not isinstance(unit, str) or unit != units.get("X"):
        return Calibration()
    return calibration({**sizes, "Z": converted(sizes.get("Z"), units.get("Z"), unit)}, unit)


def _is_rgb(omero: Any) -> bool | None:
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, list) or not channels:
        return None
    colors = [str(c.get("color", "")).upper()[:6] for c in channels if isinstance(c, Mapping)]
    return tuple(colors) == _PURE
