"""Tiles through a network, blended and written band by band: always the same labels."""

from __future__ import annotations

import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg import ledger
from gnnseg.baselines import inference, strips
from gnnseg.baselines.inference import CPU, tile_logits
from gnnseg.baselines.tiles import stretches
from gnnseg.cli.plan import print_plan
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.errors import InputError, MemoryBudgetError, StateError, UsageError
from gnnseg.io import open_image
from gnnseg.pipeline import pixel_plan
from gnnseg.pipeline.bands import PARTS
from gnnseg.pipeline.canvas import Canvas
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.pixel_job import PixelJob
from gnnseg.pipeline.segment import prepare_any, run

HEIGHT, WIDTH, CLASSES = 230, 300, 3


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Bands of 48 x 96 pixels or more, in an image of several."""
    monkeypatch.setattr(PixelJob, "chunk", 48)
    monkeypatch.setattr(pixel_plan, "TALL", 2)


@pytest.fixture(scope="module")
def pixels():
    source = SyntheticSource(HEIGHT, WIDTH, 3)
    return source.read(source.bounds)


def image_of(pixels):
    return open_image(pixels, axes="CYX")


def labels_of(path):
    return zarr.open_group(path, mode="r")["0"][:]


def whole(model, pixels):
    """Logits (classes, Y, X) without bands, slabs, files or masks."""
    x, _ = model.standardise(pixels, model.scaling)
    total = np.zeros((CLASSES, *x.shape[1:]), np.float32)
    for down in stretches(x.shape[1], model.tile, model.overlap):
        for right in stretches(x.shape[2], model.tile, model.overlap):
            part = slice(None), slice(down.start, down.stop), slice(right.start, right.stop)
            logits = tile_logits(model.network, x[part], CPU)
            total[part] += logits * (down.weight[:, None] * right.weight)
    return total


@pytest.mark.parametrize("block", [1024, 2048, 4096, 99_999])
@pytest.mark.parametrize("workers", [1, 3])
def test_labels_depend_neither_on_bands_nor_on_threads(model, pixels, tmp_path, block, workers):
    out = tmp_path / "labels.zarr"
    result = gnnseg.segment(image_of(pixels), model, out, block=block, workers=workers)
    np.testing.assert_array_equal(labels_of(out), whole(model, pixels).argmax(axis=0))
    assert result["pixels"] == HEIGHT * WIDTH
    assert sum(row["pixels"] for row in result["classes"]) == HEIGHT * WIDTH
    assert result["stages"]["network"]["tiles"] >= 30


def test_the_parts_of_the_stage_share_out_its_time(model, pixels, tmp_path, monkeypatch):
    """On a clock that moves in what each part is made of, and nowhere else."""
    now, calls = [0.0], dict.fromkeys(PARTS, 0)

    def taking(part, seconds, owner, function):
        real = getattr(owner, function)

        def work(*given, **more):
            now[0] += seconds
            calls[part] += 1
            return real(*given, **more)

        monkeypatch.setattr(owner, function, work)

    image = image_of(pixels)
    job = prepare_any(image, model, SegmentOptions(memory=4 * 2**30, workers=1))
    clock = SimpleNamespace(perf_counter=lambda: now[0], thread_time=lambda: 0.0)
    monkeypatch.setattr(ledger, "time", clock)
    seconds = {"read": 1.0, "network": 5.0, "blend": 0.5, "paint": 0.25}
    taking("read", 1.0, type(model), "standardise")
    taking("network", 5.0, inference, "tile_logits")
    taking("blend", 0.5, strips._Strip, "_drop")
    taking("paint", 0.25, Canvas, "write_labels")
    stage = run(job, tmp_path / "labels.zarr")["stages"]["network"]
    assert min(calls.values()) > 1
    assert stage["thread_seconds"] == {part: calls[part] * seconds[part] for part in PARTS}
    assert sum(stage["thread_seconds"].values()) == stage["seconds"]


@pytest.mark.parametrize("size", [(5, 7), (64, 64), (65, 48), (48, 300), (230, 49)])
@pytest.mark.parametrize("overlap", [0, 31])
def test_images_of_all_sizes(make_model, pixels, tmp_path, size, overlap):
    model, part = make_model(overlap=overlap), pixels[:, : size[0], : size[1]]
    out = tmp_path / "labels.zarr"
    gnnseg.segment(image_of(part), model, out, block=1024)
    np.testing.assert_array_equal(labels_of(out), whole(model, part).argmax(axis=0))


def test_maps_are_those_of_the_blended_logits(model, pixels, tmp_path):
    out = tmp_path / "labels.zarr"
    gnnseg.segment(image_of(pixels), model, out, block=1024, probabilities=True, uncertainty=True)
    logits = whole(model, pixels).astype(np.float64) / model.temperature
    chances = np.exp(logits - logits.max(axis=0))
    chances /= chances.sum(axis=0)
    found = labels_of(f"{out}.probabilities.zarr") / 255
    assert np.abs(found - chances).max() < 0.51 / 255
    doubt = -(chances * np.log(chances)).sum(axis=0) / np.log(3)
    assert np.abs(labels_of(f"{out}.uncertainty.zarr")[0] / 255 - doubt).max() < 0.51 / 255


@pytest.mark.parametrize("roi", [((0, 50), (0, 60)), ((70, 200), (33, 290)), ((229, 230), (7, 8))])
def test_a_part_is_the_crop_of_the_whole(model, pixels, tmp_path, roi):
    out = tmp_path / "part.zarr"
    gnnseg.segment(image_of(pixels), model, out, roi=roi, block=1024)
    expected = whole(model, pixels).argmax(axis=0)[slice(*roi[0]), slice(*roi[1])]
    np.testing.assert_array_equal(labels_of(out), expected)


def test_masked_pixels_and_those_that_are_not_finite_are_unlabelled(model, pixels, tmp_path):
    holes = pixels.astype(np.float32)
    holes[1, 30:60, 40:90] = np.nan
    mask = np.ones((HEIGHT, WIDTH), np.uint8)
    mask[:, 200:210] = 0
    out = tmp_path / "labels.zarr"
    result = gnnseg.segment(
        image_of(holes), model, out, mask=open_image(mask, axes="YX"), block=1024,
        probabilities=True,
    )  # fmt: skip
    expected = whole(model, holes).argmax(axis=0)
    expected[30:60, 40:90] = expected[:, 200:210] = 255
    np.testing.assert_array_equal(labels_of(out), expected)
    assert (labels_of(f"{out}.probabilities.zarr")[:, expected == 255] == 0).all()
    assert result["classes"][-1]["pixels"] == (expected == 255).sum()


def test_a_stack_is_its_planes_and_grey_is_colour(model, pixels, tmp_path):
    stack = np.stack([pixels[0], pixels[1]])
    gnnseg.segment(open_image(stack, axes="ZYX"), model, tmp_path / "stack.zarr")
    labels = labels_of(tmp_path / "stack.zarr")
    for plane, grey in enumerate(stack):
        expected = whole(model, np.repeat(grey[None], 3, axis=0)).argmax(axis=0)
        np.testing.assert_array_equal(labels[plane], expected)


@pytest.mark.parametrize("y0", range(40, 113, 3))
def test_a_part_may_begin_at_any_row(model, pixels, tmp_path, y0):
    out, roi = tmp_path / "part.zarr", ((y0, min(y0 + 50, HEIGHT)), (10, 30))
    gnnseg.segment(image_of(pixels), model, out, roi=roi)
    expected = whole(model, pixels).argmax(axis=0)[slice(*roi[0]), slice(*roi[1])]
    np.testing.assert_array_equal(labels_of(out), expected)


class KilledError(Exception):
    """Stands for a kill."""


def die_at(monkeypatch, tile, how):
    """Let `how` happen when the network is to see that tile, counted from 0."""
    count, real = iter(range(1000)), inference.tile_logits

    def counted(network, x, device):
        if next(count) == tile:
            how()
        return real(network, x, device)

    monkeypatch.setattr(inference, "tile_logits", counted)


def die():
    raise KilledError


@pytest.mark.parametrize("tile", [0, 3, 11, 30, 45])
@pytest.mark.parametrize(("first", "second"), [(1024, 1024), (1024, 3072), (3072, 2048)])
def test_another_call_goes_on_after_a_kill_in_bands_of_any_width(
    model, make_model, pixels, tmp_path, monkeypatch, tile, first, second
):
    out = tmp_path / "labels.tif"
    with monkeypatch.context() as patch:
        die_at(patch, tile, die)
        with pytest.raises(KilledError):
            gnnseg.segment(image_of(pixels), model, out, block=first, workers=1)
    assert not out.exists()
    with pytest.raises(StateError, match="model"):
        gnnseg.segment(image_of(pixels), make_model(temperature=2.0), out, block=second)
    result = gnnseg.segment(image_of(pixels), model, out, block=second)
    assert result["resumed"]
    assert sum(row["pixels"] for row in result["classes"]) == HEIGHT * WIDTH
    straight = tmp_path / "straight.tif"
    gnnseg.segment(image_of(pixels), model, straight)
    assert out.read_bytes() == straight.read_bytes()


def test_a_resumed_run_has_the_bands_it_had(model, pixels, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"
    with monkeypatch.context() as patch:
        die_at(patch, 30, die)
        with pytest.raises(KilledError):
            gnnseg.segment(image_of(pixels), model, out, block=1024, workers=1)
    seen, real = [], inference.tile_logits

    def counted(*given):
        seen.append(1)
        return real(*given)

    monkeypatch.setattr(inference, "tile_logits", counted)
    result = gnnseg.segment(image_of(pixels), model, out)
    assert result["plan"]["band_chunks"] == 1
    assert 0 < len(seen) < result["stages"]["network"]["tiles"] - 12


def test_ctrl_c_does_not_wait_for_a_band(model, pixels, tmp_path, monkeypatch):
    out, seen = tmp_path / "labels.zarr", []
    die_at(monkeypatch, 6, lambda: os.kill(os.getpid(), signal.SIGINT))
    real = inference.tile_logits

    def slow(network, x, device):
        seen.append(1)
        time.sleep(0.05)
        return real(network, x, device)

    monkeypatch.setattr(inference, "tile_logits", slow)
    with pytest.raises(KeyboardInterrupt):
        gnnseg.segment(image_of(pixels), model, out, block=1024, workers=2)
    assert len(seen) < 16


def test_what_is_about_regions_is_refused(model, pixels, tmp_path):
    for option in ("refine", "keep"):
        with pytest.raises(UsageError, match=f"--{option} is about regions"):
            gnnseg.segment(image_of(pixels), model, tmp_path / "o.zarr", **{option: True})
    with pytest.raises(InputError, match="channel"):
        gnnseg.segment(image_of(pixels[:2]), model, tmp_path / "o.zarr")
    mask = open_image(np.ones((3, 3), np.uint8), axes="YX")
    with pytest.raises(InputError, match="mask is 3 x 3"):
        gnnseg.segment(image_of(pixels), model, tmp_path / "o.zarr", mask=mask)
    assert not list(tmp_path.iterdir())


def test_a_budget_that_is_too_small_is_refused_before_work(model, pixels, tmp_path):
    with pytest.raises(MemoryBudgetError, match=r"tiles of 64 pixels through unet .* use --memory"):
        gnnseg.segment(image_of(pixels), model, tmp_path / "o.zarr", memory="100MiB")
    with pytest.raises(MemoryBudgetError, match="tiles of 50 pixels"):  # all that there is
        gnnseg.segment(image_of(pixels[:, :40, :50]), model, tmp_path / "o.zarr", memory="100MiB")
    assert not list(tmp_path.iterdir())


def plan_of(model, pixels, memory, workers=2):
    options = SegmentOptions(memory=memory, workers=workers)
    return prepare_any(image_of(pixels), model, options).plan


def test_a_plan_counts_the_bands_above_each_other(model, pixels, tmp_path, capsys):
    image, given = image_of(pixels), {"workers": 2, "block": None, "roi": None}
    limits = {"mask": None, "memory": 4 * 2**30}
    print_plan(image, model, tmp_path / "o.zarr", **limits, given=given, as_json=True)
    job = prepare_any(image, model, SegmentOptions(memory=4 * 2**30, workers=2))
    assert json.loads(capsys.readouterr().out)["blocks"] == job.tiling.count > 4


def test_bands_are_cut_so_that_all_threads_have_work(model, pixels):
    assert plan_of(model, pixels, 4 * 2**30, workers=1).band_chunks == 4
    for workers in (2, 3):
        plan = plan_of(model, pixels, 4 * 2**30, workers)
        assert plan.workers == workers
        assert plan.projected_bytes <= 4 * 2**30
    small = plan_of(model, pixels[:, :40, :40], 4 * 2**30)
    assert (small.workers, small.band_chunks) == (1, 4)
