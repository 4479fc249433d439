"""Small whole images: label files of datasets, and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnnseg.errors import InputError, UsageError
from gnnseg.io.atomic import replacing
from gnnseg.io.open import open_image
from gnnseg.io.source import ImageSource


def read_labels(path: str | Path) -> np.ndarray:
    """A label image, PNG or TIFF, as a (Y, X) array of uint8 or uint16 class indices.

    A palette image gives its indices. Raises InputError for colour images and for negative or
    broken values: a label file holds one class index a pixel.
    """
    image = open_labels(path)
    return class_indices(image.read(image.bounds)[0], path)


def open_labels(path: str | Path) -> ImageSource:
    """A label image, to be read window by window; `class_indices` makes labels of what it holds.

    Raises InputError where there is more than one value a pixel.
    """
    image = open_image(path, indices=True)
    if image.num_channels != 1 or image.is_stack:
        raise InputError(
            f"{path}: has {image.num_channels} channels and {image.num_planes} planes; "
            "a label file holds one class index a pixel"
        )
    return image


def class_indices(values: np.ndarray, path: str | Path) -> np.ndarray:
    """Stored values of any type as uint8 or uint16; InputError where they are no class indices."""
    if values.dtype in (np.uint8, np.uint16):
        return values
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise InputError(f"{path}: holds {values.dtype} values that are no class indices")
    return values.astype(np.uint16)


def read_rgb(path: str | Path) -> np.ndarray:
    """A small image as (Y, X, 3) uint8; grey becomes three equal channels."""
    image = open_image(path)
    if image.num_channels not in (1, 3) or image.dtype != np.uint8:
        raise InputError(f"{path}: is no 8-bit grey or RGB image ({image.num_channels} channels)")
    pixels = np.moveaxis(image.read(image.bounds), 0, -1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def write_rgb_png(path: str | Path, array: np.ndarray, *, overwrite: bool = True) -> None:
    """Write (Y, X) or (Y, X, 3) uint8 as a PNG, whole or not at all."""
    from PIL import Image

    pixels = np.asarray(array)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise UsageError(
            f"a PNG needs (Y, X) or (Y, X, 3) uint8, got {pixels.shape} {pixels.dtype}"
        )
    with replacing(path, overwrite=overwrite) as partial:
        Image.fromarray(np.ascontiguousarray(pixels)).save(partial, format="PNG")


def write_label_png(
    path: str | Path,
    labels: np.ndarray,
    colors: tuple[tuple[int, int, int], ...],
    *,
    overwrite: bool = True,
) -> None:
    """Write (Y, X) uint8 class indices as a palette PNG; 255 is black and transparent."""
    from PIL import Image

    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise UsageError(f"labels must be (Y, X) uint8, got {labels.shape} {labels.dtype}")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = np.asarray(colors, np.uint8)[:256]
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(palette.tobytes())
    with replacing(path, overwrite=overwrite) as partial:
        image.save(partial, format="PNG", transparency=255)
