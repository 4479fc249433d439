"""A model with a learned stem over an image: the same bits by any blocks, parts, and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.errors import MemoryBudgetError
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.models.stem_window import plane_logits
from gnnseg.pipeline.estimate import estimate_seconds
from gnnseg.pipeline.job import SegmentOptions, prepare
from gnnseg.superpixels import PixelReader

STEP = 5  # no chunk of 16 cells begins at a multiple of 8 pixels but for its margin


@pytest.fixture(scope="module")
def stem_model(dataset):
    options = {"widths": [16, 16], "down": [1, 1], "up": [1]}
    options["stem"] = {"widths": [6, 8, 12], "blocks": [1, 1], "out_channels": 5}
    return gnnseg.train(dataset, preset="large", step=STEP, epochs=1, options=options)


@pytest.fixture(scope="module")
def wide():
    """An image of several chunks, (3, 700, 1500) uint8."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 70, 150), np.uint8).repeat(10, axis=1).repeat(10, axis=2)


@pytest.fixture(scope="module")
def whole(stem_model, wide):
    """Labels by the in-memory functions."""
    reader = PixelReader(open_image(wide, axes="CYX"), stem_model.scaling, stem_model.settings)
    slots, table = whole_table(reader)
    labels = plane_logits(stem_model, reader, slots, table).argmax(axis=1).astype(np.uint8)
    assert len(np.unique(labels)) > 1
    return gnnseg.paint(slots, labels, step=STEP)


def segmented(image, model, out, **options):
    gnnseg.segment(open_image(image, axes="CYX"), model, out, **options)
    return zarr.open_group(out, mode="r")["0"][:]


@pytest.mark.parametrize("options", [{}, {"block": 640, "workers": 1}, {"block": 1280}])
def test_blocks_do_not_matter(stem_model, wide, whole, tmp_path, options):
    labels = segmented(wide, stem_model, tmp_path / "labels.zarr", **options)
    np.testing.assert_array_equal(labels, whole)


@pytest.mark.parametrize(
    "roi", [((0, 60), (0, 90)), ((300, 420), (600, 700)), ((690, 700), (1400, 1500))]
)
def test_a_part_is_the_crop_of_the_whole(stem_model, wide, whole, tmp_path, roi):
    (y0, y1), (x0, x1) = roi
    labels = segmented(wide, stem_model, tmp_path / "part.zarr", roi=roi)
    np.testing.assert_array_equal(labels, whole[y0:y1, x0:x1])


def test_a_mask_leaves_pixels_unlabelled(stem_model, pixels, tmp_path):
    mask = np.ones(pixels[0].shape[1:], np.uint8)
    mask[40:90, 50:] = 0
    labels = segmented(pixels[0], stem_model, tmp_path / "labels.zarr", mask=mask)
    np.testing.assert_array_equal(labels == 255, mask == 0)


def test_evaluation_and_estimate(dataset, stem_model, wide):
    assert 0 <= gnnseg.evaluate(dataset, stem_model, split="val")["miou"] <= 1
    options = SegmentOptions(memory=1 << 31, workers=2)
    job = prepare(open_image(wide, axes="CYX"), stem_model, options)
    assert 1 <= job.plan.stem_workers <= job.plan.workers
    assert estimate_seconds(job) > 0


def test_a_stem_that_does_not_fit_is_refused(wide, stem_model, tmp_path):
    stem = {"widths": [1000, 1001, 1002], "blocks": [0, 0]}
    large = replace(stem_model, options=stem_model.options | {"stem": stem}, network=None)
    with pytest.raises(MemoryBudgetError, match="use --memory"):
        segmented(wide, large, tmp_path / "labels.zarr", memory="2GiB")
    assert not (tmp_path / "labels.zarr").exists()
