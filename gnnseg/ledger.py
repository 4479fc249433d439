"""What every stage cost: seconds, processor seconds, peak memory and counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gnnseg.log import logged
from gnnseg.memory import peak_rss, reset_peak_rss, rss


@dataclass(eq=False)
class _Stage:
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0
    counts: dict[str, int | float] = field(default_factory=dict)


class Ledger:
    """Records stages; one that runs several times adds up its seconds and keeps its highest peak.

    Seconds are wall-clock time, processor seconds those of the whole process (all threads), the
    peak is the process's resident memory. Safe to use from many threads. A peak is exact where
    the stage raises the peak of the process; otherwise it is the highest of samples taken every
    `interval` seconds. `reset_peak=True` makes every peak exact by resetting the process's own
    figure (`VmHWM`) at the start of each stage, which hides it from whoever watches from outside.

    >>> ledger = Ledger()
    >>> with ledger.stage("superpixels"):
    ...     ledger.add("superpixels", pixels=100)
    >>> ledger.as_dict()["superpixels"]["pixels"]
    100
    """

    def __init__(self, *, interval: float = 0.01, reset_peak: bool = False) -> None:
        self._interval = interval
        self._reset_peak = reset_peak
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._running: list[_Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record and log what runs inside; stages may be nested and run in several threads."""
        with self._lock:
            stage = self._stages.setdefault(name, _Stage())
        start, cpu_start = time.perf_counter(), time.process_time()
        try:
            with logged(name), self._watch(stage):
                yield
        finally:
            with self._lock:
                stage.seconds += time.perf_counter() - start
                stage.cpu_seconds += time.process_time() - cpu_start

    def add(self, name: str, **counts: int | float) -> None:
        """Add to the counts of a stage, from any thread."""
        with self._lock:
            totals = self._stages.setdefault(name, _Stage()).counts
            for key, count in counts.items():
                totals[key] = totals.get(key, 0) + count

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The stages in the order in which they began, ready for JSON."""
        with self._lock:
            return {
                name: {
                    "seconds": round(stage.seconds, 6),
                    "cpu_seconds": round(stage.cpu_seconds, 6),
                    "peak_rss_bytes": stage.peak_rss_bytes,
                    **stage.counts,
                }
                for name, stage in self._stages.items()
            }

    @contextmanager
    def _watch(self, stage: _Stage) -> Iterator[None]:
        before = self._start(stage)
        done = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(stage, done), daemon=True)
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()
            with self._lock:
                self._running.remove(stage)
                if (highest := peak_rss()) > before:
                    stage.peak_rss_bytes = max(stage.peak_rss_bytes, highest)

    def _start(self, stage: _Stage) -> int:
        """Enter a stage; the peak above which a later one is the stage's own."""
        with self._lock:
            before = peak_rss()
            self._running.append(stage)
            if not self._reset_peak:
                return before
            # The reset would take the peak so far from the stages around this one.
            for outer in self._running[:-1]:
                outer.peak_rss_bytes = max(outer.peak_rss_bytes, before)
            return 0 if reset_peak_rss() else before

    def _sample(self, stage: _Stage, done: threading.Event) -> None:
        while True:
            with self._lock:
                stage.peak_rss_bytes = max(stage.peak_rss_bytes, rss())
            if done.wait(self._interval):
                return
