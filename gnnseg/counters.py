"""What this process has used so far: processor time, bytes in and out, and time of a device."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

_MOST_OPEN = 512
"""Events of a device that are kept before those that are over are counted."""
_IO = re.compile(r"^(rchar|wchar|read_bytes|write_bytes): (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Used:
    """Totals since the process began; None is what the system does not tell.

    `read_bytes` and `written_bytes` are those that passed through calls of the system, from the
    page cache or not; those with `disk_` reached the storage. Copies and device time count where
    `moved` and `device_work` were used.
    """

    cpu_seconds: float = 0.0
    read_bytes: int | None = 0
    written_bytes: int | None = 0
    disk_read_bytes: int | None = 0
    disk_written_bytes: int | None = 0
    host_to_device_bytes: int = 0
    device_to_host_bytes: int = 0
    copy_seconds: float = 0.0
    device_seconds: float = 0.0

    def __add__(self, other: Used) -> Used:
        return self._each(other, 1)

    def __sub__(self, other: Used) -> Used:
        return self._each(other, -1)

    def _each(self, other: Used, sign: int) -> Used:
        pairs = zip(astuple(self), astuple(other), strict=True)
        each: list[Any] = [None if None in pair else pair[0] + sign * pair[1] for pair in pairs]
        return Used(*each)


class _Device:
    """Copies to and from devices, and the time that these took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = {"host_to_device_bytes": 0, "device_to_host_bytes": 0}
        self._seconds = {"copy_seconds": 0.0, "device_seconds": 0.0}
        self._open: list[tuple[str, Any, Any]] = []

    def add(self, way: str, size: int) -> None:
        with self._lock:
            self._totals[way] += size

    @contextmanager
    def timed(self, what: str, device: Any) -> Iterator[None]:
        """Events of the device around what is queued inside; read only when totals are."""
        if device.type != "cuda":
            yield
            return
        import torch

        stream = torch.cuda.current_stream(device)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record(stream)
        try:
            yield
        finally:
            end.record(stream)
            with self._lock:
                self._open.append((what, start, end))
                if len(self._open) >= _MOST_OPEN:
                    self._close([event for event in self._open if event[2].query()])

    def totals(self) -> dict[str, Any]:
        with self._lock:
            self._close(list(self._open))
            return {**self._totals, **self._seconds}

    def _close(self, events: list[tuple[str, Any, Any]]) -> None:
        """Count these, waiting for those that are not over."""
        for event in events:
            what, start, end = event
            end.synchronize()
            self._seconds[what] += start.elapsed_time(end) / 1000
            self._open.remove(event)


_DEVICE = _Device()


def used() -> Used:
    """The totals so far; waits for work that `device_work` and `moved` have queued on a device.

    >>> before = used()
    >>> (used() - before).cpu_seconds >= 0
    True
    """
    return Used(cpu_seconds=time.process_time(), **_io(), **_DEVICE.totals())


def moved(tensor: Any, device: Any) -> Any:
    """`tensor.to(device)`, counted where it goes from the host to a device or back."""
    came, goes = tensor.device.type, device.type
    if (came == "cpu") == (goes == "cpu"):
        return tensor.to(device)
    way = "host_to_device_bytes" if came == "cpu" else "device_to_host_bytes"
    _DEVICE.add(way, tensor.element_size() * tensor.nelement())
    with _DEVICE.timed("copy_seconds", device if came == "cpu" else tensor.device):
        return tensor.to(device)


@contextmanager
def device_work(device: Any) -> Iterator[None]:
    """Count the time from the first to the last kernel that is queued inside as time of the device.

    Gaps between kernels count as well: the device is idle for at least what is left.
    """
    with _DEVICE.timed("device_seconds", device):
        yield


def has_device() -> bool:
    """Whether PyTorch is loaded and sees a GPU."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available()


def device_peaks() -> tuple[int, int] | None:
    """Most bytes that tensors, and PyTorch's allocator, had on any one device; None without one."""
    if not has_device():
        return None
    import torch

    if not torch.cuda.is_initialized():
        return 0, 0
    devices = range(torch.cuda.device_count())
    allocated = max(map(torch.cuda.max_memory_allocated, devices))
    return allocated, max(map(torch.cuda.max_memory_reserved, devices))


def reset_device_peaks() -> None:
    """Let `device_peaks` start again from what is held now."""
    if not has_device():
        return
    import torch

    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def _io(path: Path = Path("/proc/self/io")) -> dict[str, Any]:
    try:
        found = dict(_IO.findall(path.read_text()))
    except OSError:
        found = {}
    names = {
        "read_bytes": "rchar",
        "written_bytes": "wchar",
        "disk_read_bytes": "read_bytes",
        "disk_written_bytes": "write_bytes",
    }
    return {name: int(found[key]) if key in found else None for name, key in names.items()}
