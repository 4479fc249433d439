"""Tasks on threads."""

from __future__ import annotations

import threading
import time

import pytest

from gnnseg.errors import UsageError
from gnnseg.execution import default_workers, run_tasks


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_task_is_done_once_on_the_calling_thread(workers):
    results, threads = {}, set()

    def done(task, result):
        assert task not in results
        results[task] = result
        threads.add(threading.get_ident())

    run_tasks(lambda n: n * n, range(50), workers=workers, done=done)
    assert results == {n: n * n for n in range(50)}
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_tasks_are_drawn_than_workers(workers):
    under_way, most = 0, 0

    def tasks():
        nonlocal under_way, most
        for n in range(30):
            under_way += 1
            most = max(most, under_way)
            yield n

    def done(_task, _result):
        nonlocal under_way
        under_way -= 1

    run_tasks(lambda _: time.sleep(0.001), tasks(), workers=workers, done=done)
    assert most <= workers


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_stops_the_rest(workers):
    started = []

    def work(n):
        started.append(n)
        if n == 3:
            raise KeyError(n)

    with pytest.raises(KeyError):
        run_tasks(work, range(1000), workers=workers)
    assert len(started) < 20


def test_an_error_in_done_is_raised():
    def done(_task, _result):
        raise KeyError("done")

    with pytest.raises(KeyError):
        run_tasks(lambda n: n, range(10), workers=2, done=done)


def test_no_tasks_are_no_work():
    run_tasks(lambda n: n, [], workers=2)


def test_workers_must_be_positive():
    with pytest.raises(UsageError, match="workers"):
        run_tasks(lambda n: n, [1], workers=0)
    assert default_workers() >= 1
