"""Run independent block tasks on threads, a few at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from gnnseg.errors import UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")


def default_workers() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int = 1,
    done: Callable[[Task, Result], None] = lambda _task, _result: None,
    stop: threading.Event | None = None,
) -> None:
    """Call `work` on each task on `workers` threads; `done` runs here, in the order of completion.

    At most `workers` tasks are under way, so memory is bounded. The first error stops the rest and
    is raised; tasks under way are waited for, and may end early once `stop` is set.
    """
    if workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    if workers == 1:
        for task in tasks:
            done(task, work(task))
        return
    queue = iter(tasks)
    with ThreadPoolExecutor(workers, thread_name_prefix="gnnseg") as pool:
        pending: dict[Future[Result], Task] = {}
        try:
            pending = {pool.submit(work, task): task for task in islice(queue, workers)}
            while pending:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    task = pending.pop(future)
                    done(task, future.result())
                    pending.update({pool.submit(work, task): task for task in islice(queue, 1)})
        except BaseException:
            for future in pending:
                future.cancel()
            if stop is not None:
                stop.set()
            raise


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """One torch thread a block inside: the same bits everywhere."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
