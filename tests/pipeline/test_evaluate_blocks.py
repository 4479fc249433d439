"""Evaluation in blocks: the same figures as in memory, and as their definitions."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import gnnseg
from gnnseg.baselines import PixelModel
from gnnseg.datasets import ArrayDataset
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, MemoryBudgetError, UsageError
from gnnseg.graph import whole_table
from gnnseg.io import ClassInfo, open_image
from gnnseg.metrics import BoundaryCounts, ConfusionMatrix, boundary_f1, ceiling_labels
from gnnseg.models import Model, get_preset, select_features
from gnnseg.models.stem_window import plane_logits
from gnnseg.pipeline import count_plan, measure_pixels, measure_regions
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.plan import RUNTIME_BYTES, SAFETY
from gnnseg.pipeline.segment import prepare_any
from gnnseg.superpixels import PixelReader, Scaling, SlicSettings, Superpixels

CLASSES = ClassInfo(("a", "b", "c"))
SCALING = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
SHAPE = (100, 1300)


@pytest.fixture(scope="module")
def labelled():
    """Patches of colour with noise, (100, 1300, 3), their classes, and a strip without labels."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (7, 87)).repeat(15, axis=0).repeat(15, axis=1)
    classes = classes[: SHAPE[0], : SHAPE[1]]
    pixels = np.array([[60, 90, 120], [120, 90, 60], [90, 120, 90]])[classes]
    image = np.clip(pixels + rng.normal(0, 30, (*SHAPE, 3)), 0, 255).astype(np.uint8)
    truth = np.where(rng.random(SHAPE) < 0.02, 255, classes).astype(np.uint8)
    truth[:, 700:720] = 255
    return image, truth


@pytest.fixture(scope="module")
def regions():
    """Random weights: 3 blocks of 640 pixels across."""
    torch.manual_seed(0)
    features = select_features(get_preset("default"), SCALING, place=False)
    return Model(
        preset="default",
        options={"widths": [16, 16], "down": [1, 1], "up": [1]},
        settings=SlicSettings(step=5, n_iter=1),
        scaling=SCALING,
        features=features,
        mean=np.zeros(len(features), np.float32),
        std=np.ones(len(features), np.float32),
        classes=CLASSES,
        temperature=0.5,
    )


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PixelModel(
        name="unet",
        options={},
        scaling=SCALING,
        mean=np.full(3, 0.4, np.float32),
        std=np.full(3, 0.2, np.float32),
        classes=CLASSES,
        tile=128,
        overlap=16,
        network=nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=5, dilation=5)
        ),
        temperature=2.0,
    )


def without_times(figures):
    return {key: value for key, value in figures.items() if key != "seconds"}


def evaluated(labelled, model, **options):
    """All figures; two images, so that they add up."""
    images, truths = [labelled[0], labelled[0][:64, :64]], [labelled[1], labelled[1][:64, :64]]
    return without_times(gnnseg.evaluate(images, model, truths, **options))


@pytest.mark.parametrize("refine", [False, True])
def test_blocks_of_regions_give_the_same_figures(labelled, regions, tmp_path, refine):
    whole = evaluated(labelled, regions, refine=refine)
    blocks = evaluated(labelled, regions, refine=refine, block=640, workers=2, scratch=tmp_path)
    assert blocks == whole
    assert not list(tmp_path.iterdir())
    assert 0 < whole["miou"] < whole["ceiling_miou"] < 1


def test_bands_of_pixels_give_the_same_figures(labelled, network):
    whole = evaluated(labelled, network)
    assert evaluated(labelled, network, block=1024, workers=2) == whole
    assert 0 < whole["miou"] < 1


