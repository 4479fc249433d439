"""Region graphs of training images on disk, so that superpixels are made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache as memoised
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from gnnseg.errors import UsageError
from gnnseg.io.atomic import disk_errors
from gnnseg.log import LOGGER

FORMAT_VERSION = 1
_KEY = "gnnseg.cache"
_MAKERS = ("kernels", "features", "graph", "io", "superpixels")
"""Code that decides what an entry holds, with cells and what varies and labels images."""
_OTHERS = (
    "blocks.py",
    *(f"training/{name}.py" for name in ("augment", "clicks", "geometry", "light", "regions")),
)
_LIBRARIES = ("imagecodecs", "numba", "numpy", "pillow", "scikit-image", "scipy", "tifffile")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError)

Arrays = dict[str, np.ndarray]


class ArrayCache:
    """Named arrays in a folder, found by all that they were made of.

    An entry is a file of its own, compressed (LZ4), written whole or not at all; one that is
    damaged, or not what its name says, is made anew. Threads and processes may share the folder.

    Raises `UsageError` if `folder` is something else than a folder.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is no folder; name one for the cache")
        self.folder = folder

    def get(self, about: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """The arrays that follow from `about`, which JSON must know; `make` makes absent ones."""
        key = _digest({"format": FORMAT_VERSION, "made_by": _made_by(), **about})
        path = self.folder / key[:2] / f"{key}.safetensors"
        found = self._read(path, key)
        if found is None:
            found = make()
            self._write(path, key, found)
        return found

    def _read(self, path: Path, key: str) -> Arrays | None:
        if not path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})[_KEY])
                return _decode(key, header, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, *_UNREADABLE) as error:
            LOGGER.warning("%s: is made anew: %s", path, error)
            return None

    def _write(self, path: Path, key: str, arrays: Arrays) -> None:
        from safetensors.numpy import save

        header, blobs = _encode(key, arrays)
        data = save(blobs, metadata={_KEY: json.dumps(header)})
        partial = path.with_name(f"{uuid4().hex}.partial")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(data)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)


def _codec() -> Any:
    from numcodecs import Blosc

    return Blosc("lz4", clevel=3, shuffle=Blosc.SHUFFLE)


def _encode(key: str, arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    codec = _codec()
    blobs = {
        name: np.frombuffer(codec.encode(np.ascontiguousarray(array)), np.uint8)
        for name, array in arrays.items()
    }
    shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    return {"key": key, "arrays": shapes, "sha256": _checksum(blobs)}, blobs


def _decode(key: str, header: Any, blobs: Arrays) -> Arrays:
    if header["key"] != key or header["sha256"] != _checksum(blobs):
        raise ValueError("its content is not what it was made of")
    codec, arrays = _codec(), {}
    for name, (dtype, shape) in header["arrays"].items():
        arrays[name] = np.empty(shape, np.dtype(dtype))
        if arrays[name].size:
            codec.decode(blobs[name], out=arrays[name])
    return arrays


def _checksum(blobs: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(blobs):
        digest.update(f"{name} {blobs[name].size} ".encode())
        digest.update(blobs[name].data)
    return digest.hexdigest()


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


@memoised
def _made_by() -> str:
    """A hash of the code that makes entries, and the versions of what it calls."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(repr([version(name) for name in _LIBRARIES]).encode())
    for path in _code(root):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _code(root: Path) -> list[Path]:
    """The files that decide what an entry holds."""
    files = [path for part in _MAKERS for path in sorted((root / part).glob("*.py"))]
    return files + [root / name for name in _OTHERS]
