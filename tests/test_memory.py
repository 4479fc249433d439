"""Sizes, limits and figures of memory."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg import memory
from gnnseg.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 2**30),
        ("1 gib", 2**30),
        ("1.5G", 3 * 2**29),
        ("800MB", 800_000_000),
        ("0.1kB", 100),
        ("7", 7),
        ("7B", 7),
        (" 2TiB ", 2**41),
        (4096, 4096),
    ],
)
def test_sizes_are_read(text, size):
    assert memory.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1GiB", "1XB", "1GiBs", "0", "0.1B", "nan", "1e9", "1iB", "٣", "9" * 5000]
)
def test_other_sizes_are_usage_errors(text):
    with pytest.raises(UsageError, match="size"):
        memory.parse_size(text)


@pytest.mark.parametrize("size", [True, None, 1.5, -3, 0])
def test_other_types_are_usage_errors(size):
    with pytest.raises(UsageError, match="size"):
        memory.parse_size(size)


@given(st.integers(1, 2**60))
def test_a_size_written_and_read_again_is_nearly_the_same(size):
    # One decimal: at most 0.05 of a unit off, of at least one unit.
    assert memory.parse_size(memory.format_size(size)) == pytest.approx(size, rel=0.051)


def test_sizes_are_written():
    assert memory.format_size(0) == "0 B"
    assert memory.format_size(1023) == "1023 B"
    assert memory.format_size(2**60) == "1024.0 PiB"


class OutOfMemoryError(RuntimeError):
    """As PyTorch's."""


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (OutOfMemoryError("HIP out of memory"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("CUDA out of memory"), False),
    ],
)
def test_errors_for_want_of_memory_are_known(error, ran_out):
    assert memory.is_out_of_memory(error) == ran_out


def test_memory_in_use_follows_the_arrays():
    before = memory.rss()
    block = bytearray(64 * 2**20)
    assert memory.rss() > before + 60 * 2**20
    assert memory.peak_rss() >= memory.rss() - 2**20
    del block


def test_the_budget_is_half_of_what_is_available():
    assert 0 < memory.default_budget() <= memory.available_memory()


@pytest.fixture
def group(tmp_path):
    """A control group tree as version 2 lays it out: 1000 bytes in the inner group, 300 used."""
    inner = tmp_path / "fs" / "a" / "b"
    inner.mkdir(parents=True)
    for folder, limit, used in ((inner, "1000", "300"), (inner.parent, "max", "300")):
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text(used + "\n")
        (folder / "memory.stat").write_text("anon 200\ninactive_file 100\n")
    return tmp_path


def test_limits_of_containers_count(group):
    (group / "cgroup").write_text("0::/a/b\n")
    assert memory._cgroup_free(group / "cgroup", group / "fs") == [800]


def test_a_parent_group_counts(group):
    (group / "fs" / "a" / "memory.max").write_text("500")
    (group / "cgroup").write_text("0::/a/b\n")
    assert memory._cgroup_free(group / "cgroup", group / "fs") == [800, 300]


def test_version_1_groups_count(tmp_path):
    folder = tmp_path / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("5000")
    (folder / "memory.usage_in_bytes").write_text("6000")
    (folder / "memory.stat").write_text("total_inactive_file 500\n")
    (tmp_path / "cgroup").write_text("4:cpu,cpuacct:/job\n3:memory:/job\n")
    assert memory._cgroup_free(tmp_path / "cgroup", tmp_path) == [0]


def test_no_groups_no_limits(tmp_path):
    assert memory._cgroup_free(tmp_path / "absent", tmp_path) == []


def test_no_status_file_is_no_error(tmp_path):
    assert memory._status("VmRSS", tmp_path / "absent") is None


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


def test_the_peak_can_be_reset():
    code = """
from gnnseg import memory
block = bytearray(200 * 2**20); del block
before = memory.peak_rss()
print(memory.reset_peak_rss(), before, memory.peak_rss())
"""
    done, before, after = run(code)
    if done == "False":
        pytest.skip("the system forbids resetting the peak")
    assert int(before) - int(after) > 150 * 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc only")
def test_freed_arrays_are_used_again():
    code = """
import resource
from gnnseg import memory
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def fill(): bytearray(40 * 2**20)
with memory.reused_memory():
    fill(); start = faults(); fill(); print(faults() - start)
    before = memory.rss()
print(before - memory.rss())
fill(); print(memory.rss() - before)
"""
    new, given_back, kept = map(int, run(code))
    assert new < 1000  # of 10,000 pages
    assert given_back > 30 * 2**20
    assert kept < 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc only")
def test_only_the_last_one_out_gives_memory_back():
    code = """
from gnnseg import memory
def fill(): return bytearray(40 * 2**20)
start = memory.rss()
with memory.reused_memory():
    with memory.reused_memory():
        fill()
    print(memory.rss() - start)
print(memory.rss() - start)
"""
    kept, left = map(int, run(code))
    assert kept > 30 * 2**20
    assert left < 10 * 2**20
