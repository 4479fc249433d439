"""Plans count what decoders hold while pixels are read, where that is much."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from gnnseg.io import ClassInfo, open_image
from gnnseg.pipeline.options import PaintOptions, SegmentOptions
from gnnseg.pipeline.pixel_plan import band_bytes
from gnnseg.pipeline.plan import count_bytes, paint_bytes, region_bytes, stem_bytes
from gnnseg.pipeline.windows import Grid
from gnnseg.superpixels import PixelReader, Scaling, SlicSettings

SIDE = 20_000
LARGE = 8192
"""A window of a block of pixels touches four such chunks, of 64 MiB, and one is decoded."""
DECODING = 2 * LARGE**2


def stored(chunk):
    options = {"shape": (SIDE, SIDE), "dtype": np.uint8, "fill_value": 0}
    return open_image(zarr.create_array({}, chunks=(chunk, chunk), **options))


def reader_of(image, mask=None):
    return PixelReader(image, Scaling((0.0,), (255.0,), rgb=False), SlicSettings(step=16), mask)


def in_memory():
    return open_image(np.broadcast_to(np.zeros((1, 1), np.uint8), (SIDE, SIDE)))


STEM = SimpleNamespace(margin=lambda _step: 4, pixel_bytes=100)
MODEL = SimpleNamespace(network=SimpleNamespace(stem=STEM))
REFINED = PaintOptions(refine=True)


def costs(reader):
    grid = Grid(reader.lattice)
    return {
        "regions": region_bytes(reader, grid, 1),
        "more regions": region_bytes(reader, grid, 4),
        "stem": stem_bytes(reader, MODEL, grid),
        "painting": paint_bytes(reader, grid, 3, REFINED),
        "counting": count_bytes(reader, grid, 3, refine=True),
    }


def bands(*sources):
    model = SimpleNamespace(
        tile=256,
        classes=ClassInfo(("a", "b")),
        scaling=SimpleNamespace(num_channels=1),
        num_parameters=10,
    )
    options = SegmentOptions(memory=2**30, workers=1)
    return band_bytes(sources, model, options, chunks=1, network=10**6)


def test_ordinary_chunks_hardly_change_a_plan():
    """Only the smallest blocks do little else than read."""
    found, plain = costs(reader_of(stored(1024))), costs(reader_of(in_memory()))
    assert {name for name in plain if found[name] != plain[name]} == {"regions"}
    assert found["regions"] < plain["regions"] + 2**24


@pytest.mark.parametrize("masked", [False, True])
def test_large_chunks_count_on_every_thread(masked):
    few = reader_of(in_memory(), stored(LARGE)) if masked else reader_of(stored(LARGE))
    plain = costs(reader_of(in_memory()))
    for name, size in costs(few).items():
        assert size > max(DECODING, plain[name])
    assert bands(in_memory(), stored(LARGE)) > bands(in_memory(), in_memory())
    assert bands(stored(LARGE)) > DECODING


def test_true_labels_in_large_chunks_count_as_well():
    reader = reader_of(in_memory())
    for measured in (True, False):
        few, many = (
            paint_bytes(
                reader, Grid(reader.lattice), 3, PaintOptions(measured=measured, label_bytes=size)
            )
            for size in (0, DECODING)
        )
        assert many == few + DECODING
