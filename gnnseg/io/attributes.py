"""The small `gnnseg` attribute that every output of ours carries, read without zarr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_MAX_BYTES = 64 * 2**20


def gnnseg_attributes(path: Path) -> dict[str, Any] | None:
    """The `gnnseg` attributes of the Zarr group at `path`; None where there are none."""
    for name in ("zarr.json", ".zattrs"):
        data = _load(path / name)
        attributes = data.get("attributes") if name == "zarr.json" else data
        about = attributes.get("gnnseg") if isinstance(attributes, dict) else None
        if isinstance(about, dict):
            return about
    return None


def _load(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
