"""Progress of long work: a bar with rate, time left and memory on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from gnnseg.memory import format_size, rss


class Bar(Protocol):
    """What long work reports to."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count work that is done, and say how it goes."""
        ...


class _Silent:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Stay quiet."""


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
    """A bar on stderr if it is a terminal (or `enabled` says so).

    >>> with progress_bar("blocks", 3) as bar:
    ...     bar.advance()
    """
    if not (sys.stderr.isatty() if enabled is None else enabled):
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[memory]} {task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Rich(progress, progress.add_task(name, total=total, note="", memory=""))
