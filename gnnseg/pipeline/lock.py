"""One process at a time works in the folder of a run."""

from __future__ import annotations

import errno
from functools import cache
from pathlib import Path
from typing import Any

from gnnseg.errors import StateError
from gnnseg.io.atomic import disk_errors
from gnnseg.log import LOGGER

_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Why a lock cannot be had: another process holds it, or the file system knows none."""


def lock_folder(folder: Path) -> Any:
    """Hold a run's folder until the process ends; None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    with disk_errors(folder / "lock"):
        handle = (folder / "lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            if error.errno in _HELD:
                raise StateError(f"{folder}: another process is working on this output") from error
            if error.errno not in _NO_LOCKS:
                raise
            _warn_of_no_locks(folder)
            return None
    return handle


@cache
def _warn_of_no_locks(folder: Path) -> None:
    """Once a folder: a run asks for its lock again and again."""
    LOGGER.warning("%s: the file system has no locks; start no second run of this output", folder)
