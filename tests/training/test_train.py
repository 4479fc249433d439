"""Training from images to a model."""

from __future__ import annotations

import tempfile
import weakref
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gnnseg
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.scribbles import scribble, with_scribbles
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import InputError, UsageError
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.kernels.paint import paint
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models import load_model, save_model
from gnnseg.models.stem_window import plane_logits
from gnnseg.superpixels import PixelReader, fit_scaling
from gnnseg.training import loop, make_config, train, trainer
from gnnseg.training.batches import make_batch, shards, shuffled
from gnnseg.training.packing import Stored, num_bytes
from gnnseg.training.samples import _cuts, make_samples
from gnnseg.training.shelf import Shelf
from gnnseg.training.stage import _statistics
from gnnseg.training.temperature import fit_temperature

_FEW = {"widths": [16, 16, 16], "down": [1, 1, 1], "up": [1, 1]}
SMALL = {
    "default": _FEW,
    "large": {**_FEW, "stem": {"widths": [6, 8, 12], "blocks": [1, 1], "out_channels": 5}},
    "mlp": {"hidden": 16},
    "jain2023": {},
}


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def trained(dataset, preset="default", **settings):
    given = {"epochs": 2, "n_iter": 1, "batch": 300, "step": 8, "device": "cpu"} | settings
    return train(dataset, preset=preset, options=SMALL[preset], **given)


def weights(model):
    return {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}


@pytest.mark.parametrize("preset", sorted(SMALL))
def test_the_same_seed_gives_the_same_bits(dataset, preset):
    first, again = (trained(dataset, preset, seed=3) for _ in range(2))
    for name, array in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], array, err_msg=name)
    assert again.training["history"] == first.training["history"]
    np.testing.assert_array_equal(again.mean, first.mean)


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


def test_training_leaves_the_random_state_of_its_caller_out_of_it(dataset):
    torch.manual_seed(1)
    first = trained(dataset, seed=3)
    torch.manual_seed(2)
    torch.rand(100)
    again = trained(dataset, seed=3)
    for name, array in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], array)


def test_the_number_of_threads_changes_no_bit(dataset, monkeypatch):
    first = weights(trained(dataset))
    monkeypatch.setattr(trainer, "default_workers", lambda: 1)
    for name, array in weights(trained(dataset)).items():
        np.testing.assert_array_equal(first[name], array)


