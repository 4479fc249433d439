"""The class table of a folder: read, or inferred from the labels."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo

_MAX_INFERRED = 64
_AT_ONCE = 4096
"""Pixels on a side that are read at once."""


def read_classes(path: Path) -> tuple[ClassInfo, tuple[float, float] | None]:
    """The classes of a classes.json and its `pixel_size`, [y, x] in micrometres, if it has one."""
    classes = ClassInfo.load(path)
    size = json.loads(path.read_text(encoding="utf-8")).get("pixel_size")
    if size is None:
        return classes, None
    if not (isinstance(size, list) and len(size) == 2 and all(_is_length(v) for v in size)):
        raise InputError(f"{path}: pixel_size must be [y, x] in micrometres, got {size!r}")
    return classes, (float(size[0]), float(size[1]))


def infer_classes(
    paths: Iterable[Path], name: str, clicked: Iterable[int] = (), ignore_index: int = 255
) -> ClassInfo:
    """Classes 0 to the highest value in the label files or `clicked`; reads all files.

    Raises `InputError` where the values cannot be class numbers.
    """
    from gnnseg.io import class_indices, open_labels

    values = set(clicked)
    for path in paths:
        image = open_labels(path)
        for window in image.bounds.split(_AT_ONCE):
            values.update(np.unique(class_indices(image.read(window)[0], path)).tolist())
    values.discard(ignore_index)
    highest, lowest = max(values, default=0), min(values, default=0)
    if lowest < 0 or highest >= _MAX_INFERRED:
        raise InputError(
            f"{name}: the labels hold values from {lowest} to {highest}, which look like object "
            "numbers or grey values: labels are class numbers from 0. If these are classes, name "
            "them in classes.json"
        )
    if highest == 0:
        raise InputError(
            f"{name}: the labels hold no class but 0 (255 means no label): number the classes "
            "0, 1, ...; a mask of 0 and 255 must be stored as 0 and 1; if 0 is all there is, name "
            "the classes in classes.json"
        )
    return ClassInfo(tuple(f"class_{i}" for i in range(highest + 1)), ignore_index=ignore_index)


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9
