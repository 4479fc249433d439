"""Labels by clicks: a list of points and their classes, beside or in place of label images."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnseg.errors import InputError
from gnnseg.io.classes import ClassInfo

NAMES = ("clicks.csv", "clicks.json")
_COLUMNS = ("image", "y", "x", "class")

Click = tuple[int, int, int]
"""Row, column and class."""


@dataclass(frozen=True)
class Entry:
    """A click as it stands in the file; `where` names its line."""

    where: str
    image: str
    y: int
    x: int
    label: str


def read_entries(folder: Path) -> list[Entry]:
    """The entries of `clicks.csv` or `clicks.json` in a dataset's folder; none without such a file.

    A CSV has the columns image, y, x and class; a JSON file is a list of objects with these keys,
    or what `gnnseg suggest` wrote. Other columns and keys do not count, and entries without a class
    wait for one. Rows and columns of pixels count from 0 in the upper left corner.

    Raises `InputError`, which names the line (in JSON the entry), for anything else.
    """
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) == 2:
        raise InputError(f"{folder}: holds clicks.csv and clicks.json: keep one")
    if not found:
        return []
    read = _read_csv if found[0].suffix == ".csv" else _read_json
    try:
        rows = list(read(found[0]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{found[0]}: is no readable list of clicks: {error}") from error
    return [_entry(where, row) for where, row in rows if row["class"] not in (None, "")]


def class_numbers(entries: list[Entry]) -> set[int]:
    """The classes of the entries where no table names them."""
    for entry in entries:
        if not (entry.label.isascii() and entry.label.isdecimal()):
            raise InputError(
                f"{entry.where}: the class {entry.label!r} is no number from 0; to use names, "
                "list them in classes.json"
            )
    return {int(entry.label) for entry in entries}


def resolve(
    entries: list[Entry], classes: ClassInfo, images: Mapping[str, Path]
) -> dict[str, tuple[Click, ...]]:
    """The clicks of each image, in the order of the file.

    Raises `InputError`, with the line, for an unknown image or class and for a click beside the
    image.
    """
    clicks: dict[str, list[Click]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if entry.image not in shapes:
            shapes[entry.image] = _shape(entry, images)
        height, width = shapes[entry.image]
        if not (0 <= entry.y < height and 0 <= entry.x < width):
            raise InputError(
                f"{entry.where}: y {entry.y}, x {entry.x} lies outside {entry.image}, which has "
                f"{height} rows and {width} columns, counted from 0"
            )
        clicks.setdefault(entry.image, []).append((entry.y, entry.x, _number(entry, classes)))
    return {image: tuple(those) for image, those in clicks.items()}


def _read_csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        header = [name.strip() for name in rows.fieldnames or ()]
        rows.fieldnames = header
        if missing := [name for name in _COLUMNS if name not in header]:
            raise InputError(
                f"{path}, line 1: lacks the column {missing[0]}: the first line must name "
                f"{', '.join(_COLUMNS)}, got {', '.join(header) or 'nothing'}"
            )
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row or any(row[name] is None for name in _COLUMNS):
                raise InputError(f"{where}: must have {len(header)} values: {', '.join(header)}")
            yield where, {name: row[name].strip() for name in _COLUMNS}


def _read_json(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path}: is no readable JSON: {error}") from error
    rows = found.get("suggestions") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise InputError(f"{path}: must be a list of objects with {', '.join(_COLUMNS)}")
    for number, row in enumerate(rows, start=1):
        where = f"{path}, entry {number}"
        if not isinstance(row, dict):
            raise InputError(f"{where}: must be an object with {', '.join(_COLUMNS)}")
        if missing := [name for name in _COLUMNS if name not in row]:
            raise InputError(f"{where}: lacks {missing[0]}: it needs {', '.join(_COLUMNS)}")
        yield where, row


def _entry(where: str, row: Mapping[str, Any]) -> Entry:
    y, x = (_pixel(where, name, row[name]) for name in ("y", "x"))
    return Entry(where, str(row["image"]), y, x, str(row["class"]))


def _pixel(where: str, name: str, value: Any) -> int:
    """The row or column that a number lies in."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not math.isfinite(number):
        raise InputError(f"{where}: {name} must be a number of pixels, got {value!r}")
    return math.floor(number)


def _shape(entry: Entry, images: Mapping[str, Path]) -> tuple[int, int]:
    from gnnseg.io import open_image

    if entry.image not in images:
        known = ", ".join(sorted(images)[:5])
        raise InputError(
            f"{entry.where}: images/ holds no {entry.image!r}; name one without its ending, such "
            f"as {known}"
        )
    image = open_image(images[entry.image])
    return image.height, image.width


def _number(entry: Entry, classes: ClassInfo) -> int:
    """The class of an entry: its name, or its number."""
    if entry.label in classes.names:
        return classes.names.index(entry.label)
    text = entry.label
    if text.isascii() and text.isdecimal() and int(text) < classes.num_classes:
        return int(text)
    raise InputError(
        f"{entry.where}: {text!r} is no class; the classes are {', '.join(classes.names)}, or "
        f"their numbers 0 to {classes.num_classes - 1}"
    )
