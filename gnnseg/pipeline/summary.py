"""A table of classes: pixels, share and physical area."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.io.atomic import replacing

if TYPE_CHECKING:
    from gnnseg.io import ClassInfo, ImageSource

_COLUMNS = ("class", "pixels", "share", "area", "unit")


def class_table(
    painted: Iterable[dict[str, Any]], classes: ClassInfo, image: ImageSource
) -> list[dict[str, Any]]:
    """One row a class, then one for unlabelled pixels; `area` is in square `unit`, if known."""
    totals, unlabelled = [0] * classes.num_classes, 0
    for result in painted:
        totals = [a + b for a, b in zip(totals, result["pixels"], strict=True)]
        unlabelled += result["unlabelled"]
    labelled = max(1, sum(totals))
    size = image.pixel_size
    each = None if size is None else size[0] * size[1]
    rows: list[dict[str, Any]] = [
        {"class": name, "pixels": pixels, "share": pixels / labelled}
        for name, pixels in zip(classes.names, totals, strict=True)
    ]
    rows.append({"class": "(unlabelled)", "pixels": unlabelled, "share": None})
    for row in rows:
        row["area"] = None if each is None else row["pixels"] * each
        row["unit"] = None if each is None else f"{image.unit or 'pixel'}^2"
    return rows


def write_class_table(rows: list[dict[str, Any]], out: Path) -> None:
    """Write `<out>.classes.csv` and `<out>.classes.json`."""
    with replacing(out.with_name(out.name + ".classes.json")) as partial:
        partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    with (
        replacing(out.with_name(out.name + ".classes.csv")) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
