"""Events of long work, by the standard `logging` module under the name "gnnseg"."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gnnseg.memory import format_size, peak_rss

LOGGER = logging.getLogger("gnnseg")
LOGGER.addHandler(logging.NullHandler())

_STAGE: ContextVar[str] = ContextVar("stage", default="")


@contextmanager
def logged(stage: str) -> Iterator[None]:
    """Log the start and the end of a stage; inside a stage of the same name, nothing.

    The peak is the process's so far.

    >>> with logged("paint"):
    ...     pass
    """
    if stage == _STAGE.get():
        yield
        return
    token, started = _STAGE.set(stage), time.perf_counter()
    LOGGER.info("%s: started", stage)
    how = "stopped"
    try:
        yield
        how = "ended"
    finally:
        _STAGE.reset(token)
        seconds, peak = time.perf_counter() - started, format_size(peak_rss())
        LOGGER.info("%s: %s after %.2f s, peak memory %s", stage, how, seconds, peak)
