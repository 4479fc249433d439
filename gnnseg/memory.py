"""Sizes in words, the memory that is free, and the memory that this process uses."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from gnnseg.errors import UsageError

_EXPONENT = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*(?:([KMGTP])(I?))?(B?)", re.IGNORECASE | re.ASCII)

_OUT_OF_MEMORY = (
    *("can't allocate memory", "CUDA out of memory", "CUDA error: out of memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)
"""Texts of PyTorch's errors."""

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MOST_MAPPED = 2**25

_STATM = Path("/proc/self/statm")

_lock = threading.Lock()
_users = 0
"""How many are inside `reused_memory`: the last one out gives the memory back."""


def parse_size(size: str | int) -> int:
    """Bytes of a size such as `"1GiB"`, `"800 MB"`, `"1.5G"` or a plain number.

    `KiB`, `Ki` and `K` are 1024 bytes, `kB` is 1000 bytes; case does not matter. Raises
    `UsageError` for anything else and for sizes below one byte.

    >>> parse_size("1GiB"), parse_size("800MB"), parse_size(4096)
    (1073741824, 800000000, 4096)
    """
    if isinstance(size, bool) or not isinstance(size, (str, int)):
        raise UsageError(f"a size is text such as '1GiB' or a number of bytes, got {size!r}")
    match = _SIZE.fullmatch(str(size).strip())
    if match is None:
        raise UsageError(f"{size!r} is no size: write for instance '1GiB', '800MB' or 4096")
    number, prefix, binary, byte = match.groups(default="")
    base = 1000 if byte and not binary else 1024
    parsed = int(Fraction(number) * base ** _EXPONENT[prefix.upper()])
    if parsed < 1:
        raise UsageError(f"a size must be at least one byte, got {size!r}")
    return parsed


def format_size(size: float) -> str:
    """A number of bytes for people.

    >>> format_size(1536), format_size(3 * 2**30)
    ('1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} PiB"


def available_memory() -> int:
    """Bytes that this process can still take: of the machine, and of its containers' limits."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_cgroup_free()])


def default_budget() -> int:
    """Half of the available memory, in bytes."""
    return max(1, available_memory() // 2)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; also the system's errors and PyTorch's, which are no MemoryError.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    True
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, RuntimeError):
        # PyTorch is not loaded for this.
        named = type(error).__name__ == "OutOfMemoryError"
        return named or any(text in str(error) for text in _OUT_OF_MEMORY)
    return isinstance(error, MemoryError)


def rss() -> int:
    """Bytes of memory that this process holds now."""
    try:
        with _STATM.open("rb", buffering=0) as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_rss() -> int:
    """The most bytes of memory that this process has held (since `reset_peak_rss`, if called)."""
    found = _status("VmHWM")
    if found is not None:
        return found
    import resource

    # ru_maxrss is in bytes on macOS and in KiB elsewhere; a child's may start at its parent's peak.
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def reset_peak_rss() -> bool:
    """Let `peak_rss` start again from what is held now; False where the system forbids it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@contextmanager
def reused_memory() -> Iterator[None]:
    """Let the allocator keep freed arrays for the next ones, in few arenas, until `trim`.

    By default glibc maps every large array anew, and each of its pages costs a fault when it is
    first written: a third of the time of small loops. When the last of those inside leaves, all is
    given back, and the limits are those that glibc's own would have grown to. Does nothing where
    the C library is not glibc.
    """
    global _users  # noqa: PLW0603 - the allocator is one for the whole process
    with _lock:
        _users += 1
        if _users == 1:
            _keep_freed()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _give_back()


def _keep_freed() -> None:
    libc = _glibc()
    if libc is None:
        return
    if not libc.mallopt(_M_MMAP_THRESHOLD, 2**30):
        libc.mallopt(_M_MMAP_THRESHOLD, _MOST_MAPPED)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 2)


def _give_back() -> None:
    libc = _glibc()
    if libc is None:
        return
    libc.mallopt(_M_MMAP_THRESHOLD, _MOST_MAPPED)
    libc.mallopt(_M_TRIM_THRESHOLD, 2 * _MOST_MAPPED)
    libc.mallopt(_M_ARENA_MAX, 0)
    libc.malloc_trim(0)


def trim(above: int = 0) -> bool:
    """Give freed memory back to the system, if more than `above` bytes are held; whether it did."""
    libc = _glibc()
    return libc is not None and rss() > above and bool(libc.malloc_trim(0))


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _status(field: str, path: Path = Path("/proc/self/status")) -> int | None:
    """A field of the process's status in bytes, None where there is none."""
    try:
        text = path.read_text()
    except OSError:
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _cgroup_free(
    cgroups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> list[int]:
    """Bytes left below the memory limit of every control group around this process."""
    try:
        lines = cgroups.read_text().splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            free += _free_upwards(root, group, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            free += _free_upwards(root / "memory", group, names)
    return free


def _free_upwards(root: Path, group: str, names: tuple[str, str, str]) -> list[int]:
    # Inside a container the path of the group may be the host's: then only the root exists.
    parts = [part for part in group.split("/") if part not in ("", "..")]
    folders = [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return [free for folder in folders if (free := _free_in(folder, *names)) is not None]


def _free_in(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    try:
        limited, used = (folder / limit).read_text(), int((folder / usage).read_text())
        stat = (folder / "memory.stat").read_text()
    except (OSError, ValueError):
        return None
    if limited.strip() == "max":
        return None
    match = re.search(rf"^{cache} (\d+)$", stat, re.MULTILINE)
    # Inactive file pages are given back before anything is killed.
    return max(0, int(limited) - used + (int(match[1]) if match else 0))
