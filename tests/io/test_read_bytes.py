"""What readers say that a read takes on a thread is what it takes."""

from __future__ import annotations

import os
import tracemalloc

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

from gnnseg.blocks import Window
from gnnseg.io import open_image, zarr_source
from gnnseg.io.array_source import open_npy

MIB = 2**20
SIDE = 1024
"""Pixels on a side of a chunk of 1 MiB."""


def peak_of(image, window):
    """The most bytes that reading a window takes, its pixels among them."""
    image.read(window)
    tracemalloc.start()
    pixels = image.read(window)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pixels.any()
    return peak


@pytest.fixture(params=[None, (2 * SIDE, 2 * SIDE)], ids=["chunks", "shards"])
def stored(request, rng):
    """Twelve chunks that cannot be compressed."""
    array = rng.integers(1, 256, (3 * SIDE, 4 * SIDE), np.uint8)
    if request.param:
        array = np.concatenate([array, array[:SIDE]])
    return zarr.create_array({}, data=array, chunks=(SIDE, SIDE), shards=request.param)


def test_large_chunks_are_decoded_a_few_at_a_time(stored, monkeypatch):
    monkeypatch.setattr(zarr_source, "_MOST_BYTES", 2 * MIB)
    image = open_image(stored)
    assert image.read_bytes((SIDE, SIDE)) == 2 * 2 * MIB
    np.testing.assert_array_equal(image.read(image.bounds)[0], stored[:])
    told = image.read_bytes((image.height, image.width))
    assert told == 2 * 2 * MIB
    # The pixels in hand are those of a part, and of all.
    assert peak_of(image, image.bounds) < stored.nbytes + told + 5 * MIB


def test_small_chunks_are_asked_for_all_at_once(stored):
    image, whole = open_image(stored), (slice(0, 3 * SIDE), slice(0, 4 * SIDE))
    assert image.reader.array.chunks == (SIDE, SIDE)
    assert len(list(image.reader._parts(whole, image.reader._most_chunks))) == 1
    assert image.read_bytes((SIDE, 1)) == 2 * 2 * MIB
    at_once = 16 if stored.shards else 10
    assert image.read_bytes((3 * SIDE, 3 * SIDE)) == 2 * at_once * MIB


def test_chunks_of_dask_are_held_until_all_are_there():
    blocks = dask.array.ones((4 * SIDE, 4 * SIDE), dtype=np.uint8, chunks=(SIDE, SIDE))
    image, window = open_image(blocks), Window(10, 10 + SIDE, 10, 10 + SIDE)
    told = image.read_bytes(window.shape)
    assert told == 5 * MIB
    assert MIB < peak_of(image, window) < window.size + told + MIB


def test_a_strip_that_is_not_the_only_one_is_decoded_on_each_thread(tmp_path):
    array = np.ones((SIDE, SIDE), np.uint8)
    for rows, expected in ((SIDE, 0), (SIDE // 2, 2 * array.nbytes // 2)):
        path = tmp_path / f"{rows}.tif"
        tifffile.imwrite(path, array, rowsperstrip=rows, compression="zlib")
        assert open_image(path).read_bytes((5, 5)) == expected


def test_indices_become_numbers_of_8_bytes(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 1] = 2**16 - 1
    options = {
        "photometric": "palette",
        "colormap": colours,
        "compression": "zlib",
        "rowsperstrip": SIDE,
    }
    tifffile.imwrite(tmp_path / "p.tif", np.ones((SIDE, SIDE), np.uint8), **options)
    image = open_image(tmp_path / "p.tif")
    told = image.read_bytes((SIDE, SIDE))
    assert told == 9 * MIB
    assert peak_of(image, image.bounds) < 2 * 3 * MIB + told


def test_views_of_a_memory_map_count_as_mapped(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((SIDE, SIDE), np.uint8))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    views = mapped, np.asarray(mapped), np.asarray(mapped)[2:][None], mapped.view(np.ndarray)
    for view in views:
        assert open_image(view).resident_bytes == view.nbytes
    assert open_image(np.array(mapped)).resident_bytes == 0


@pytest.mark.parametrize("shape", [(50, 40, 4), (2, 50, 40, 4)])
def test_some_samples_of_interleaved_pixels_take_a_call_a_row(tmp_path, monkeypatch, rng, shape):
    array, calls = rng.integers(0, 256, shape, np.uint16), []
    np.save(tmp_path / "a.npy", array)
    reader, preadv = open_npy(tmp_path / "a.npy"), os.preadv
    monkeypatch.setattr(os, "preadv", lambda *about: calls.append(about) or preadv(*about))
    lead = (slice(0, 2),) * (len(shape) - 3)
    for columns, samples in ((slice(3, 37), slice(0, 3)), (slice(0, 40), slice(1, 2))):
        index = (*lead, slice(5, 35), columns, samples)
        calls.clear()
        np.testing.assert_array_equal(reader.read(index), array[index])
        assert len(calls) == 30 * 2 ** len(lead)


def test_what_is_read_by_position_takes_nothing_besides(tmp_path):
    array = np.ones((SIDE, SIDE), np.uint8)
    np.save(tmp_path / "a.npy", array)
    for source in (array, tmp_path / "a.npy"):
        assert open_image(source).read_bytes((SIDE, SIDE)) == 0
