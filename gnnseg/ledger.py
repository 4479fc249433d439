"""What every stage cost: seconds, memory, bytes in and out, idle time, and counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from gnnseg.counters import Used, device_peaks, has_device, reset_device_peaks, used
from gnnseg.execution import default_workers
from gnnseg.log import logged
from gnnseg.memory import peak_rss, reset_peak_rss, rss


@dataclass(eq=False)
class _Stage:
    seconds: float = 0.0
    used: Used = field(default_factory=Used)
    peak_rss_bytes: int = 0
    device_peaks: tuple[int, int] = (0, 0)
    counts: dict[str, int | float] = field(default_factory=dict)
    threads: dict[str, float] = field(default_factory=dict)

    def see_device(self) -> None:
        """Take the device's peaks so far, if they are higher."""
        allocated, reserved = device_peaks() or (0, 0)
        self.device_peaks = (
            max(self.device_peaks[0], allocated),
            max(self.device_peaks[1], reserved),
        )

    def as_dict(self, base: int) -> dict[str, Any]:
        """The record of the stage; `base` is what was resident before the work."""
        spent, seconds = self.used, max(self.seconds, 1e-9)
        device = has_device()
        copied = spent.host_to_device_bytes + spent.device_to_host_bytes
        rate = copied / spent.copy_seconds / 1e9 if spent.copy_seconds else None
        return {
            "seconds": round(self.seconds, 6),
            "cpu_seconds": round(spent.cpu_seconds, 6),
            "idle_share": _share_left(spent.cpu_seconds, seconds * default_workers()),
            "peak_rss_bytes": self.peak_rss_bytes,
            "peak_above_bytes": max(0, self.peak_rss_bytes - base),
            "read_bytes": spent.read_bytes,
            "written_bytes": spent.written_bytes,
            "disk_read_bytes": spent.disk_read_bytes,
            "disk_written_bytes": spent.disk_written_bytes,
            "peak_device_bytes": self.device_peaks[0] if device else None,
            "peak_device_reserved_bytes": self.device_peaks[1] if device else None,
            "host_to_device_bytes": spent.host_to_device_bytes if device else None,
            "device_to_host_bytes": spent.device_to_host_bytes if device else None,
            "host_device_gb_per_second": rate,
            "device_idle_share": (
                _share_left(spent.device_seconds, seconds) if spent.device_seconds else None
            ),
            "operations": None,
            "thread_seconds": {key: round(value, 6) for key, value in self.threads.items()} or None,
            **self.counts,
        }


class Laps:
    """What the time of one thread goes to: a call counts what has passed since the last one.

    >>> laps = Laps("read", "write")
    >>> laps("read")
    >>> laps.seconds["read"] >= laps.seconds["write"] == 0
    True
    """

    def __init__(self, *names: str) -> None:
        self.seconds = dict.fromkeys(names, 0.0)
        self._last = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now


def _share_left(busy: float, whole: float) -> float:
    return round(min(1.0, max(0.0, 1 - busy / whole)), 4)


