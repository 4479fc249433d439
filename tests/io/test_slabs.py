"""Planes that are read in slabs are the planes, and a chunk is decoded once for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from gnnseg.blocks import Window
from gnnseg.io import open_image, slabs
from gnnseg.io.slabs import in_slabs
from gnnseg.io.zarr_source import ZarrReader


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (11, 2, 30, 40)).astype(np.uint16)


def stored(pixels, depth):
    names = ["z", "c", "y", "x"]
    chunks = depth, 1, 16, 16
    array = zarr.create_array({}, data=pixels, chunks=chunks, dimension_names=names)
    return open_image(array)


@pytest.fixture
def read_sizes(monkeypatch):
    """How many planes each read of the stored array had."""
    sizes, read = [], ZarrReader.read

    def noted(self, index):
        sizes.append(index[0].stop - index[0].start)
        return read(self, index)

    monkeypatch.setattr(ZarrReader, "read", noted)
    return sizes


def test_a_chunk_is_read_once_for_its_planes(pixels, read_sizes):
    image = in_slabs(stored(pixels, 4))
    window = Window(3, 20, 5, 33)
    for _ in range(2):
        for z in range(1, 11):
            np.testing.assert_array_equal(image.read(window, z), pixels[z][:, 3:20, 5:33])
    assert read_sizes == [4, 4, 3] * 2
    np.testing.assert_array_equal(image.read(image.bounds, 10), pixels[10])
    assert image.fingerprint() == stored(pixels, 4).fingerprint()
    chunks = 2 * 3 * 2  # channels, columns and rows, of which ten are decoded at once
    assert chunks > 10
    expected = 2 * 4 * window.size * 2 * 2 + 2 * 10 * 4 * 16 * 16 * 2
    assert image.read_bytes(window.shape) == expected
    expected = 2 * 4 * 5 * 2 * 2 + 2 * 4 * 4 * 16 * 16 * 2
    assert image.read_bytes((1, 5)) == expected


def test_a_slab_has_no_more_than_its_bytes(pixels, read_sizes, monkeypatch):
    monkeypatch.setattr(slabs, "MOST_BYTES", 2 * 40 * 30 * 2 * 2 + 9)
    image = in_slabs(stored(pixels, 8))
    for z in range(11):
        np.testing.assert_array_equal(image.read(image.bounds, z), pixels[z])
    assert read_sizes == [2] * 5 + [1]
    monkeypatch.setattr(slabs, "MOST_BYTES", 1)
    np.testing.assert_array_equal(image.read(image.bounds, 3), pixels[3])
    assert read_sizes[6:] == [1]


def test_what_lies_in_memory_or_in_planes_is_left_as_it_is(pixels):
    for image in (open_image(pixels, axes="ZCYX"), stored(pixels, 1), open_image(pixels[0, 0])):
        assert in_slabs(image) is image
