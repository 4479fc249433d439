"""OME-Zarr metadata of what gnnseg writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from gnnseg.errors import UsageError
from gnnseg.io.classes import ClassInfo

OmeVersion = Literal["0.4", "0.5"]
OME_VERSIONS: tuple[str, ...] = get_args(OmeVersion)


def zarr_format(version: str) -> Literal[2, 3]:
    """The version of Zarr that a version of OME-Zarr asks for."""
    if version not in OME_VERSIONS:
        raise UsageError(f"the OME-Zarr version is {' or '.join(OME_VERSIONS)}, got {version}")
    return 3 if version == "0.5" else 2


def ome_attributes(version: OmeVersion, content: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a group: under "ome" since 0.5, at the top with own versions before."""
    if version == "0.5":
        return {"ome": {"version": version, **content}}
    scales = [{**scale, "version": version} for scale in content["multiscales"]]
    return {**content, "multiscales": scales}


def multiscales(
    name: str,
    axes: str,
    n_levels: int,
    *,
    pixel_size: tuple[float, float] | None,
    plane_spacing: float | None,
    unit: str | None,
) -> list[dict[str, Any]]:
    """One multiscale image whose level k is sampled at every 2^k-th row and column.

    Pixel i of level k is pixel i * 2^k of level 0, so the levels need a scale, no translation.
    """
    height, width = pixel_size or (1.0, 1.0)
    base = {"z": plane_spacing or 1.0, "y": height, "x": width, "c": 1.0}
    datasets = [
        {
            "path": str(k),
            "coordinateTransformations": [
                {"type": "scale", "scale": [float(base[a] * _factor(a, k)) for a in axes]}
            ],
        }
        for k in range(n_levels)
    ]
    described = [_axis(axis, unit if pixel_size else None) for axis in axes]
    return [{"name": name, "axes": described, "datasets": datasets}]


def image_label(
    classes: ClassInfo, unlabelled: int, offset: int, version: OmeVersion
) -> dict[str, Any]:
    """Colours and names per stored value; `unlabelled` is fully transparent."""
    colors = [
        {"label-value": i + offset, "rgba": [*color, 255]} for i, color in enumerate(classes.colors)
    ]
    properties = [
        {"label-value": i + offset, "class": name} for i, name in enumerate(classes.names)
    ]
    return {
        "version": version,
        "colors": [*colors, {"label-value": unlabelled, "rgba": [0, 0, 0, 0]}],
        "properties": [*properties, {"label-value": unlabelled, "class": "unlabelled"}],
    }


def omero(labels: Sequence[str], colors: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    """Channel names and colours of an image of fractions stored as 0 to 255."""
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channels = [
        {
            "label": label,
            "color": "{:02X}{:02X}{:02X}".format(*color),
            "window": window,
            "active": True,
        }
        for label, color in zip(labels, colors, strict=True)
    ]
    return {"channels": channels}


def _factor(axis: str, level: int) -> int:
    return 2**level if axis in "yx" else 1


def _axis(axis: str, unit: str | None) -> dict[str, str]:
    if axis == "c":
        return {"name": "c", "type": "channel"}
    described = {"name": axis, "type": "space"}
    return {**described, "unit": unit} if unit else described