@pytest.mark.parametrize("preset", ["large", "mlp"])
def test_graphs_in_a_file_change_no_bit_and_leave_none(dataset, preset, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stored, seen = [], Shelf.keep
    monkeypatch.setattr(
        Shelf, "keep", lambda self, sample: stored.append(seen(self, sample)) or stored[-1]
    )
    first = weights(trained(dataset, preset))
    assert not any(isinstance(kept.place, Stored) for kept in stored)
    half = sum(num_bytes(kept.place) for kept in stored) // 2
    stored.clear()
    again = weights(trained(dataset, preset, graph_memory=str(half)))
    in_file = [isinstance(kept.place, Stored) for kept in stored]
    assert any(in_file)
    assert not all(in_file)
    for name, array in again.items():
        np.testing.assert_array_equal(first[name], array, err_msg=name)
    assert list(tmp_path.glob("gnnseg-*")) == []


def test_totals_hold_one_sample_at_a_time():
    alive = []

    class Lazy:
        def load(self):
            counts = np.array([[2, 0], [1, 3], [0, 0]], np.int32)
            assert sum(ref() is not None for ref in alive) <= 1
            alive.append(weakref.ref(counts))
            return SimpleNamespace(counts=counts)

    pixels, regions = trainer._totals([[[Lazy(), Lazy()], [None]], [[Lazy()]], [[Lazy(), Lazy()]]])
    np.testing.assert_array_equal(pixels, [[6, 6], [3, 3], [6, 6]])
    np.testing.assert_array_equal(regions, [5, 5])


def test_what_comes_after_the_first_that_does_not_fit_lies_in_the_file(samples, tmp_path):
    """A piece in memory holds on to its whole image, so none slips into what is left."""
    sample = samples[1][0][0][0]
    whole, small = num_bytes(sample), replace(sample, counts=sample.counts[:1])
    shelf = Shelf(2 * whole - 1, tmp_path / "samples")
    places = [shelf.keep(given).place for given in (sample, sample, small, sample)]
    assert [isinstance(place, Stored) for place in places] == [False, True, True, True]


def test_another_seed_gives_another_model(dataset):
    first, other = (weights(trained(dataset, "mlp", seed=seed)) for seed in (0, 1))
    assert all((first[name] != other[name]).any() for name in first)


@pytest.mark.parametrize("preset", sorted(SMALL))
def test_val_miou_is_that_of_painted_pixels(dataset, preset):
    model = trained(dataset, preset)
    total = ConfusionMatrix.zeros(3)
    for item in dataset.split("val"):
        image, labels = item.load()
        reader = PixelReader(image, model.scaling, model.settings)
        slots, table = whole_table(reader)
        node_labels = plane_logits(model, reader, slots, table).argmax(axis=1).astype(np.uint8)
        painted = np.empty(slots.shape, np.uint8)
        paint(slots, 8, node_labels.reshape(table.window.shape), 0, 0, np.uint8(255), painted)
        total += ConfusionMatrix.of(labels, painted, 3)
    history = model.training["history"]["val_miou"]
    assert history[model.training["best_epoch"]] == max(history)
    assert model.training["val_miou"] == total.miou >= max(history)


def test_the_temperature_is_that_of_the_pixels_of_val(dataset):
    model = trained(dataset, "mlp", epochs=20, learning_rate=0.02)
    parts = []
    for item in dataset.split("val"):
        image, labels = item.load()
        slots, table = whole_table(PixelReader(image, model.scaling, model.settings))
        painted = np.empty(slots.shape, np.int32)
        ids = np.arange(table.window.size, dtype=np.int32).reshape(table.window.shape)
        paint(slots, 8, ids, 0, 0, np.int32(-1), painted)
        logits = model.logits(table)[painted.ravel()]
        parts.append((logits, np.arange(3) == labels.reshape(-1, 1)))
    assert model.temperature == pytest.approx(fit_temperature(parts), rel=1e-4)
    assert model.temperature != 1


def test_the_temperature_is_fitted_on_labelled_regions_and_a_share_of_many(dataset, monkeypatch):
    fitted = []

    def fit(parts):
        fitted.append(parts)
        return 1.0

    def half(item):
        labels = item.read_labels().copy()
        labels[:, 48:] = 255
        return replace(item, label=labels)

    monkeypatch.setattr(trainer, "fit_temperature", fit)
    items = {**dataset.items, "val": tuple(half(item) for item in dataset.split("val"))}
    sparse = Dataset(name="half", classes=dataset.classes, items=items)
    trained(sparse, "mlp", epochs=1)
    monkeypatch.setattr(trainer, "MOST_SAMPLED", 30)
    for seed in (0, 0, 1):
        trained(sparse, "mlp", epochs=1, seed=seed)
    every, first, again, other = ([counts for _, counts in parts] for parts in fitted)
    assert all(counts.any(axis=1).all() for counts in every)
    assert 50 < sum(map(len, every)) < 90  # of 120 regions
    assert 15 < sum(map(len, first)) < 45
    for counts, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(counts, same)
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_it_learns(dataset):
    model = trained(dataset, "mlp", epochs=30, learning_rate=0.02)
    losses = model.training["history"]["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert model.training["val_miou"] > 0.5


IMBALANCE = [
    {"class_weights": "effective"},
    {"class_weights": "none", "sampling": "balanced"},
    {"focal_gamma": 2},
    {"label_smoothing": 0.1, "area_power": 0.5},
    {"schedule": "polynomial", "average": 0.9},
]


@pytest.mark.parametrize("settings", IMBALANCE, ids=lambda settings: next(iter(settings)))
def test_it_learns_with_each_setting_and_the_same_each_time(dataset, settings):
    first, again = (
        trained(dataset, "mlp", epochs=20, learning_rate=0.02, **settings) for _ in range(2)
    )
    losses = first.training["history"]["loss"]
    assert losses[-1] < 0.85 * losses[0]
    assert first.training["val_miou"] > 0.45
    plain = weights(trained(dataset, "mlp", epochs=20, learning_rate=0.02))
    for name, array in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], array)
    assert any((weights(first)[name] != plain[name]).any() for name in plain)


@pytest.mark.parametrize("augment", ["street", "microscopy", "auto"])
def test_it_learns_from_moved_images_and_the_same_each_time(dataset, augment):
    first, again = (
        trained(dataset, "mlp", epochs=30, learning_rate=0.02, augment=augment, patience=30)
        for _ in range(2)
    )
    for name, array in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], array)
    assert first.training["config"]["augment"] == augment.replace("auto", "street")
    assert first.training["val_miou"] > 0.45


