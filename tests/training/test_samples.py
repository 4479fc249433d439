"""Labelled images as pieces of region graphs, and batches of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.superpixels import PixelReader, fit_scaling
from gnnseg.training import make_config, train, trainer
from gnnseg.training.batches import make_batch, shards, shuffled
from gnnseg.training.packing import Stored, num_bytes
from gnnseg.training.samples import _cuts, make_samples
from gnnseg.training.shelf import Shelf
from gnnseg.training.stage import _statistics


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def itself(sample):
    return sample


@pytest.fixture(scope="module")
def samples(dataset):
    items = dataset.split("train")
    scaling = fit_scaling(item.open_image() for item in items)
    config = make_config(step=8, n_iter=1, variants=2)
    given = {"num_classes": 3, "keep": itself, "tile": 32}
    return items, make_samples(items, scaling, config, augment=True, **given)


def test_features_are_standardised_by_all_regions(dataset):
    config = make_config(step=8, n_iter=1)
    items = dataset.split("train")
    scaling = fit_scaling([item.open_image() for item in items])
    images = make_samples(items, scaling, config, num_classes=3, keep=itself, tile=64)
    samples = [sample for [pieces] in images for sample in pieces]
    tables = [sample.table for sample in samples]
    x = np.concatenate([table.x[table.area > 0] for table in tables]).astype(np.float64)
    mean, std = _statistics(samples, [3, 0])
    np.testing.assert_allclose(mean, x[:, [3, 0]].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, x[:, [3, 0]].std(axis=0), rtol=1e-12)


def test_each_image_has_its_variants(samples):
    items, found = samples
    assert [len(variants) for variants in found] == [4] * len(items)
    for [plain], [mirror], *others in found:
        np.testing.assert_array_equal(plain.counts.sum(axis=0), mirror.counts.sum(axis=0))
        assert any(other.table.window != plain.table.window for [other] in others)


def test_pieces_hold_every_labelled_pixel_once(dataset):
    items = dataset.split("train")
    scaling = fit_scaling(item.open_image() for item in items)
    config = make_config(step=2, n_iter=0, variants=0)
    given = {"num_classes": 3, "keep": itself, "tile": 32}
    images = make_samples(items, scaling, config, augment=True, **given)
    assert [[len(pieces) for pieces in variants] for variants in images] == [[4, 4]] * len(items)
    found = [sample for variants in images for pieces in variants for sample in pieces]
    expected = sum(np.bincount(item.read_labels().ravel(), minlength=256)[:3] for item in items)
    total = sum(sample.counts.sum(axis=0) for sample in found)
    np.testing.assert_array_equal(total, 2 * expected)
    for sample in found:
        assert sample.counts.shape == (sample.table.window.size, 3)
        assert max(sample.table.window.shape) <= 32
        assert (sample.counts.sum(axis=1) <= sample.table.area.ravel()).all()


@given(st.integers(1, 2000), st.sampled_from([24, 32, 64, 100, 128]))
def test_pieces_are_as_few_and_as_alike_as_may_be(cells, tile):
    sizes = np.diff(_cuts(cells, tile))
    assert sizes.sum() == cells
    assert sizes.max() <= tile
    assert sizes.min() >= min(cells, 9)
    assert sizes.max() - sizes.min() <= 24
    assert len(sizes) <= -(-cells // (tile - 16))
    assert not (sizes[:-1] % 16).any()


def test_an_epoch_sees_all_pieces_of_one_variant_of_each_image(dataset, monkeypatch):
    epochs, shuffled = [], trainer.shuffled

    def seen(pieces, limit, generator):
        epochs.append(pieces)
        return shuffled(pieces, limit, generator)

    monkeypatch.setattr(trainer, "shuffled", seen)
    config = {"step": 2, "n_iter": 0, "tile": 32, "variants": 0, "preset": "mlp", "epochs": 5}
    train(dataset, **config)
    number, images = 2 * 2, len(dataset.split("train"))
    assert [len(pieces) for pieces in epochs] == [number * images] * 5
    drawn = {tuple(map(id, pieces)) for pieces in epochs}
    assert len(drawn) > 1  # each image is itself or mirrored
    for image in range(images):
        own = slice(number * image, number * (image + 1))
        assert len({tuple(map(id, pieces[own])) for pieces in epochs}) <= 2


def test_the_mirror_image_is_that_of_the_mirrored_array(dataset):
    item = dataset.split("train")[0]
    scaling = fit_scaling([item.open_image()])
    config = make_config(step=8, n_iter=1, variants=0)
    settings = {"num_classes": 3, "keep": itself, "augment": True, "tile": 64}
    [[_, [mirrored]]] = make_samples([item], scaling, config, **settings)
    image = item.open_image()
    pixels = np.moveaxis(image.read(image.bounds), 0, -1)
    _, table = whole_table(PixelReader(open_image(pixels[:, ::-1].copy()), scaling, config.slic))
    for name, array in table.arrays().items():
        np.testing.assert_array_equal(getattr(mirrored.table, name), array)


def test_batches_hold_every_piece_once(dataset, samples):
    model = train(dataset, preset="mlp", step=8, n_iter=1, epochs=1)
    batches = [make_batch(model, sample) for image in samples[1] for [sample] in image]
    limit = 3 * batches[0].num_nodes
    seen = []
    for chosen in shuffled(batches, limit, torch.Generator().manual_seed(0)):
        assert sum(batch.num_nodes for batch in chosen) <= limit
        seen += chosen
        parts = shards(chosen, 2)
        assert sorted(id(b) for part in parts for b in part) == sorted(map(id, chosen))
    assert sorted(map(id, seen)) == sorted(map(id, batches))


@pytest.mark.parametrize(
    ("number", "lists"), [(1, 1), (5, 5), (32, 32), (64, 32), (160, 32), (200, 40)]
)
def test_an_epoch_of_few_pieces_has_several_batches(number, lists):
    pieces = [SimpleNamespace(num_nodes=10)] * number
    assert len(list(shuffled(pieces, 50, torch.Generator()))) == lists


def test_what_comes_after_the_first_that_does_not_fit_lies_in_the_file(samples, tmp_path):
    """A piece in memory holds on to its whole image, so none slips into what is left."""
    sample = samples[1][0][0][0]
    whole, small = num_bytes(sample), replace(sample, counts=sample.counts[:1])
    shelf = Shelf(2 * whole - 1, tmp_path / "samples")
    places = [shelf.keep(given).place for given in (sample, sample, small, sample)]
    assert [isinstance(place, Stored) for place in places] == [False, True, True, True]
