"""Progress of long work: a bar with rate, time left and memory on a terminal, lines in a pipe."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Literal, Protocol

from gnnseg.log import LOGGER, logged
from gnnseg.memory import format_size, rss

LINE_SECONDS = 10.0
"""A line this often where there is no terminal, and in the log."""

SHOW: ContextVar[Literal["bars", "bars or lines", "nothing"]] = ContextVar("show", default="bars")
"""What is shown on stderr: bars if it is a terminal, otherwise lines or nothing."""


class Bar(Protocol):
    """What long work reports to."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count work that is done, and say how it goes."""
        ...


class _Silent:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Stay quiet."""


class _Lines:
    def __init__(self, name: str, total: float, write: Callable[[str], None]) -> None:
        self._name, self._total, self._done, self._write = name, total, 0.0, write
        self._last = time.monotonic()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Write a line if the last one is long ago."""
        self._done += amount
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        line = f"{self._name}: {self._done:g} of {self._total:g}, {format_size(rss())} {note}"
        self._write(line.rstrip())


class _Both:
    def __init__(self, *bars: Bar) -> None:
        self._bars = bars

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Tell each of them."""
        for bar in self._bars:
            bar.advance(amount, note)


class _Rich:
    def __init__(self, progress: object, task: object) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Move the bar."""
        self._progress.update(  # type: ignore[attr-defined]
            self._task, advance=amount, note=note, memory=format_size(rss())
        )


@contextmanager
def progress_bar(name: str, total: float, *, enabled: bool | None = None) -> Iterator[Bar]:
    """A bar on stderr if it is a terminal (or `enabled` says so), otherwise what `SHOW` says.

    The work is logged as a stage, with a line now and then.

    >>> with progress_bar("blocks", 3) as bar:
    ...     bar.advance()
    """
    with logged(name), _shown(name, total, enabled=enabled) as bar:
        listens = LOGGER.isEnabledFor(logging.INFO)
        yield _Both(bar, _Lines(name, total, LOGGER.info)) if listens else bar


@contextmanager
def _shown(name: str, total: float, *, enabled: bool | None) -> Iterator[Bar]:
    show = SHOW.get()
    if not (show != "nothing" and sys.stderr.isatty() if enabled is None else enabled):
        write = partial(print, file=sys.stderr, flush=True)
        yield _Lines(name, total, write) if show == "bars or lines" else _Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[memory]} {task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Rich(progress, progress.add_task(name, total=total, note="", memory=""))
