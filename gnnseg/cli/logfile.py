"""The file of `--log-file`: a line with a time stamp for every event of a command."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gnnseg.cli.output import SHOWN
from gnnseg.errors import DiskError, StateError

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ")


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on without a line: a full disk must not end a run that writes elsewhere."""


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Append what is logged inside, and Python's warnings, to a file.

    Raises
    ------
    StateError
        The file exists and is no log.
    DiskError
        It cannot be written.
    """
    if path is None:
        yield
        return
    handler = _open(path)
    logger = logging.getLogger("gnnseg")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with _warnings_logged(logger):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _open(path: Path) -> logging.Handler:
    try:
        if path.exists():
            _check_is_log(path)
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DiskError(f"--log-file {path}: cannot be written: {reason}") from error
    lines = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(lines)
    return handler


def _check_is_log(path: Path) -> None:
    """A slip such as `--log-file slide.tif` must not harm the slide."""
    if path.is_dir():
        raise StateError(f"--log-file {path}: is a folder; name a file")
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(32)
    if start and not _STAMP.match(start):
        raise StateError(f"--log-file {path}: exists and is no log of gnnseg; choose another name")


@contextmanager
def _warnings_logged(logger: logging.Logger) -> Iterator[None]:
    """Log Python's warnings too; they are shown as before."""
    show = warnings.showwarning

    def both(message: Any, category: Any, *where: Any, **more: Any) -> None:
        text = " ".join(str(message).split())
        logger.warning("%s: %s", category.__name__, text, extra={SHOWN: True})
        show(message, category, *where, **more)

    warnings.showwarning = both
    try:
        yield
    finally:
        warnings.showwarning = show
