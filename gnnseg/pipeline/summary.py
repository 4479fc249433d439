"""A table of classes: pixels, share and physical area."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.io.atomic import replacing

if TYPE_CHECKING:
    from gnnseg.io import ClassInfo, ImageSource

_COLUMNS = ("class", "pixels", "share", "area", "unit")


def class_table(
    painted: dict[str, Any], classes: ClassInfo, image: ImageSource
) -> list[dict[str, Any]]:
    """One row a class, then one for unlabelled pixels; `area` is in square `unit`, if known.

    `painted` has the `pixels` of each class and those `unlabelled`.
    """
    totals: list[int] = painted["pixels"]
    labelled = max(1, sum(totals))
    size = image.pixel_size
    each = None if size is None else size[0] * size[1]
    rows: list[dict[str, Any]] = [
        {"class": name, "pixels": pixels, "share": pixels / labelled}
        for name, pixels in zip(classes.names, totals, strict=True)
    ]
    rows.append({"class": "(unlabelled)", "pixels": painted["unlabelled"], "share": None})
    for row in rows:
        row["area"] = None if each is None else row["pixels"] * each
        row["unit"] = None if each is None else f"{image.unit or 'pixel'}^2"
    return rows


def table_paths(out: Path) -> tuple[Path, Path]:
    """Where the table of an output goes, as JSON and as CSV."""
    json_path, csv_path = (out.with_name(f"{out.name}.classes.{kind}") for kind in ("json", "csv"))
    return json_path, csv_path


def write_class_table(rows: list[dict[str, Any]], out: Path) -> None:
    """Write `<out>.classes.csv` and `<out>.classes.json`."""
    json_path, csv_path = table_paths(out)
    with replacing(json_path) as partial:
        partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    with (
        replacing(csv_path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
