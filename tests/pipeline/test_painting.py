"""`paint_file`: any source of values, in blocks, within a budget, going on where it stopped."""

from __future__ import annotations

import os

import numpy as np
import pytest
import zarr

from gnnseg.errors import InputError, MemoryBudgetError, MissingInputError, StateError, UsageError
from gnnseg.graph.store import open_graph
from gnnseg.io.array_source import RawReader
from gnnseg.pipeline import paint_file, painting, write_superpixels
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.slot_map import open_slot_map
from gnnseg.superpixels import superpixels

STEP = 16
"""Chunks of 1024 pixels: four in this image."""


class StoppedError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (1100, 1060)).astype(np.uint8)


@pytest.fixture(scope="module")
def slots(image, tmp_path_factory):
    path = tmp_path_factory.mktemp("slots") / "slots.zarr"
    write_superpixels(image, path, step=STEP, n_iter=1)
    return path


@pytest.fixture(scope="module")
def ids(image):
    return superpixels(image, step=STEP, n_iter=1).ids()


@pytest.fixture
def values(tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, np.arange(69 * 67, dtype=np.int32))
    return path


def as_zarr(path, array, chunks):
    stored = zarr.create_array(str(path), shape=array.shape, chunks=chunks, dtype=array.dtype)
    stored[:] = array


@pytest.mark.parametrize("kind", ["flat", "grid", "stack", "fortran", "big endian"])
def test_values_in_a_npy_of_any_shape(slots, ids, tmp_path, kind):
    table = np.arange(69 * 67, dtype=np.float64).reshape(69, 67)
    given = {
        "flat": table.ravel(),
        "grid": table,
        "stack": table[None],
        "fortran": np.asfortranarray(table),
        "big endian": table.astype(">f8"),
    }[kind]
    np.save(tmp_path / "values.npy", given)
    paint_file(slots, tmp_path / "values.npy", tmp_path / "out.zarr", workers=2)
    out = zarr.open_array(tmp_path / "out.zarr", mode="r")
    assert out.dtype == np.float64
    assert out.attrs["gnnseg"]["complete"] is True
    np.testing.assert_array_equal(out[0], ids)
    assert not list((tmp_path / "out.zarr.gnnseg").glob("*.zarr"))


@pytest.mark.parametrize("ndim", [2, 3])
def test_values_in_a_zarr_array(slots, ids, tmp_path, ndim):
    table = np.arange(69 * 67, dtype=np.uint16).reshape((1, 69, 67)[-ndim:])
    as_zarr(tmp_path / "values.zarr", table, (1, 20, 20)[-ndim:])
    paint_file(slots, tmp_path / "values.zarr", tmp_path / "out.zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr", mode="r")[0], ids)


def test_a_stack_has_values_for_every_plane(image, tmp_path):
    stack = np.stack([image[:40, :50], image[40:80, :50]])
    write_superpixels(
        zarr.array(stack, dimension_names=["z", "y", "x"]), tmp_path / "slots.zarr", step=8
    )
    np.save(tmp_path / "values.npy", np.arange(2 * 35))
    paint_file(tmp_path / "slots.zarr", tmp_path / "values.npy", tmp_path / "out.zarr")
    out = zarr.open_array(tmp_path / "out.zarr", mode="r")[:]
    assert out.shape == (2, 40, 50)
    assert (out[0].max(), out[1].min()) == (34, 35)


def test_only_the_values_around_a_block_are_read(slots, values, tmp_path, monkeypatch):
    sizes = []
    read = RawReader.read

    def noted(self, index):
        sizes.append(np.prod([s.stop - s.start for s in index]))
        return read(self, index)

    monkeypatch.setattr(RawReader, "read", noted)
    paint_file(slots, values, tmp_path / "out.zarr")
    assert max(sizes) == 66 * 66


