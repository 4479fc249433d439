"""The folder of a comparison: who may write to it, and which results are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gnnseg.compare.cells import VGG16, Cell, Fingerprints
from gnnseg.errors import InputError, StateError
from gnnseg.io.atomic import disk_errors, replacing
from gnnseg.plain import plain

FORMAT_VERSION = 1
KIND = "comparison"
MARKER = "comparison.json"
_REQUIRED = {"cell", "kind", "configuration", "status", "machine"}
PARTS = ("cells", "models", "images", "pictures", "logs", "work")


@dataclass(frozen=True)
class Folder:
    """Where a comparison keeps its results; `cells/` has one JSON file a cell."""

    path: Path

    def claim(self) -> None:
        """Make the folder, or take over an earlier comparison's, of which nothing changes.

        Raises `StateError` where it is something else, or of another format.
        """
        path, about = self.path, self.check_free()
        with disk_errors(path):
            for part in PARTS:
                (path / part).mkdir(parents=True, exist_ok=True)
            if not about:
                write_json(path / MARKER, {"format_version": FORMAT_VERSION, "kind": KIND})

    def check_free(self) -> dict[str, Any]:
        """What the folder says of itself; raises `StateError` where it is no comparison's."""
        path = self.path
        if path.exists() and not path.is_dir():
            raise StateError(f"{path}: exists and is no folder; choose another one with --out")
        about = read_json(path / MARKER) or {}
        if path.is_dir() and any(path.iterdir()) and about.get("kind") != KIND:
            raise StateError(
                f"{path}: exists and is no earlier comparison; choose another folder with --out"
            )
        if about and about.get("format_version") != FORMAT_VERSION:
            raise StateError(
                f"{path}: is a comparison of the format {about.get('format_version')} and this "
                f"version goes on from {FORMAT_VERSION}; choose another folder with --out"
            )
        return about

    def keep(self, config: Mapping[str, Any], data: Fingerprints) -> None:
        """Say what the folder's comparison is, and of which images."""
        about = {"format_version": FORMAT_VERSION, "kind": KIND}
        write_json(self.path / MARKER, {**about, "configuration": config, "data": data})

    def check(self, cells: Iterable[Cell]) -> None:
        """Raise `StateError` for a result of a cell's name with other settings or images."""
        for cell in cells:
            found = self.read(cell.name)
            if found is not None and (what := _difference(found, cell)):
                raise StateError(
                    f"{self.path}: has a result of {cell.name} with other {what}; choose another "
                    "folder with --out, or --overwrite to replace such results"
                )

    def configuration(self) -> dict[str, Any]:
        """What the folder's comparison was; raises `InputError` where it is none."""
        about = read_json(self.path / MARKER)
        if about is None or about.get("kind") != KIND:
            raise InputError(f"{self.path}: is no folder of a comparison: it has no {MARKER}")
        if about.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"{self.path}: has the format {about.get('format_version')} and this version "
                f"reads {FORMAT_VERSION}"
            )
        configuration: dict[str, Any] | None = about.get("configuration")
        if configuration is None:
            raise InputError(f"{self.path}: its comparison has not begun")
        return configuration

    def fingerprints(self) -> Fingerprints:
        """Those of the images that the folder's comparison is of, as far as it tells."""
        found: Fingerprints = (read_json(self.path / MARKER) or {}).get("data") or {}
        return found

    def read(self, name: str) -> dict[str, Any] | None:
        """The result of a cell, None where there is none that is whole."""
        found = read_json(self.path / "cells" / f"{name}.json")
        if found is None or found.get("format_version") != FORMAT_VERSION:
            return None
        return found if found.keys() >= _REQUIRED else None

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Keep the result of a cell, whole or not at all."""
        about = {"format_version": FORMAT_VERSION, "cell": name, **record}
        write_json(self.path / "cells" / f"{name}.json", about)

    def forget(self, name: str) -> None:
        """Let there be no result of a cell."""
        path = self.path / "cells" / f"{name}.json"
        with disk_errors(path):
            path.unlink(missing_ok=True)

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """The result of these very settings, images, and model that is there; None without."""
        found = self.read(cell.name)
        if found is None or _difference(found, cell):
            return None
        trained = None if cell.needs is None else self.read(cell.needs)
        outdated = trained is not None and trained.get("model_id") != found.get("model_id")
        return None if outdated and found["status"] == "done" else found

    def is_done(self, cell: Cell, *, retry: bool = False) -> bool:
        """Whether there is a result, with what it made; with `retry`, of what failed there is none.

        What was refused counts as done: it would be refused again.
        """
        found = self.result(cell)
        if found is None or found["status"] != "done":
            return found is not None and (found["status"] == "refused" or not retry)
        made = {"train": self.model, "image": self.image}.get(cell.kind)
        return made is None or made(cell).exists()

    def model(self, cell: Cell) -> Path:
        """The model that a cell makes or uses."""
        name = (cell.needs or cell.name).removeprefix("train-")
        return self.path / "models" / f"{name}.safetensors"

    def checkpoint(self, cell: Cell) -> Path:
        """Of a training by this version with these settings and images: no other may go on."""
        about = [version("gnnseg"), plain(cell.configuration), cell.data]
        text = json.dumps(about, sort_keys=True)
        mark = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self.model(cell).with_suffix(f".{mark}.checkpoint")

    def image(self, cell: Cell) -> Path:
        """The large image that a cell makes or segments."""
        about = cell.configuration
        return self.path / "images" / f"{about['dataset']['name']}-{about['size']}.zarr"

    def log(self, cell: Cell) -> Path:
        return self.path / "logs" / f"{cell.name}.log"


def _difference(found: Mapping[str, Any], cell: Cell) -> str:
    """What of a cell is not that of a result of its name; nothing where all is."""
    if found["configuration"] != plain(cell.configuration):
        return "settings"
    before = found.get("data", {})  # results of earlier versions do not tell
    changed = [split for split, now in cell.data.items() if before.get(split, now) != now]
    if changed == [VGG16]:
        return "weights of VGG-16"
    name = cell.configuration["dataset"]["name"]
    return f"images or labels ({name}: {', '.join(changed)})" if changed else ""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    with replacing(path) as partial:
        text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a JSON file; None where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
