"""Training on several devices: a process each, and one more that looks after them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import distributed, multiprocessing

from gnnseg.errors import GnnsegError, KilledError, UsageError
from gnnseg.ledger import Ledger
from gnnseg.log import LOGGER
from gnnseg.memory import is_out_of_memory
from gnnseg.training.interrupt import Interrupt, held_interrupt
from gnnseg.training.loop import pick_device
from gnnseg.training.packing import Packed, pack
from gnnseg.training.ranks import Connected
from gnnseg.training.work import Work

if TYPE_CHECKING:
    from gnnseg.training.history import History

EPOCH, WARNED, DONE, STOPPED, FAILED = "epoch", "warned", "done", "stopped", "failed"
_POLL, _GRACE = 0.5, 2.0
"""Seconds between looks at the processes, and to wait for others after a failure."""


@dataclass(frozen=True)
class _Job:
    """What every process is given: work without its model and data, and what these are made of.

    `threads` are those of PyTorch in each process on the CPU. Process 0 keeps a ledger if the work
    is `measured`.
    """

    work: Work
    model: Callable[..., Any]
    about: dict[str, Any]
    data: Packed
    threads: int
    folder: Path
    measured: bool

    @property
    def size(self) -> int:
        return self.work.config.devices

    def unpack(self) -> Work:
        """The whole work."""
        train, val, weights = self.data.unpack()
        model = self.model(**self.about)
        model.network.load_state_dict(weights)
        return replace(self.work, model=model, train=train, val=val)


@dataclass(frozen=True)
class _Failure:
    """What ended a process, and when."""

    seconds: float
    kind: type[Exception]
    message: str
    trace: str

    @classmethod
    def of(cls, error: BaseException, rank: int, size: int) -> _Failure:
        """Errors with a meaning keep it; others are told as what happened in a process."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, (GnnsegError, MemoryError)):
            return cls(time.monotonic(), type(error), str(error), trace)
        message = f"process {rank + 1} of {size}: {type(error).__name__}: {error}"
        kind = MemoryError if is_out_of_memory(error) else RuntimeError
        return cls(time.monotonic(), kind, message, trace)

    def throw(self) -> NoReturn:
        error = self.kind(self.message)
        error.add_note(self.trace)
        raise error