def test_a_trained_model_survives_its_file(dataset, tmp_path):
    model = trained(dataset, "mlp")
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert (back.training, back.temperature) == (model.training, model.temperature)
    assert back.classes == dataset.classes
    image = open_image(dataset.split("val")[0].image)
    _, table = whole_table(PixelReader(image, model.scaling, model.settings))
    np.testing.assert_array_equal(back.logits(table), model.logits(table))


def test_minutes_that_end_within_an_epoch_are_used_and_the_learning_rate_has_fallen(
    dataset, monkeypatch
):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # An hour before each epoch and each of its four updates, one after them, one for validation:
    # the third epoch has room for one update.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 17.9, learning_rate=1.0)
    _, before, last = model.training["history"]["learning_rate"]
    assert before > 0.1
    assert 0 < last < 0.02


def test_an_epoch_that_is_begun_has_an_update_even_if_minutes_are_over_by_then(
    dataset, monkeypatch
):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 16.75, learning_rate=1.0)
    assert model.training["epochs"] == 3
    assert min(model.training["history"]["loss"]) > 0


def test_an_epoch_is_not_begun_for_less_than_a_tenth_of_it(dataset, monkeypatch):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 16.5, learning_rate=1.0)
    assert model.training["epochs"] == 2


def test_the_first_epoch_ends_with_the_minutes_too(dataset, monkeypatch):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # Four updates an epoch: before the second, three of two and a half hours are over.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 2.5, learning_rate=1.0)
    assert model.training["history"]["learning_rate"] > [0.05]


