"""Plans count what decoders hold while pixels are read, where that is much."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from PIL import Image

from gnnseg.blocks import Window
from gnnseg.datasets.label_source import LabelSource
from gnnseg.errors import InputError, MemoryBudgetError
from gnnseg.io import ClassInfo, open_image
from gnnseg.io.raster_source import RasterReader
from gnnseg.pipeline import count_blocks, job, pixel_job
from gnnseg.pipeline.options import PaintOptions, SegmentOptions
from gnnseg.pipeline.outputs import Outputs
from gnnseg.pipeline.pixel_plan import band_bytes
from gnnseg.pipeline.plan import (
    RUNTIME_BYTES,
    count_bytes,
    paint_bytes,
    region_bytes,
    stem_bytes,
)
from gnnseg.pipeline.read_cost import native_bytes
from gnnseg.pipeline.sample import made_up
from gnnseg.pipeline.windows import Grid, Required
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


def test_masks_of_any_type_count_and_are_held_as_bytes():
    image = open_image(np.zeros((64, 64), np.uint8))
    values = np.random.default_rng(0).integers(-1, 2, (64, 64))
    plain = native_bytes(reader_of(image))
    for dtype in (np.uint8, np.int64, np.float64):
        mask = values.astype(dtype)
        if dtype == np.float64:
            mask[0, :5] = np.nan
        reader = reader_of(image, open_image(mask))
        assert native_bytes(reader) == max(plain, 1 + 2 * mask.itemsize + 1)
        native = reader._read_native(Window(0, 64, 0, 64), 0, 4)
        assert native.mask.itemsize == 1
        np.testing.assert_array_equal(native.mask == 0, mask == 0)


class UnreadableError(InputError):
    """Something was read before the plan was made."""


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A photograph that must not be decoded."""

    def decode(_reader):
        raise UnreadableError

    Image.new("RGB", (300, 200)).save(tmp_path / "photo.png")
    monkeypatch.setattr(RasterReader, "_decode", decode)
    return open_image(tmp_path / "photo.png")


def test_an_image_that_does_not_fit_is_refused_before_it_is_decoded(photo, monkeypatch):
    """Even where each image has a scale of its own."""
    monkeypatch.setattr(job, "load_loops", lambda reader, *_: made_up(reader))
    monkeypatch.setattr(job, "required", lambda *_: Required({}, {0: Window(0, 25, 0, 38)}))
    monkeypatch.setattr(pixel_job, "_load", lambda _model: None)
    for module, plan, prepare in (
        (job, "make_plan", job.prepare),
        (pixel_job, "plan_bands", pixel_job.prepare_pixels),
    ):
        colours = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True, by_image=True)
        model = SimpleNamespace(
            scaling=colours, settings=SlicSettings(step=8), network=None, tile=64, overlap=0
        )
        asked = SegmentOptions(memory=2**20, workers=1)

        def refuse(*_about, **_options):
            raise MemoryBudgetError

        with monkeypatch.context() as patch:
            patch.setattr(module, plan, refuse)
            with pytest.raises(MemoryBudgetError):
                prepare(photo, model, asked)
            patch.setattr(module, plan, lambda *_about, **_options: None)
            with pytest.raises(UnreadableError):
                prepare(photo, model, asked)


def test_loops_are_loaded_on_noise_of_the_kind_of_the_image(photo):
    colours = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
    few = made_up(PixelReader(photo, colours, SlicSettings(step=16)))
    assert (few.image.num_channels, few.image.is_rgb, few.image.dtype) == (3, True, np.uint8)
    assert (few.image.height, few.image.width) == (200, 256)
    assert few.image.read(few.image.bounds).std() > 30


def test_a_png_of_more_labels_than_fit_is_refused(tmp_path):
    image = in_memory()
    about = {"reader": SimpleNamespace(image=image, mask=None), "roi": Window(0, 8000, 0, 8000)}
    model = SimpleNamespace(classes=ClassInfo(("a", "b")))
    least = RUNTIME_BYTES + 8000 * 8000
    for memory, name in ((least, "l.png"), (least - 1, "l.tif"), (least - 1, "l.png")):
        asked = SegmentOptions(memory=memory, workers=1)
        found = SimpleNamespace(**about, model=model, options=asked, base=0)
        if memory < least and name == "l.png":
            with pytest.raises(MemoryBudgetError, match=r"use --memory \d+MiB or more, or name"):
                Outputs.at(tmp_path / name).check(found)
        else:
            Outputs.at(tmp_path / name).check(found)


def test_labels_are_checked_on_as_many_threads_as_fit(monkeypatch):
    found, mib = [], 2**20
    monkeypatch.setattr(count_blocks, "rss", lambda: 50 * mib)
    monkeypatch.setattr(count_blocks, "run_tasks", lambda *_, workers, **__: found.append(workers))
    labels = LabelSource(
        "labels",
        (9000, 9000),
        lambda window: np.zeros(window.shape, np.uint8),
        ClassInfo(("a", "b")),
        read_bytes=lambda shape: 100 * shape[0] * shape[1],
    )
    for memory in (0, 400 * mib, 2000 * mib):
        asked = SegmentOptions(memory=RUNTIME_BYTES + memory, workers=8)
        count_blocks.check_labels(labels, 1024, asked)
    assert found == [1, 3, 8]