@pytest.mark.parametrize("kind", ["regions", "network"])
@pytest.mark.parametrize("options", [{}, {"block": 1024, "workers": 2}])
def test_a_dataset_says_itself_what_is_not_labelled(labelled, kind, options, request):
    image, truth = labelled
    model = request.getfixturevalue(kind)
    expected = without_times(gnnseg.evaluate([image], model, [truth]))
    other = np.where(truth == 255, 9, truth).astype(np.uint8)
    data = ArrayDataset([image], [other], replace(CLASSES, ignore_index=9), val=0)
    found = without_times(gnnseg.evaluate(data, model, split="train", **options))
    assert {**found, "split": None} == expected


def same(one, other):
    """Whether two images have the very same counts."""
    for name in ("prediction", "ceiling", "unrefined"):
        pair = getattr(one, name), getattr(other, name)
        if pair != (None, None):
            np.testing.assert_array_equal(*(matrix.counts for matrix in pair))
    for name in ("calibrated", "uncalibrated"):
        for field in ("pixels", "right", "confidence", "entropies"):
            pair = (getattr(getattr(counts, name), field) for counts in (one, other))
            np.testing.assert_array_equal(*pair)
    assert one.boundary_f1 == other.boundary_f1
    return True


def counted_both_ways(model, image, truth, tmp_path, *, refine=False):
    """Counts of one image in memory, and in blocks."""
    item, memory = Item("one", image, truth, CLASSES), 1 << 32
    options = SegmentOptions(memory=memory, workers=2, block=640, refine=refine, measured=True)
    job = prepare_any(item.open_image(), model, options)
    if isinstance(model, Model):
        blocks = measure_regions.stream_regions(job, item.open_labels(), tmp_path)
        return measure_regions.measure_regions(item, model, options.band), blocks
    blocks = measure_pixels.stream_pixels(job, item.open_labels())
    return measure_pixels.measure_pixels(item, model), blocks


def test_counts_of_refined_regions_without_some_pixels(labelled, regions, tmp_path):
    image, truth = labelled[0].astype(np.float32), labelled[1]
    image[30:70, 600:690] = np.nan
    whole, blocks = counted_both_ways(regions, image, truth, tmp_path, refine=True)
    assert same(whole, blocks)
    reader = PixelReader(open_image(image), SCALING, regions.settings)
    slots, table = whole_table(reader)
    labels = plane_logits(regions, reader, slots, table).argmax(axis=1).astype(np.uint8)
    painted = gnnseg.paint(slots, labels, step=5)
    assert (painted == 255).sum() == 40 * 90
    ids = Superpixels(slots, reader.lattice, regions.settings, SCALING, 0).ids()
    best = np.where(ids < 0, 255, ceiling_labels(truth, ids))
    for matrix, expected in ((blocks.unrefined, painted), (blocks.ceiling, best)):
        np.testing.assert_array_equal(matrix.counts, ConfusionMatrix.of(truth, expected, 3).counts)
    assert blocks.boundary_f1[0][0] == boundary_f1(truth, painted)
    assert blocks.boundary_f1[0][1] != blocks.boundary_f1[0][0]
    assert (blocks.prediction.counts != blocks.unrefined.counts).any()


def test_counts_of_a_network_without_some_pixels(labelled, network, tmp_path):
    image = labelled[0].astype(np.float32)
    image[30:70, 980:1100] = np.nan
    whole, blocks = counted_both_ways(network, image, labelled[1], tmp_path)
    assert same(whole, blocks)
    unlabelled = (labelled[1][30:70, 980:1100] != 255).sum()
    assert blocks.prediction.counts[:, -1].sum() == unlabelled


@pytest.mark.parametrize("seed", range(3))
def test_windows_add_up_to_the_boundaries_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    truth, labels = (rng.integers(0, 3, (9, 11)).repeat(3, 0).repeat(3, 1) for _ in range(2))
    truth[5:20, 7:9] = 255
    bounds, total = open_image(truth.astype(np.uint8)).bounds, BoundaryCounts.zeros(3)
    for window in bounds.split((10, 7)):
        seen = window.grow(BoundaryCounts.HALO).clip(bounds)
        inside = window.relative_to(seen).slices
        total += BoundaryCounts.of(truth[seen.slices], labels[seen.slices], 3, inside=inside)
    assert total.f1 == boundary_f1(truth, labels)


