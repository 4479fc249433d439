"""What commands print: one JSON object on stdout, or a short table."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gnnseg.log import LOGGER
from gnnseg.plain import plain

SHOWN = "is_shown"
"""Attribute of log records that the person at the terminal has seen in another way."""


def emit(result: Mapping[str, Any], rows: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    """Print a result on stdout: as JSON, or `rows` of names and values."""
    if as_json:
        print(json.dumps(plain(result), allow_nan=False))  # noqa: T201
    else:
        print_pairs(rows)
    sys.stdout.flush()


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns; rows without a value are left out."""
    kept = [(name, value) for name, value in rows if value != ""]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        first, *rest = value.split("\n")
        print(f"{name:<{width}}  {first}")  # noqa: T201
        for line in rest:
            print(f"{'':<{width}}  {line}")  # noqa: T201


def cell_row(result: Mapping[str, Any]) -> tuple[str, str]:
    """The size of a cell (z, y, x) in voxels; without a value where planes are worked on.

    >>> cell_row({"cell": [2, 8, 8]})
    ('cell', '2 x 8 x 8')
    """
    return "cell", " x ".join(map(str, result.get("cell", ())))


def cost_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a run took: time, of its last part if it was interrupted, and memory.

    >>> cost_rows({"seconds": 2.34, "resumed": True, "peak_rss_bytes": 2**29})
    [('time', '2.3 s (resumed)'), ('peak memory', '512.0 MiB')]
    """
    from gnnseg.memory import format_size

    resumed = " (resumed)" if result.get("resumed") else ""
    return [
        ("time", f"{seconds(result['seconds'])}{resumed}"),
        ("peak memory", format_size(result["peak_rss_bytes"])),
    ]


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Rows in columns: the first to the left, the others to the right.

    >>> print(table(("stage", "seconds"), [("paint", "1.5")]))
    stage  seconds
    paint      1.5
    """
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def say(message: str) -> None:
    """A sentence for the person at the terminal, on stderr."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Say a warning; errors are said by who reports them."""
        if record.levelno == logging.WARNING and not hasattr(record, SHOWN):
            say(f"warning: {record.getMessage()}")


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Let the person at the terminal see the warnings that are logged inside."""
    handler = _Shown()
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)


def percent(value: float | None) -> str:
    """A share for people; a dash where there is none.

    >>> percent(0.5), percent(None)
    ('50.0 %', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def seconds(value: float) -> str:
    """A duration for people.

    >>> seconds(2.34), seconds(200), seconds(7300)
    ('2.3 s', '3 min 20 s', '2 h 1 min')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ledger_table(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """The ledger of a run."""
    from gnnseg.memory import format_size

    rows = [
        (
            name,
            f"{stage['seconds']:.1f}",
            f"{stage['cpu_seconds']:.1f}",
            format_size(stage["peak_rss_bytes"]),
            "-" if stage["operations"] is None else f"{stage['operations']:.3g}",
        )
        for name, stage in stages.items()
    ]
    return table(("stage", "seconds", "CPU seconds", "peak memory", "operations"), rows)