@pytest.mark.parametrize("where", ["paint", "publish", "tidy"])
def test_a_stopped_run_goes_on(slots, values, ids, tmp_path, monkeypatch, where):
    out, calls = tmp_path / "out.zarr", []
    paint = painting._Painter.__call__

    def counted(self, task):
        if where == "paint" and len(calls) == 2:
            raise StoppedError
        calls.append(task.index)
        return paint(self, task)

    def stop(*_args, **_kwargs):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(painting._Painter, "__call__", counted)
        if where == "publish":
            patch.setattr(painting, "_paint", _then(painting._paint, stop))
        if where == "tidy":
            patch.setattr(Run, "tidy", stop)
        with pytest.raises(StoppedError):
            paint_file(slots, values, out, workers=1)
    assert out.exists() == (where == "tidy")
    done, where = list(calls), "again"
    monkeypatch.setattr(painting._Painter, "__call__", counted)
    found = paint_file(slots, values, out, workers=1)
    assert found["resumed"]
    assert sorted(calls) == [0, 1, 2, 3]
    assert calls[: len(done)] == done
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[0], ids)
    with pytest.raises(StateError, match="exists"):
        paint_file(slots, values, out)


def _then(first, second):
    def both(*args):
        first(*args)
        second()

    return both


def test_other_values_do_not_go_on(slots, values, tmp_path, monkeypatch):
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(painting, "_paint", lambda *_: (_ for _ in ()).throw(StoppedError))
        with pytest.raises(StoppedError):
            paint_file(slots, values, out)
    np.save(values, np.zeros(69 * 67, np.int32))
    with pytest.raises(StateError, match="values"):
        paint_file(slots, values, out)
    paint_file(slots, values, out, overwrite=True)
    assert zarr.open_array(out, mode="r")[:].max() == 0


def small_slot_map(folder, planes=2):
    """A slot map of planes of 48 x 64 pixels in cells of 8, and values of its superpixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (planes, 48, 64)).astype(np.uint8)
    stack = zarr.array(pixels, dimension_names=["z", "y", "x"])
    write_superpixels(stack, folder / "slots.zarr", step=8, n_iter=1)
    np.save(folder / "values.npy", np.arange(planes * 48, dtype=np.int32))
    return folder / "slots.zarr", folder / "values.npy"


def test_a_lost_chunk_of_a_slot_map_is_not_taken_for_masked_pixels(tmp_path):
    slots, values = small_slot_map(tmp_path)
    (slots / "slots" / "c.1.0.0").unlink()
    with pytest.raises(InputError, match=r"slots\.zarr/slots: a chunk is missing"):
        paint_file(slots, values, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("chunks", [(1, 48, 16), (2, 32, 32), (2, 48, 20)])
def test_no_two_blocks_write_one_chunk_whatever_the_chunks_of_the_slots(tmp_path, chunks):
    slots, values = small_slot_map(tmp_path)
    paint_file(slots, values, tmp_path / "expected.zarr")
    group = zarr.open_group(slots, mode="a")
    pixels = group["slots"][:]
    del group["slots"]
    group.create_array("slots", shape=pixels.shape, chunks=chunks, dtype=np.uint8)[:] = pixels
    paint_file(slots, values, tmp_path / "out.zarr")
    out = zarr.open_array(tmp_path / "out.zarr", mode="r")
    assert out.chunks == (1, chunks[-1], chunks[-1])
    np.testing.assert_array_equal(out[:], zarr.open_array(tmp_path / "expected.zarr")[:])


@pytest.mark.parametrize("open_store", [open_slot_map, open_graph])
def test_a_pipe_in_a_store_of_others_is_refused(tmp_path, open_store):
    os.mkfifo(tmp_path / "zarr.json")
    with pytest.raises(InputError, match="no regular file"):
        open_store(tmp_path)


def test_what_cannot_be_painted_is_refused_before_anything_is_written(slots, values, tmp_path):
    out = tmp_path / "out.zarr"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MemoryBudgetError, match="use --memory"):
        paint_file(slots, values, out, memory="64MiB")
    with pytest.raises(UsageError, match=r"\.zarr"):
        paint_file(slots, values, tmp_path / "out.tif")
    with pytest.raises(UsageError, match="input"):
        paint_file(slots, values, slots, overwrite=True)
    with pytest.raises(MissingInputError):
        paint_file(slots, tmp_path / "none.npy", out)
    assert sorted(tmp_path.iterdir()) == before
    for bad in (np.zeros((67, 69), np.int8, order="F"), np.zeros(69 * 67, np.float16)):
        np.save(tmp_path / "bad.npy", bad)
        with pytest.raises(InputError, match=r"bad\.npy"):
            paint_file(slots, tmp_path / "bad.npy", out)
    as_zarr(tmp_path / "flat.zarr", np.zeros(69 * 67), (100,))
    with pytest.raises(InputError, match="shape"):
        paint_file(slots, tmp_path / "flat.zarr", out)
    assert not out.exists()