class Ledger:
    """Records stages; one that runs several times adds up what it used and keeps its highest peak.

    Seconds are wall-clock time. Processor seconds, bytes and copies are those of the whole process
    (all threads, no children) while the stage ran, as `gnnseg.counters` tells them. The peak is the
    process's resident memory, `peak_above_bytes` what of it lies above `base`, by default what
    was resident when the ledger was made. Safe to use from many threads.

    A peak is exact where the stage raises the peak of the process; otherwise it is the highest of
    samples taken every `interval` seconds. `reset_peak=True` makes every peak exact, without
    samples, by resetting the process's own figure (`VmHWM`) at the start of each stage, which hides
    it from whoever watches from outside. What sampling itself costs is told by `sampler`.

    >>> ledger = Ledger()
    >>> with ledger.stage("superpixels"):
    ...     ledger.add("superpixels", pixels=100)
    >>> ledger.as_dict()["superpixels"]["pixels"]
    100
    """

    def __init__(
        self, *, interval: float = 0.01, reset_peak: bool = False, base: int | None = None
    ) -> None:
        self.base = rss() if base is None else base
        self._interval = interval
        self._reset_peak = reset_peak
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._others: dict[str, dict[str, Any]] = {}
        self._running: list[_Stage] = []
        self._sampling = [0.0, 0.0]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record and log what runs inside; stages may be nested and run in several threads."""
        with self._lock:
            stage = self._stages.setdefault(name, _Stage())
        start, before = time.perf_counter(), used()
        try:
            with logged(name), self._watch(stage):
                yield
        finally:
            spent = used() - before
            with self._lock:
                stage.seconds += time.perf_counter() - start
                stage.used += spent

    def add(self, name: str, **counts: int | float) -> None:
        """Add to the counts of a stage, from any thread."""
        with self._lock:
            totals = self._stages.setdefault(name, _Stage()).counts
            for key, count in counts.items():
                totals[key] = totals.get(key, 0) + count

    def tell(self, name: str, **facts: int) -> None:
        """Set figures of a stage that stay the same however often it runs; from any thread."""
        with self._lock:
            self._stages.setdefault(name, _Stage()).counts.update(facts)

    def split(self, name: str, seconds: Mapping[str, float]) -> None:
        """Add what a thread spent on each part of a stage; from any thread."""
        with self._lock:
            threads = self._stages.setdefault(name, _Stage()).threads
            for part, spent in seconds.items():
                threads[part] = threads.get(part, 0.0) + spent

    def take(self, stages: Mapping[str, dict[str, Any]]) -> None:
        """Add stages of another process, as its `as_dict` told them."""
        with self._lock:
            self._others.update(stages)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The stages in the order in which they began, those of others last, ready for JSON.

        A figure that the system or the machine cannot tell is None; `idle_share` is the share of
        the processors' time that this process did not use. `operations` are those in floating point
        that `add` was told of, None for stages that count none: their work is in integers.
        `thread_seconds` are the parts that `split` was told of, by the clock of the wall, waiting
        included: added up over threads that run beside each other.
        """
        with self._lock:
            own = {name: stage.as_dict(self.base) for name, stage in self._stages.items()}
            return own | self._others

    def sampler(self) -> dict[str, float]:
        """What the sampling of memory cost: processor seconds, and these a second of sampling."""
        with self._lock:
            cpu, seconds = self._sampling
        return {"cpu_seconds": round(cpu, 6), "share": round(cpu / max(seconds, 1e-9), 6)}

    @contextmanager
    def _watch(self, stage: _Stage) -> Iterator[None]:
        before = self._start(stage)
        try:
            # Above nothing the process's own peak is the stage's.
            with self._sampled(stage) if before else nullcontext():
                yield
        finally:
            with self._lock:
                self._running.remove(stage)
                stage.see_device()
                if (highest := peak_rss()) > before:
                    stage.peak_rss_bytes = max(stage.peak_rss_bytes, highest)

    def _start(self, stage: _Stage) -> int:
        """Enter a stage; the peak above which a later one is the stage's own."""
        with self._lock:
            before = peak_rss()
            # A reset would take the peaks so far from the stages around this one.
            for outer in self._running:
                outer.see_device()
                if self._reset_peak:
                    outer.peak_rss_bytes = max(outer.peak_rss_bytes, before)
            self._running.append(stage)
            reset_device_peaks()
            return 0 if self._reset_peak and reset_peak_rss() else before

    @contextmanager
    def _sampled(self, stage: _Stage) -> Iterator[None]:
        done = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(stage, done), daemon=True)
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()

    def _sample(self, stage: _Stage, done: threading.Event) -> None:
        started, cpu = time.perf_counter(), time.thread_time()
        while True:
            with self._lock:
                stage.peak_rss_bytes = max(stage.peak_rss_bytes, rss())
            if done.wait(self._interval):
                break
        with self._lock:
            self._sampling[0] += time.thread_time() - cpu
            self._sampling[1] += time.perf_counter() - started


def staged(ledger: Ledger | None, name: str) -> AbstractContextManager[None]:
    """A stage of the ledger, where there is one; else nothing is measured."""
    return nullcontext() if ledger is None else ledger.stage(name)
