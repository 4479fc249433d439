"""The files that hold the pages of a TIFF image: one, or several as OME-TIFF names them."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from gnnseg.io.file_identity import file_identity
from gnnseg.io.guard import DamagedError, regular_file

_MOST_OPEN = 64
_SHOWN = 3


@dataclass
class _OpenFile:
    """A descriptor and the size of its file; closed once nobody reads from it."""

    descriptor: int
    size: int

    @classmethod
    def of(cls, path: str) -> _OpenFile:
        size = regular_file(Path(path)).st_size
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), size)

    def __del__(self) -> None:
        os.close(self.descriptor)


class SegmentFiles:
    """The last files that were read from, by path, read by position so that threads need no lock.

    No more than `_MOST_OPEN` of them stay open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()

    def read(self, path: str, offset: int, count: int) -> bytes:
        file = self._file(path)
        if offset < 0 or offset + count > file.size:
            raise DamagedError(
                f"a strip or tile ends at byte {offset + count:,} of {file.size:,}: it is cut short"
            )
        return os.pread(file.descriptor, count, offset)

    def _file(self, path: str) -> _OpenFile:
        with self._lock:
            if path not in self._open:
                self._open[path] = _OpenFile.of(path)
            self._open.move_to_end(path)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
            return self._open[path]


def files_of(pages: Iterable[Any]) -> list[Path]:
    """The files that pages of tifffile lie in, each once."""
    paths = dict.fromkeys(page.parent.filehandle.path for page in pages if page is not None)
    return [Path(path) for path in paths]


def series_files(series: Any) -> list[Path]:
    """The files of a series; but for OME-TIFF and the like, all pages lie where the first one does.

    Of these, tifffile may list one page in place of many.
    """
    several = series.is_multifile or series.kind == "ome"
    return files_of(series if several else [series.keyframe])


def files_identity(files: Iterable[Path]) -> bytes:
    """A digest of what files hold; that of a single file is its own."""
    digests = [file_identity(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()


def check_pages(pages: list[Any], series: Any) -> None:
    """Raise DamagedError where a plane has no page, for then tifffile reads zeros."""
    lost = [number for number, page in enumerate(pages) if page is None]
    if not lost:
        return
    absent = _absent_files(series.parent)
    named = f"; there is no {', '.join(absent[:_SHOWN])}" if absent else ""
    raise DamagedError(
        f"{len(lost):,} of {len(pages):,} planes are missing, the first is plane {lost[0]:,}{named}"
    )


def _absent_files(tif: Any) -> list[str]:
    """Names of files in the OME-XML of a TIFF that are not in its folder."""
    try:
        root = ET.fromstring(tif.ome_metadata or "")  # noqa: S314 - expat limits entity expansion
    except ET.ParseError:
        return []
    folder = Path(tif.filehandle.dirname)
    named = (element.get("FileName") for element in root.iter() if element.tag.endswith("UUID"))
    return [name for name in dict.fromkeys(named) if name and not (folder / name).exists()]
