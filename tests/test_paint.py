"""Painting whole planes, in bands and into a given array, against a look-up by id."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

import gnnseg
from gnnseg.errors import UsageError
from gnnseg.kernels.slots import MASKED

STEP = 3


def slots_and_values(height, width, dtype=np.uint8):
    """Homes inside the image, masked pixels among them, and what they should look like."""
    rng = np.random.default_rng(height)
    cells = -(-height // STEP), -(-width // STEP)
    y, x = np.indices((height, width))
    slots = rng.integers(0, 25, (height, width)).astype(np.uint8)
    home_y, home_x = y // STEP + slots // 5 - 2, x // STEP + slots % 5 - 2
    outside = (home_y < 0) | (home_y >= cells[0]) | (home_x < 0) | (home_x >= cells[1])
    slots[outside] = 12
    slots[rng.random(slots.shape) < 0.1] = MASKED
    values = rng.integers(0, 200, cells).astype(dtype)
    known = slots != MASKED
    home_y, home_x = y // STEP + slots // 5 - 2, x // STEP + slots % 5 - 2
    expected = np.full(slots.shape, 255, dtype)
    expected[known] = values[home_y[known], home_x[known]]
    return slots, values, expected


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 21])
def test_bands_and_threads_paint_what_ids_would(monkeypatch, workers, at_once):
    monkeypatch.setattr(import_module("gnnseg.paint"), "_AT_ONCE", at_once)
    slots, values, expected = slots_and_values(70, 61)
    painted = gnnseg.paint(slots, values, step=STEP, fill=255, workers=workers)
    np.testing.assert_array_equal(painted, expected)
    strided = np.repeat(slots, 2, axis=1)[:, ::2]
    painted = gnnseg.paint(strided, values.ravel(), step=STEP, fill=255, workers=workers)
    np.testing.assert_array_equal(painted, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_out_is_painted_and_returned(dtype):
    slots, values, expected = slots_and_values(40, 33, dtype)
    out = np.zeros(slots.shape, dtype)
    assert gnnseg.paint(slots, values, step=STEP, fill=255, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_out_may_be_a_map_of_a_file(tmp_path):
    slots, values, expected = slots_and_values(40, 33)
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.uint8, slots.shape)
    assert gnnseg.paint(slots, values, step=STEP, fill=255, out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_a_volume_is_painted_into_out():
    volume = gnnseg.open_image(np.zeros((6, 12, 12), np.uint8), axes="ZYX")
    regions = gnnseg.supervoxels(volume, step=4)
    values = np.arange(regions.lattice.num_cells, dtype=np.uint16)
    out = np.zeros(regions.slots.shape, np.uint16)
    assert gnnseg.paint(regions, values, out=out) is out
    np.testing.assert_array_equal(out, gnnseg.paint(regions, values))
    with pytest.raises(UsageError, match="out must have shape"):
        gnnseg.paint(regions, values, out=out[0])


def wrong_outs(slots, values):
    locked = np.zeros(slots.shape, np.uint8)
    locked.flags.writeable = False
    height, width = slots.shape
    around = np.zeros(slots.size + values.size, np.uint8)
    around[: values.size] = values.ravel()
    return {
        "shape": (values, np.zeros((height, width + 1), np.uint8), "must have shape"),
        "type": (values, np.zeros(slots.shape, np.uint16), "must have shape .* and type uint8"),
        "columns": (values, np.zeros((width, height), np.uint8).T, "C-contiguous"),
        "locked": (values, locked, "writeable"),
        "list": (values, np.zeros(slots.shape, np.uint8).tolist(), "type uint8"),
        "slots": (values, slots, "overlap"),
        "values": (
            around[: values.size],
            around[values.size - 1 : values.size - 1 + slots.size].reshape(slots.shape),
            "overlap",
        ),
    }


@pytest.mark.parametrize("what", ["shape", "type", "columns", "locked", "list", "slots", "values"])
def test_an_out_that_does_not_fit_is_refused(what):
    slots, values, _ = slots_and_values(12, 9)
    values, out, message = wrong_outs(slots, values)[what]
    with pytest.raises(UsageError, match=message):
        gnnseg.paint(slots, values, step=STEP, out=out)


def test_out_lies_where_the_slots_do(monkeypatch):
    slots, values, _ = slots_and_values(12, 9)
    out = np.zeros(slots.shape, np.uint8)
    module = import_module("gnnseg.paint")
    monkeypatch.setattr(module, "is_device_array", lambda array: array is out)
    with pytest.raises(UsageError, match="out must lie where the slots are"):
        gnnseg.paint(slots, values, step=STEP, out=out)


@pytest.mark.parametrize(
    ("dtype", "painted"),
    [(bool, np.uint8), (np.float16, np.float32), (">u2", np.uint16), (">f8", np.float64)],
)
def test_values_of_other_types_are_brought_to_one_that_is_known(dtype, painted):
    slots, values, _ = slots_and_values(20, 17)
    values = (values % 2).astype(dtype)
    out = gnnseg.paint(slots, values, step=STEP)
    assert out.dtype == painted
    expected = gnnseg.paint(slots, values.astype(painted), step=STEP)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(out[slots != MASKED] == 1, expected[slots != MASKED] == 1)
    with pytest.raises(UsageError, match="and type"):
        gnnseg.paint(slots, values, step=STEP, out=np.zeros(slots.shape, dtype))


@pytest.mark.parametrize("dtype", [np.complex64, object, "U1", np.longdouble])
def test_values_that_are_no_real_numbers_are_refused(dtype):
    slots, values, _ = slots_and_values(12, 9)
    with pytest.raises(UsageError, match="real numbers"):
        gnnseg.paint(slots, values.astype(dtype), step=STEP)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32])
def test_ids_are_no_slots(dtype):
    slots, values, _ = slots_and_values(12, 9)
    with pytest.raises(UsageError, match="slots of type uint8"):
        gnnseg.paint(slots.astype(dtype), values, step=STEP)
