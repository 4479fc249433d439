"""What a search has found so far, also on disk: images that are done are not searched again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.errors import StateError
from gnnseg.io.atomic import replacing
from gnnseg.pipeline.candidates import Pool
from gnnseg.pipeline.outlines import Outline

FORMAT_VERSION = 1
_KEY = "gnnseg.candidates"
_ANEW = "use --overwrite to start anew"

Key = tuple[int, int, int, int]
"""Number of the image, plane, row and column of the home cell."""


@dataclass
class Found:
    """The most uncertain regions of the images so far, and their outlines.

    `regions` counts all regions; `images` says for each image that is done what decided its part.
    """

    pool: Pool
    outlines: dict[Key, Outline] = field(default_factory=dict)
    regions: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)

    def has(self, number: int, about: dict[str, Any], path: Path) -> bool:
        """Whether an image is done; `StateError` where something else decided what `path` has."""
        if number >= len(self.images):
            return False
        found = self.images[number]
        different = sorted(k for k in {*found, *about} if found.get(k) != about.get(k))
        if different:
            raise _other(path, f"other settings or another input ({', '.join(different)})")
        return True

    def check_number(self, number: int, path: Path) -> None:
        """Raise `StateError` where more images than these are done."""
        if len(self.images) > number:
            raise _other(path, "more images")


def _other(path: Path, what: str) -> StateError:
    return StateError(f"{path}: an earlier search had {what}: {_ANEW}")


def save_found(found: Found, path: Path) -> None:
    """Replace the file, whole or not at all."""
    from safetensors.numpy import save

    outlines = found.outlines.items()
    places = [(*key, o.home, o.y, o.x, *_sides(o.window), len(o.bits)) for key, o in outlines]
    arrays = {name: np.ascontiguousarray(array) for name, array in vars(found.pool).items()}
    arrays["outlines"] = np.array(places, np.int64).reshape(-1, 12)
    arrays["bits"] = np.frombuffer(b"".join(o.bits for _, o in outlines), np.uint8)
    about = {"format_version": FORMAT_VERSION, "regions": found.regions, "images": found.images}
    data = save(arrays, metadata={_KEY: json.dumps(about)})
    with replacing(path) as partial:
        partial.write_bytes(data)


def load_found(path: Path) -> Found:
    """What `save_found` wrote; raises `StateError` where it is something else, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format is {about['format_version']}")  # noqa: TRY301
        pool = Pool(**{part.name: arrays[part.name] for part in fields(Pool)})
        outlines = _outlines(arrays["outlines"], arrays["bits"].tobytes())
        return Found(pool, outlines, about["regions"], about["images"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path}: is no search to go on with ({error}): {_ANEW}") from error


def _outlines(places: np.ndarray, bits: bytes) -> dict[Key, Outline]:
    found: dict[Key, Outline] = {}
    start = 0
    for image, plane, row, column, home, y, x, *sides, size in places.tolist():
        part = bits[start : start + size]
        found[image, plane, row, column] = Outline(home, y, x, Window(*sides), part)
        start += size
    return found


def _sides(window: Window) -> tuple[int, int, int, int]:
    return window.y0, window.y1, window.x0, window.x1