def same_figures(one, other):
    return {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("kind", ["regions", "network"])
def test_what_fits_no_budget_is_refused_with_one_that_will_do(labelled, kind, request):
    model = request.getfixturevalue(kind)
    with pytest.raises(MemoryBudgetError, match="use --memory") as error:
        evaluated(labelled, model, memory="100MiB")
    enough = re.search(r"use --memory (\d+MiB)", str(error.value))[1]
    assert evaluated(labelled, model, memory=enough) == evaluated(labelled, model)


@pytest.mark.parametrize("kind", ["regions", "network"])
def test_images_go_to_memory_where_all_threads_have_room(labelled, kind, request, monkeypatch):
    model = request.getfixturevalue(kind)
    items = [Item(str(n), *labelled, CLASSES) for n in range(2)]
    options = SegmentOptions(memory=1 << 32, workers=2, measured=True)
    size = int(count_plan._sizes(model, options)(items[0].open_image()) * SAFETY)
    for free, small in ((2 * size + 10, 2), (2 * size - 10, 0)):
        monkeypatch.setattr(count_plan, "rss", lambda free=free: (1 << 32) - RUNTIME_BYTES - free)
        shares = count_plan.share_out(items, model, options)
        assert (len(shares.small), len(shares.large)) == (small, 2 - small)


def test_labels_are_read_before_any_work(labelled, regions, monkeypatch):
    wrong = labelled[1].copy()
    wrong[99, 1299] = 7
    monkeypatch.setattr(measure_regions, "stream_regions", None)
    with pytest.raises(InputError, match="holds the label 7"):
        gnnseg.evaluate([labelled[0]] * 2, regions, [labelled[1], wrong], block=640)


def test_images_are_open_one_at_a_time(labelled, regions, monkeypatch):
    """An open picture holds its pixels, so the budget of the next would be wrong."""
    held, opened = [], Item.open_image

    def noted(item):
        gc.collect()
        assert sum(ref() is not None for ref in held) <= 1
        image = opened(item)
        held.append(weakref.ref(image))
        return image

    monkeypatch.setattr(Item, "open_image", noted)
    blocks = gnnseg.evaluate([labelled[0]] * 3, regions, [labelled[1]] * 3, block=640, workers=1)
    assert blocks["num_images"] == 3
    assert len(held) >= 6


@pytest.mark.parametrize("dtype", [np.uint64, np.int8])
def test_labels_of_any_integer_type(labelled, regions, dtype):
    image, truth = labelled
    model = replace(regions, classes=ClassInfo(("a", "b", "c"), ignore_index=100))
    truth = np.where(truth == 255, 100, truth)
    figures = [
        gnnseg.evaluate([image], model, [truth.astype(kind)], refine=True)
        for kind in (np.uint8, dtype)
    ]
    assert same_figures(*figures)


def test_of_a_stack_the_first_plane_is_measured(labelled, regions):
    image, truth = labelled
    stack = open_image(np.stack([image, image[::-1]]), axes="ZYXC", rgb=True)
    blocks = gnnseg.evaluate([stack], regions, [truth], block=640)
    assert same_figures(blocks, gnnseg.evaluate([image], regions, [truth]))


def test_wrong_arguments_and_labels_are_refused(labelled, regions, tmp_path):
    wrong = labelled[1].copy()
    with pytest.raises(UsageError, match="workers must be at least 1, got -1"):
        gnnseg.evaluate([labelled[0]], regions, [wrong], workers=-1)
    with pytest.raises(InputError, match="cover the same pixels"):
        gnnseg.evaluate([labelled[0]], regions, [wrong[:50]], block=640)
    with pytest.raises(UsageError, match="is no folder"):
        evaluated(labelled, regions, scratch=tmp_path / "none")
    with pytest.raises(UsageError, match="block"):
        evaluated(labelled, regions, block=0)
