"""SIGTERM, with which schedulers and `kill` end a program: it stops work as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Termination:
    """Whether SIGTERM came."""

    came: bool = False


@contextmanager
def termination_as_interrupt() -> Iterator[Termination]:
    """Let SIGTERM be what Ctrl-C is in the body, so that work cleans up, or leaves a checkpoint.

    Where Ctrl-C is ignored, as in what a script starts in the background, SIGTERM still interrupts.
    In a thread, or where the caller handles the signal, nothing changes.
    """
    termination = Termination()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield termination
        return

    def interrupt(_number: int, frame: FrameType | None) -> None:
        termination.came = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)
