"""Label images as OME-Zarr: created first, filled chunk by chunk, marked complete last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io.attributes import gnnseg_attributes
from gnnseg.io.classes import ClassInfo
from gnnseg.io.ome_write import OmeVersion, image_label, multiscales, ome_attributes, zarr_format
from gnnseg.io.zarr_output import (
    FORMAT_VERSION,
    ZarrOutput,
    check_window,
    create_output,
    pyramid_shapes,
)


def label_dtype(num_classes: int, label_offset: int = 0) -> np.dtype[Any]:
    """uint8 where 255 stays free for "unlabelled", uint16 above.

    >>> label_dtype(254).name, label_dtype(256).name
    ('uint8', 'uint16')
    """
    return np.dtype(np.uint8 if num_classes + label_offset <= 255 else np.uint16)


def unlabelled_value(dtype: Any) -> int:
    """The highest value of a label type: masked out or unlabelled."""
    return int(np.iinfo(dtype).max)


def create_label_zarr(
    path: str | Path,
    *,
    shape: tuple[int, ...],
    chunk: int,
    dtype: Any,
    classes: ClassInfo,
    pixel_size: tuple[float, float] | None = None,
    plane_spacing: float | None = None,
    unit: str | None = None,
    n_levels: int | None = None,
    overwrite: bool = False,
    label_offset: int = 0,
    ome_version: OmeVersion = "0.5",
) -> ZarrOutput:
    """Create an unfinished label image, all of it unlabelled.

    Parameters
    ----------
    shape
        (Y, X) or (Z, Y, X), in pixels.
    chunk
        The side of the square chunks, in pixels.
    dtype
        uint8 or uint16; its highest value means unlabelled.
    pixel_size, plane_spacing, unit
        Physical sizes as in `ImageSource`.
    n_levels
        Levels of the pyramid; None: until one chunk holds the last.
    label_offset
        Class i is stored as i + label_offset.
    ome_version
        "0.5" (Zarr 3), or "0.4" (Zarr 2) for programs that read no other.

    Raises
    ------
    StateError
        `path` exists and `overwrite` is false, or it is no output of gnnseg.
    """
    kind = np.dtype(dtype)
    _check_request(shape, kind, classes, label_offset)
    unlabelled = unlabelled_value(kind)
    axes = "zyx"[-len(shape) :]
    shapes = pyramid_shapes(shape, chunk, n_levels)
    scales = multiscales(
        _name(path), axes, len(shapes),
        pixel_size=pixel_size, plane_spacing=plane_spacing, unit=unit,
    )  # fmt: skip
    ome = {
        "multiscales": scales,
        "image-label": image_label(classes, unlabelled, label_offset, ome_version),
    }
    about = {
        "format_version": FORMAT_VERSION,
        "kind": "labels",
        "complete": False,
        "label_offset": label_offset,
        "unlabelled": unlabelled,
        "class_table": classes.to_dict(),
    }
    return create_output(
        path, shapes=shapes, axes=axes, chunk=chunk, dtype=kind, fill_value=unlabelled,
        attributes={**ome_attributes(ome_version, ome), "gnnseg": about}, overwrite=overwrite,
        zarr_format=zarr_format(ome_version),
    )  # fmt: skip


def _check_request(
    shape: tuple[int, ...],
    kind: np.dtype[Any],
    classes: ClassInfo,
    label_offset: int,
) -> None:
    if len(shape) not in (2, 3):
        raise UsageError(f"a label image is (Y, X) or (Z, Y, X), got the shape {shape}")
    if kind not in (np.uint8, np.uint16):
        raise UsageError(f"labels are uint8 or uint16, got {kind}")
    unlabelled = unlabelled_value(kind)
    if label_offset < 0 or classes.num_classes + label_offset > unlabelled:
        raise UsageError(
            f"{classes.num_classes} classes from {label_offset} on do not fit {kind} "
            f"beside the value {unlabelled} for unlabelled"
        )


def downsample_labels(src: Any, dst: Any, window: Window) -> None:
    """Fill `window` of the pyramid level `dst` with every second row and column of `src`.

    The window, in pixels of `dst`, must cover whole chunks. A pure function of the source pixels:
    blocks may run in any order and again.
    """
    check_window(dst, window)
    height, width = src.shape[-2:]
    rows = slice(2 * window.y0, min(2 * window.y1, height))
    cols = slice(2 * window.x0, min(2 * window.x1, width))
    for lead in np.ndindex(*src.shape[:-2]):
        pixels = np.asarray(src[(*lead, rows, cols)])
        dst[(*lead, *window.slices)] = np.ascontiguousarray(pixels[::2, ::2])


def label_table(path: str | Path) -> tuple[ClassInfo, int, int]:
    """The class table, the label offset and the unlabelled value of a label output."""
    about = gnnseg_attributes(Path(path))
    if about is None or about.get("kind") != "labels":
        raise InputError(f"{path}: is no label output of gnnseg")
    classes = ClassInfo.from_dict(about.get("class_table"), name=str(path))
    return classes, int(about["label_offset"]), int(about["unlabelled"])


def _name(path: str | Path) -> str:
    return Path(path).name.removesuffix(".zarr").removesuffix(".ome") or "labels"
