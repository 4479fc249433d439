"""Maps of fractions as OME-Zarr, quantised to 0 to 255: class probabilities, uncertainty."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnnseg.errors import UsageError
from gnnseg.io.classes import ClassInfo
from gnnseg.io.ome_write import OmeVersion, multiscales, ome_attributes, omero, zarr_format
from gnnseg.io.zarr_output import FORMAT_VERSION, ZarrOutput, create_output


def create_map_zarr(
    path: str | Path,
    *,
    kind: str,
    shape: tuple[int, ...],
    chunk: int,
    classes: ClassInfo,
    pixel_size: tuple[float, float] | None = None,
    plane_spacing: float | None = None,
    unit: str | None = None,
    overwrite: bool = False,
    ome_version: OmeVersion = "0.5",
) -> ZarrOutput:
    """Create an unfinished map, all 0, with one level.

    `shape` is (Y, X) or (Z, Y, X) in pixels; the array is (C, Y, X) or (C, Z, Y, X) uint8, as
    OME asks, with square chunks of one channel. The `kind` "probabilities" has a channel a class,
    any other one channel of its name. `ome_version` is as in `create_label_zarr`, and as there
    StateError is raised when `path` exists.
    """
    if len(shape) not in (2, 3):
        raise UsageError(f"maps are (Y, X) or (Z, Y, X), got the shape {shape}")
    by_class = kind == "probabilities"
    names = classes.names if by_class else (kind,)
    colors = classes.colors if by_class else ((255, 255, 255),)
    axes = "czyx" if len(shape) == 3 else "cyx"
    ome = {
        "multiscales": multiscales(
            Path(path).stem, axes, 1, pixel_size=pixel_size, plane_spacing=plane_spacing, unit=unit
        ),
        "omero": omero(names, colors),
    }
    about = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "complete": False,
        "class_table": classes.to_dict(),
        "scale": 1 / 255,
    }
    return create_output(
        path, shapes=[(len(names), *shape)], axes=axes, chunk=chunk, dtype=np.uint8, fill_value=0,
        attributes={**ome_attributes(ome_version, ome), "gnnseg": about}, overwrite=overwrite,
        zarr_format=zarr_format(ome_version),
    )  # fmt: skip


def quantise(fractions: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Fractions from 0 to 1 as uint8, rounded to the nearest of 0, 1/255, ... 1; NaN becomes 0.

    >>> quantise(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    out = np.empty(fractions.shape, np.uint8) if out is None else out
    scaled = np.clip(np.nan_to_num(fractions, nan=0.0), 0.0, 1.0) * 255.0
    np.floor(scaled + 0.5, out=scaled)
    out[...] = scaled.astype(np.uint8)
    return out
