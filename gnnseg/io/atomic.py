"""Outputs that are either whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gnnseg.errors import DiskError, GnnsegError, StateError


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn an OSError of the body into a DiskError that names `path`."""
    try:
        yield
    except GnnsegError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise DiskError(f"{path}: cannot be written: {reason}") from error


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a path `<path>.partial` to write to, and move it to `path` when the body succeeds.

    Raises StateError when `path` exists and `overwrite` is false, or is no regular file, and
    DiskError when the disk refuses.
    """
    path = Path(path)
    check_replaceable(path, overwrite=overwrite)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with disk_errors(path):
            partial.unlink(missing_ok=True)
            yield partial
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Raise StateError when the file `path` must not be written."""
    if not path.parent.is_dir():
        raise DiskError(f"{path}: the folder {path.parent} does not exist; create it first")
    check_regular(path)
    if os.path.lexists(path) and not overwrite:
        raise StateError(f"{path}: exists; choose another name or allow overwriting")


def check_regular(path: Path) -> None:
    """Raise StateError where a file is to be written and a link, a folder or the like lies."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise StateError(f"{path}: exists and is no regular file; choose another name")


def check_leads_somewhere(path: Path) -> None:
    """Raise StateError for a link to what does not exist: nothing can be made in its place."""
    if os.path.lexists(path) and not path.exists():
        raise StateError(f"{path}: is a link that leads nowhere; remove it or choose another name")
