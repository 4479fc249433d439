"""Which blocks of a phase are done: a line each on disk, a bit each in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from gnnseg.io.atomic import disk_errors, replacing
from gnnseg.pipeline.tiling import Numbered, Tiles

SUFFIX = ".jsonl"
_NOT_FOLDED = ("block", "crc32")


@dataclass
class Marks:
    """A file of lines that is only appended to: the tiling, then every finished block.

    A line that a kill cut short is dropped when the file is opened again. Of what the blocks
    returned, `totals` keeps sums, and the highest of what begins with `max_`.
    """

    path: Path
    key: list[int]
    size: int
    count: int = 0
    totals: dict[str, Any] = field(default_factory=dict)
    _bits: bytearray = field(default_factory=bytearray)
    _file: FileIO | None = None

    @classmethod
    def open(cls, path: Path, tiling: Tiles[Numbered]) -> Marks:
        """The marks of a phase, ready for more.

        Marks of blocks of another size are dropped, unless these were all done.
        """
        marks = cls.read(path)
        if marks is None or not marks.fit(tiling):
            with replacing(path) as partial:
                partial.write_bytes(_line({"tiling": tiling.key, "blocks": tiling.count}))
            marks = cls(path, tiling.key, tiling.count)
        with disk_errors(path):
            marks._file = FileIO(path, "a")
        return marks

    @classmethod
    def read(cls, path: Path) -> Marks | None:
        """The marks in a file, cut to its whole lines; None where there are none."""
        if not path.exists():
            return None
        with path.open("rb") as file:
            lines = _whole_lines(file)
            head, end = next(lines, ({}, 0))
            if not {"tiling", "blocks"} <= set(head):
                return None
            marks = cls(path, head["tiling"], head["blocks"])
            for content, position in lines:
                marks._note(content["block"], content)
                end = position
        if path.stat().st_size > end:
            with disk_errors(path), path.open("r+b") as file:
                file.truncate(end)
        return marks

    @property
    def complete(self) -> bool:
        return self.count == self.size

    def __contains__(self, index: object) -> bool:
        byte, bit = divmod(index, 8) if isinstance(index, int) else (0, 0)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)

    def add(self, index: int, result: Mapping[str, Any]) -> None:
        """Mark a block; it is done from the moment when the line is whole."""
        line = _line({"block": index, **result})
        with disk_errors(self.path):
            assert self._file is not None
            if self._file.write(line) != len(line):
                raise OSError("the disk is full")
        self._note(index, result)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def fit(self, tiling: Tiles[Numbered]) -> bool:
        """Whether what is marked is done for blocks of a tiling too."""
        *area, size = tiling.key
        return self.key[:-1] == area and (self.key[-1] == size or self.complete)

    def _note(self, index: int, result: Mapping[str, Any]) -> None:
        if index in self:
            return
        if not self._bits:
            self._bits = bytearray(-(-self.size // 8))
        self._bits[index // 8] |= 1 << index % 8
        self.count += 1
        fold(self.totals, result)


def fold(totals: dict[str, Any], result: Mapping[str, Any]) -> None:
    """Add what a block returned to the totals, in place.

    >>> totals = {}
    >>> fold(totals, {"pixels": [1, 2], "max_density": 3.0})
    >>> fold(totals, {"pixels": [10, 0], "max_density": 2.0})
    >>> totals
    {'pixels': [11, 2], 'max_density': 3.0}
    """
    for name, value in result.items():
        if name in _NOT_FOLDED:
            continue
        if name not in totals:
            totals[name] = value
        elif name.startswith("max_"):
            totals[name] = max(totals[name], value)
        elif isinstance(value, list):
            totals[name] = [a + b for a, b in zip(totals[name], value, strict=True)]
        else:
            totals[name] += value


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _whole_lines(file: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Lines and where they end, up to the first that is not whole."""
    position = 0
    for line in file:
        try:
            content = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(content, dict):
            return
        position += len(line)
        yield content, position