@pytest.mark.parametrize(("minutes", "epochs"), [(None, 10), (60 * 200, 10), (60 * 30, 5)])
def test_patience_waits_for_a_tenth_of_the_training_too(dataset, monkeypatch, minutes, epochs):
    monkeypatch.setattr(trainer.Trainer, "_validate", lambda _self: 0.5)
    clock = count(0, 600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # An epoch takes 50 minutes, and the first is the best.
    model = trained(dataset, "mlp", epochs=100, max_minutes=minutes, patience=2)
    assert model.training["epochs"] == epochs


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_a_training_that_diverges_is_refused(dataset, rate):
    with pytest.raises(UsageError, match=r"diverges.*learning_rate below 1e\+3"):
        trained(dataset, "mlp", optimiser="sgd", learning_rate=rate, epochs=20)


def test_the_network_ends_in_eval_mode_on_the_cpu(dataset):
    before = torch.get_num_threads()
    network = trained(dataset, "mlp").network
    assert not network.training
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert torch.get_num_threads() == before


def test_arrays_and_names_of_classes():
    rng = np.random.default_rng(0)
    labels = (np.indices((48, 48))[1] > 20).astype(np.uint8)
    labels[:3] = 255
    images = [(90 * labels.clip(max=1) + rng.integers(0, 30, labels.shape)).astype(np.uint8)] * 2
    model = train(
        images, [labels] * 2, classes=["left", "right"], preset="mlp", step=6, epochs=2, val=0.5
    )
    assert model.classes.names == ("left", "right")
    assert train(images, [labels] * 2, preset="mlp", epochs=1).classes.num_classes == 2
    with pytest.raises(InputError, match="label 1"):
        train(images, [labels] * 2, classes=1, preset="mlp", epochs=1)


def test_wrong_settings_are_refused(dataset):
    with pytest.raises(UsageError, match="speed"):
        train(dataset, speed=3)
    with pytest.raises(UsageError, match="no_such"):
        train(dataset, preset="mlp", options={"no_such": 3}, epochs=1, n_iter=0)


def itself(sample):
    return sample


@pytest.fixture(scope="module")
def samples(dataset):
    items = dataset.split("train")
    scaling = fit_scaling(item.open_image() for item in items)
    config = make_config(step=8, n_iter=1, variants=2)
    given = {"num_classes": 3, "keep": itself, "tile": 32}
    return items, make_samples(items, scaling, config, augment=True, **given)


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


@given(st.integers(1, 2000), st.sampled_from([32, 64, 100, 128]))
def test_pieces_are_as_few_and_as_alike_as_may_be(cells, tile):
    sizes = np.diff(_cuts(cells, tile))
    assert sizes.sum() == cells
    assert sizes.max() <= tile
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
    model = trained(dataset, "mlp", epochs=1)
    batches = [make_batch(model, sample) for image in samples[1] for [sample] in image]
    limit = 3 * batches[0].num_nodes
    seen = []
    for chosen in shuffled(batches, limit, torch.Generator().manual_seed(0)):
        assert sum(batch.num_nodes for batch in chosen) <= limit
        seen += chosen
        parts = shards(chosen, 2)
        assert sorted(id(b) for part in parts for b in part) == sorted(map(id, chosen))
    assert sorted(map(id, seen)) == sorted(map(id, batches))


def test_one_small_image_trains_and_validates_itself():
    rng = np.random.default_rng(0)
    labels = (np.indices((64, 64))[1] > 30).astype(np.uint8)
    image = (90 * labels + rng.integers(0, 30, labels.shape)).astype(np.uint8)
    model = train([image], [labels], preset="mlp", epochs=30, patience=30, learning_rate=0.02)
    history = model.training["history"]
    assert len(history["loss"]) == 30
    assert history["loss"][-1] < history["loss"][0]
    assert model.training["val_miou"] > 0.8


def test_a_class_that_training_does_not_see_is_never_favoured():
    rng = np.random.default_rng(0)
    labels = (np.indices((64, 64))[1] > 30).astype(np.uint8)
    image = (90 * labels + rng.integers(0, 30, labels.shape)).astype(np.uint8)
    model = train([image], [labels], classes=["a", "b", "never"], preset="mlp", epochs=30)
    _, table = whole_table(PixelReader(open_image(image), model.scaling, model.settings))
    assert (model.logits(table).argmax(axis=1) != 2).all()


def test_scribbles_train_as_well_and_unlabelled_pieces_cost_nothing(dataset, monkeypatch):
    seen = []
    loop = trainer.Trainer.run
    monkeypatch.setattr(
        trainer.Trainer, "run", lambda self, *args: seen.append(self) or loop(self, *args)
    )
    labels = [np.full((80, 96), 255, np.uint8) for _ in range(2)]
    for label, item in zip(labels, dataset.split("train"), strict=False):
        label[5:9, 5:40] = item.read_labels()[5:9, 5:40]
    images = [item.image for item in dataset.split("train")[:2]]
    settings = {"step": 2, "n_iter": 0, "tile": 32, "epochs": 2, "preset": "mlp"}
    model = train(images, labels, classes=3, val=0.0, **settings)
    pieces = [piece for [[piece]] in seen[0].train_samples] + list(seen[0].val_samples)
    assert len(pieces) == 2
    assert sum(piece.load().counts.sum() for piece in pieces) == 2 * 4 * 35
    assert np.isfinite(model.training["val_miou"])
    whole = train(images, [item.read_labels() for item in dataset.split("train")[:2]],
                  classes=3, val=0.0, **settings)  # fmt: skip
    assert len(seen[0].train_samples) == 1
    assert sum(len(pieces) for [pieces] in seen[1].train_samples) == 7
    assert np.abs(whole.mean - model.mean).max() < 1


@pytest.mark.parametrize("split", ["training", "val"])
def test_images_without_any_label_are_refused_before_training(dataset, split):
    train_item, val_item = dataset.split("train")[0], dataset.split("val")[0]
    blank = np.full((80, 96), 255, np.uint8)
    labels = {True: blank, False: train_item.read_labels()}
    items = {
        "train": (replace(train_item, label=labels[split == "training"]),),
        "val": (replace(val_item, label=labels[split == "val"]),),
    }
    with pytest.raises(InputError, match=f"no pixel of the {split} images has a label"):
        trained(Dataset("blank", dataset.classes, items), "mlp")


def test_val_of_scribbles_is_measured_on_their_pixels_alone(dataset):
    sparse = with_scribbles(dataset, 0.05)
    val = tuple(
        replace(item, label=scribble(item.read_labels(), 0.05)) for item in dataset.split("val")
    )
    sparse = replace(sparse, items={**sparse.items, "val": val})
    model = trained(sparse, "mlp", epochs=12, learning_rate=0.02, patience=2)
    total = ConfusionMatrix.zeros(3)
    for item in val:
        image, labels = item.load()
        slots, table = whole_table(PixelReader(image, model.scaling, model.settings))
        node_labels = model.logits(table).argmax(axis=1).astype(np.uint8)
        total += ConfusionMatrix.of(labels, gnnseg.paint(slots, node_labels, step=8), 3)
    assert total.num_pixels < 0.06 * 2 * 80 * 96
    assert model.training["val_miou"] == total.miou > 0.3
