"""Windows of arrays that are one file a plane."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.errors import DiskError
from gnnseg.io.raw_array import RawArray


def make(path, shape, dtype):
    group = zarr.open_group(path, mode="w")
    RawArray.create(group, "a/b", shape, dtype)
    return RawArray.open(group, "a/b")


@st.composite
def cases(draw):
    """A shape, a type, and windows (plane, rows, columns) that may be empty."""
    shape = tuple(draw(st.integers(1, 7)) for _ in range(3))
    rest = draw(st.sampled_from([(), (1,), (3,)]))

    def part(size):
        first, second = sorted([draw(st.integers(0, size)), draw(st.integers(0, size))])
        return slice(first, second)

    windows = [
        (draw(st.integers(0, shape[0] - 1)), part(shape[1]), part(shape[2]))
        for _ in range(draw(st.integers(1, 5)))
    ]
    return (*shape, *rest), draw(st.sampled_from([np.float32, np.int64, np.int32])), windows


@settings(max_examples=50)
@given(cases())
def test_windows_hold_what_was_written_and_zeros_elsewhere(tmp_path_factory, case):
    shape, dtype, windows = case
    path = tmp_path_factory.mktemp("raw") / "group.zarr"
    array, expected = make(path, shape, dtype), np.zeros(shape, dtype)
    for number, window in enumerate(windows):
        own = expected[window]
        values = number + 1 + np.arange(own.size, dtype=dtype).reshape(own.shape)
        array[window], own[...] = values, values
        for other in windows[: number + 1]:
            np.testing.assert_array_equal(array[other], expected[other])
    whole = slice(0, shape[1]), slice(0, shape[2])
    np.testing.assert_array_equal(array[(windows[0][0], *whole)], expected[windows[0][0]])
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["a/b"][:], expected)


def test_what_is_not_there_is_told(tmp_path):
    array = make(tmp_path / "group.zarr", (2, 3, 4), np.int32)
    window = 1, slice(0, 3), slice(1, 4)
    with pytest.raises(DiskError, match=r"c\.1\.0\.0: is missing or too short; use --overwrite"):
        array[window]
    array[window] = np.ones((3, 3), np.int32)
    (tmp_path / "group.zarr/a/b/c.1.0.0").write_bytes(b"\1" * 40)
    with pytest.raises(DiskError, match=r"c\.1\.0\.0: is missing or too short"):
        array[window]


def test_a_missing_array_is_a_key_error(tmp_path):
    with pytest.raises(KeyError):
        RawArray.open(zarr.open_group(tmp_path / "group.zarr", mode="w"), "a")


def test_of_a_group_in_memory_there_is_a_copy():
    group = zarr.open_group({}, mode="w")
    RawArray.create(group, "a", (2, 3, 4), np.int32)
    group["a"][1, 2] = 7
    found = RawArray.open(group, "a")
    np.testing.assert_array_equal(found, group["a"][:])
    found[(0, slice(0, 1), slice(0, 4))] = 5
    assert group["a"][:].sum() == 28


def test_values_of_another_size_are_not_written(tmp_path):
    array = make(tmp_path / "group.zarr", (1, 3, 4), np.int32)
    with pytest.raises(ValueError, match=r"\(2, 4\) got values of \(2, 3\)"):
        array[0, slice(0, 2), slice(0, 4)] = np.ones((2, 3), np.int32)
