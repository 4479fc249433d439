"""From what a command raises to what the shell gets: one line on stderr and an exit code."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import shlex
import sys
import time
import traceback
import typing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gnnseg.cli.logfile import log_to
from gnnseg.cli.options import COMMON_OPTIONS, OptionTable
from gnnseg.cli.output import say, warnings_shown
from gnnseg.cli.terminate import termination_as_interrupt
from gnnseg.errors import GnnsegError
from gnnseg.log import LOGGER
from gnnseg.memory import format_size, is_out_of_memory, peak_rss

BUG, MEMORY, DISK, INTERRUPTED = 1, 5, 6, 130
BROKEN_PIPE, TERMINATED = 128 + 13, 128 + 15
"""What a shell shows for a program that SIGPIPE or SIGTERM ended."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OUR_FAULT = (errno.EBADF, errno.EFAULT, errno.EINVAL)
"""What the system says of a program that asks for nonsense; all else is about disks and files."""
TRACEBACK = "GNNSEG_TRACEBACK"


def guarded(
    command: Callable[..., None],
    *,
    resumes: bool = False,
    anew: str = "",
    options: OptionTable = (),
) -> Callable[..., None]:
    """A command that also takes `options`, -v and -q, and whose errors become exit codes.

    `resumes` tells that the same command goes on where an interrupted one stopped; where there is
    an argument `anew` with which it starts anew, without that.
    """
    parameters = _parameters(command, (*options, *COMMON_OPTIONS))

    @functools.wraps(command)
    def run(
        *,
        verbose: bool = False,
        quiet: bool = False,
        log_file: Path | None = None,
        **arguments: Any,
    ) -> None:
        set_verbosity(verbose=verbose, quiet=quiet)
        try:
            with warnings_shown(), log_to(log_file):
                again = _again(anew if arguments.get(anew) else "") if resumes else ""
                code = _run(partial(command, **arguments), again)
        except GnnsegError as error:
            code = report(error)
        if code:
            raise SystemExit(code)

    del run.__wrapped__  # type: ignore[attr-defined]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _again(without: str) -> str:
    """What goes on from where a command was interrupted."""
    left_out = f" without --{without}" if without else ""
    return f"the same command{left_out} goes on from here"


def _run(command: Callable[[], None], again: str) -> int:
    """Run a command and log that; the exit code."""
    from gnnseg import __version__

    started = time.perf_counter()
    LOGGER.info("gnnseg %s: %s", __version__, shlex.join(sys.argv[1:]))
    code = 0
    with termination_as_interrupt() as termination:
        try:
            command()
        except BaseException as error:  # noqa: BLE001
            code = report(error, again)
    if code == INTERRUPTED and termination.came:
        code = TERMINATED
    seconds, peak = time.perf_counter() - started, format_size(peak_rss())
    LOGGER.info("exit code %d after %.2f s, peak memory %s", code, seconds, peak)
    return code


def _parameters(command: Callable[..., None], options: OptionTable) -> list[inspect.Parameter]:
    """Those of a command's own and those that are added; `**options` takes up the latter."""
    hints = typing.get_type_hints(command, include_extras=True)
    keyword, rest = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
    own = [p for p in inspect.signature(command).parameters.values() if p.kind != rest]
    extra = [
        inspect.Parameter(name, keyword, default=default, annotation=annotation)
        for name, annotation, default in options
    ]
    return [p.replace(kind=keyword, annotation=hints[p.name]) for p in own] + extra


def set_verbosity(*, verbose: bool, quiet: bool) -> None:
    """Show tracebacks, more figures and lines of progress, or nothing but results and errors.

    Without either, progress is shown on a terminal, and a pipe gets nothing of it.
    """
    from gnnseg.progress import SHOW

    if verbose:
        os.environ[TRACEBACK] = "1"
    if quiet:
        SHOW.set("nothing")
    elif verbose and SHOW.get() == "bars":
        SHOW.set("bars or lines")


def is_verbose() -> bool:
    """Whether tracebacks and more figures are asked for."""
    return os.environ.get(TRACEBACK, "") not in ("", "0")


def is_quiet() -> bool:
    """Whether nothing but results and errors is wanted."""
    from gnnseg.progress import SHOW

    return SHOW.get() == "nothing"


def report(error: BaseException, again: str = "") -> int:
    """Say what went wrong, and what goes on after an interrupt; the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BrokenPipeError):
        # Python flushes stdout once more at the end; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        message = f"interrupted: {again}" if again else "interrupted"
        say(message)
        LOGGER.error("%s", message)
        return INTERRUPTED
    if is_verbose():
        traceback.print_exception(error)
    code, message = _explain(error)
    say(f"error: {message}")
    LOGGER.error("%s", message, exc_info=None if isinstance(error, GnnsegError) else error)
    return code


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, GnnsegError):
        return error.exit_code, str(error)
    if is_out_of_memory(error) or _number(error) == errno.ENOMEM:
        return MEMORY, f"out of memory ({error}): use a smaller --memory or fewer --workers"
    if _number(error) in _FULL:
        return DISK, f"{error}: free some space and run the same command again"
    if _number(error) not in (None, *_OUR_FAULT):
        return DISK, f"the system says: {error}"
    how = "" if is_verbose() else f" (run with -v or {TRACEBACK}=1 for the traceback)"
    text = " ".join(str(error).split())
    return BUG, f"unexpected {type(error).__name__}: {text}{how}; this is a bug in gnnseg"


def _number(error: BaseException) -> int | None:
    """The number by which the system tells of an error of files; None for any other error."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return error.errno
    return None
