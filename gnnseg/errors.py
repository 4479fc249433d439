"""Errors that say what is wrong, what was got, and what to do.

Each class inherits the builtin a caller would expect to catch, and carries the exit code of the
command line.
"""

from __future__ import annotations


class GnnsegError(Exception):
    """Base of every error that gnnseg raises on purpose; `exit_code` is what the CLI returns."""

    exit_code = 1


class UsageError(GnnsegError, ValueError):
    """An argument or a setting is wrong."""

    exit_code = 2


class InputError(GnnsegError, ValueError):
    """An input file, array or dataset cannot be used."""

    exit_code = 3


class MissingInputError(InputError, FileNotFoundError):
    """An input path does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StateError(GnnsegError, RuntimeError):
    """The output is in a state that forbids the work: it exists, is incomplete or is locked."""

    exit_code = 4


class MemoryBudgetError(GnnsegError, MemoryError):
    """The work cannot fit in the memory budget; raised before any work starts."""

    exit_code = 5


class KilledError(GnnsegError, MemoryError):
    """A process of the work was ended by SIGKILL, as systems do for want of memory."""

    exit_code = 5


class DiskError(GnnsegError, OSError):
    """The disk is full or refuses to be written."""

    exit_code = 6

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingDependencyError(GnnsegError, ImportError):
    """An optional package is absent; the message names the extra that brings it."""

    exit_code = 2
