"""Reading images of any format window by window, and writing labels that are whole or absent."""

from __future__ import annotations

from gnnseg.io.classes import ClassInfo, default_colors
from gnnseg.io.export import export_png, export_tiff, output_kind
from gnnseg.io.labels import (
    create_label_zarr,
    downsample_labels,
    label_dtype,
    label_table,
    unlabelled_value,
)
from gnnseg.io.maps import create_map_zarr, quantise
from gnnseg.io.open import open_image
from gnnseg.io.small import (
    class_indices,
    open_labels,
    read_labels,
    read_rgb,
    write_label_png,
    write_rgb_png,
)
from gnnseg.io.source import ImageSource, require_memory
from gnnseg.io.zarr_output import (
    ZarrOutput,
    check_ours,
    drop_torn,
    is_complete,
    mark_complete,
    open_output,
    remove_output,
)

__all__ = [
    "ClassInfo",
    "ImageSource",
    "ZarrOutput",
    "check_ours",
    "class_indices",
    "create_label_zarr",
    "create_map_zarr",
    "default_colors",
    "downsample_labels",
    "drop_torn",
    "export_png",
    "export_tiff",
    "is_complete",
    "label_dtype",
    "label_table",
    "mark_complete",
    "open_image",
    "open_labels",
    "open_output",
    "output_kind",
    "quantise",
    "read_labels",
    "read_rgb",
    "remove_output",
    "require_memory",
    "unlabelled_value",
    "write_label_png",
    "write_rgb_png",
]
