"""What every reader of untrusted files shares: limits, and one kind of error."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gnnseg.errors import GnnsegError, InputError, MissingInputError

MAX_CHUNK_BYTES = 512 * 2**20
"""The largest strip, tile or chunk, once decoded, that is read."""
MAX_CHANNELS = 64


_STRUCTURAL = (
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    struct.error,
    AssertionError,
)


class DamagedError(ValueError):
    """Data contradict what the file says of them; `reading` adds the name of the file."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn any error of a parser or decoder into an InputError: one line that names the file."""
    try:
        yield
    except (GnnsegError, KeyboardInterrupt):
        raise
    except DamagedError as error:
        raise InputError(f"{name}: is damaged: {error}") from error
    except MemoryError as error:
        raise InputError(f"{name}: its decoder asked for more memory than there is") from error
    except RecursionError as error:
        raise InputError(f"{name}: its metadata are nested too deeply") from error
    except _STRUCTURAL as error:
        raise InputError(f"{name}: its structure is damaged ({reason(error)})") from error
    except Exception as error:
        raise InputError(f"{name}: cannot be read: {reason(error)}") from error


def reason(error: BaseException, limit: int = 200) -> str:
    """One short line that says what `error` said."""
    text = " ".join(str(error).split())
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def regular_file(path: Path) -> os.stat_result:
    """The stat of a readable, non-empty regular file; raises InputError for anything else."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is no regular file (a device, pipe or socket)")
    if status.st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes)")
    return status


def check_chunk_bytes(name: str, nbytes: int, what: str) -> None:
    """Raise InputError when one `what` takes more than `MAX_CHUNK_BYTES` once decoded."""
    if nbytes > MAX_CHUNK_BYTES:
        raise InputError(
            f"{name}: one {what} takes {nbytes / 2**20:,.0f} MiB and at most "
            f"{MAX_CHUNK_BYTES // 2**20} MiB is decoded at once; rewrite it with smaller tiles"
        )