class _Process:
    """One that trains, and what it says."""

    def __init__(self, job: _Job, rank: int, stop: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.link, theirs = context.Pipe(duplex=False)
        self.handle = context.Process(target=_work, args=(job, rank, theirs, stop), daemon=True)
        with _deaf():
            self.handle.start()
        theirs.close()

    @property
    def has_failed(self) -> bool:
        return self.handle.exitcode not in (None, 0)

    def events(self) -> list[Any]:
        """What to wait for."""
        alive = [self.handle.sentinel] if self.handle.exitcode is None else []
        return alive if self.link.closed else [self.link, *alive]

    def messages(self) -> Iterator[tuple[str, Any]]:
        """What was said and not yet heard."""
        try:
            while not self.link.closed and self.link.poll():
                yield self.link.recv()
        except (EOFError, OSError):  # it has ended; its exit code tells how
            self.link.close()

    def end(self) -> None:
        """End it, now."""
        self.handle.kill()
        self.handle.join()


def train_on_devices(
    work: Work, watch: Callable[[History], None], ledger: Ledger | None = None
) -> History:
    """As a trainer's `run`, on `config.devices` devices: one is used by this process.

    On several, a batch is that many times as large, and the lists of data are emptied. The first
    error of a process is raised here and ends the others, as does Ctrl-C, after which a checkpoint
    is left. The stages in `ledger` are those of process 0 then, its memory above what it held
    when it had its data.
    """
    size, model = work.config.devices, work.model
    if size == 1:
        return work.loop().run(watch, ledger)
    with tempfile.TemporaryDirectory(prefix="gnnseg-") as name:
        folder = Path(name)
        parts = [_take(work.train), _take(work.val), dict(model.network.state_dict())]
        data = pack(parts, folder / "data")
        about = {f.name: getattr(model, f.name) for f in fields(model) if f.name != "network"}
        threads = max(1, torch.get_num_threads() // size)
        bare = replace(work, model=None, train=[], val=[])
        job = _Job(bare, type(model), about, data, threads, folder, ledger is not None)
        holds = held_interrupt() if work.checkpoint else nullcontext(Interrupt())
        with holds as interrupt, _started(job) as (processes, stop):
            history, weights, stages = _supervise(processes, stop, interrupt, watch)
    if ledger is not None:
        ledger.take(stages)
    model.network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    model.network.eval()
    return history


def _take(values: list[Any]) -> list[Any]:
    taken = values[:]
    values.clear()
    return taken


@contextmanager
def _started(job: _Job) -> Iterator[tuple[list[_Process], Any]]:
    """A process for each device, none of which outlives the body."""
    stop = multiprocessing.get_context("spawn").Event()
    processes: list[_Process] = []
    try:
        processes.extend(_Process(job, rank, stop) for rank in range(job.size))
        yield processes, stop
    finally:
        for process in processes:
            process.end()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start in the body inherit that they ignore Ctrl-C: this one tells them.

    And SIGTERM, which schedulers send to all processes at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _supervise(
    processes: list[_Process], stop: Any, interrupt: Interrupt, watch: Callable[[History], None]
) -> tuple[History, dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Listen to the processes until process 0 is done, or one of them fails."""
    while True:
        connection.wait([event for p in processes for event in p.events()], timeout=_POLL)
        if interrupt.asked:
            stop.set()
        for process in processes:
            for kind, content in process.messages():
                if kind == EPOCH:
                    watch(content)
                elif kind == WARNED:
                    LOGGER.warning("%s", content)
                elif kind == DONE:
                    return content
                elif kind == STOPPED:
                    raise KeyboardInterrupt
                else:
                    _raise_first(processes, content)
        if any(process.has_failed for process in processes):
            _raise_first(processes)


def _raise_first(processes: list[_Process], *failures: _Failure) -> NoReturn:
    """Raise what went wrong first: the rest follows from it."""
    found, end, heard = list(failures), time.monotonic() + _GRACE, False
    while not heard:
        heard = all(process.has_failed for process in processes) or time.monotonic() > end
        for process in processes:
            found += [content for kind, content in process.messages() if kind == FAILED]
        time.sleep(0.05)
    for rank, process in enumerate(processes):
        code = process.handle.exitcode
        if code is not None and code < 0:
            message = f"process {rank + 1} of {len(processes)} was ended by "
            if -code == signal.SIGABRT and found:
                continue  # gloo may abort a process that has lost the one that failed
            if -code != signal.SIGKILL:
                raise RuntimeError(message + signal.Signals(-code).name)
            raise KilledError(
                f"{message}SIGKILL, as systems do for want of memory: use fewer --devices, or a "
                "smaller batch"
            )
    if not found:
        raise UsageError(
            "a process did not start: a script that trains on several devices needs "
            "`if __name__ == '__main__':` around what it does"
        )
    min(found, key=lambda failure: failure.seconds).throw()


def _work(job: _Job, rank: int, link: Any, stop: Any) -> None:
    """What each process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _train(job, rank, link, stop)
    except KeyboardInterrupt:
        if rank == 0:  # which has written the checkpoint now
            link.send((STOPPED, None))
    except BaseException as error:  # noqa: BLE001
        link.send((FAILED, _Failure.of(error, rank, job.size)))
        sys.exit(1)


def _end_with_parent() -> None:
    """Nobody is left to listen when the first process is killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Warned(logging.Handler):
    """Keeps the warnings of a process until it tells of something."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _train(job: _Job, rank: int, link: Any, stop: Any) -> None:
    size = job.size
    device = pick_device(job.work.config.device, rank, size)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(job.threads)
        if sys.platform == "linux":
            # All processes are on this machine, whatever its name resolves to.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{job.folder / 'rendezvous'}",
        rank=rank,
        world_size=size,
    )
    warned = _Warned()
    LOGGER.addHandler(warned)
    work = job.unpack()
    loop = work.loop(ranks=Connected(rank, size, device), asked=stop.is_set)

    def tell(kind: str, content: Any) -> None:
        if rank == 0:
            while warned.texts:
                link.send((WARNED, warned.texts.pop(0)))
            link.send((kind, content))

    ledger = Ledger(reset_peak=True) if job.measured and rank == 0 else None
    history = loop.run(partial(tell, EPOCH), ledger)
    state = work.model.network.state_dict()
    weights = {name: tensor.numpy() for name, tensor in state.items()}
    tell(DONE, (history, weights, ledger.as_dict() if ledger else {}))
    distributed.destroy_process_group()
