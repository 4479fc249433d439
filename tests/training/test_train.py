"""Training from images to a model."""

from __future__ import annotations

import tempfile
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gnnseg.datasets import ArrayDataset
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import InputError, UsageError
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.kernels.paint import paint
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models import load_model, save_model
from gnnseg.models.stem_window import plane_logits
from gnnseg.superpixels import PixelReader
from gnnseg.training import loss, train, trainer
from gnnseg.training.imbalance import draw_weights, main_class
from gnnseg.training.packing import Stored, num_bytes
from gnnseg.training.shelf import Shelf
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

    pixels, pieces = trainer._totals([[[Lazy(), Lazy()], [None]], [[Lazy()]], [[Lazy(), Lazy()]]])
    np.testing.assert_array_equal(pixels, [[6, 6], [3, 3], [6, 6]])
    assert [piece.num_nodes for piece in pieces] == [3] * 5
    np.testing.assert_array_equal([piece.regions for piece in pieces], [[1, 1]] * 5)


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
    assert model.training["val_miou"] == total.miou == max(history)


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
    assert model.temperature == pytest.approx(fit_temperature(parts, same=64), rel=1e-4)
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


def test_the_prior_of_balanced_draws_is_how_often_they_draw_each_class(dataset, monkeypatch):
    """Of a class that a third of the images have, in batches of one image for each thread."""
    losses, seen, draw = [], [], loss.balanced_draws

    def drawn(counts, generator):
        draws = draw(counts, generator)
        seen.append((main_class(counts), draws))
        return draws

    monkeypatch.setattr(loss, "balanced_draws", drawn)
    fit = loss.Loss.fit
    monkeypatch.setattr(
        trainer, "Loss", SimpleNamespace(fit=lambda *given: losses.append(fit(*given)) or losses[0])
    )
    items = dataset.split("train")[:3]
    labels = [item.read_labels().copy() for item in items]
    for label in labels[1:]:
        label[label == 2] = 0
    images = [replace(item, label=label) for item, label in zip(items, labels, strict=True)]
    sparse = Dataset("rare", dataset.classes, {"train": images, "val": dataset.split("val")})
    settings = {"class_weights": "none", "sampling": "balanced", "mirror": False, "variants": 0}
    trained(sparse, "mlp", **settings, batch=240, epochs=60, patience=60)
    found, draws = (torch.cat(parts) for parts in zip(*seen, strict=True))
    mean = [float(draws[found == label].mean()) for label in range(3)]
    np.testing.assert_allclose(losses[0].prior.exp(), mean, rtol=0.05)
    even = draw_weights(np.bincount(found[found >= 0]))
    assert np.abs(np.log(even / mean)).max() > 0.3  # as it would be in one batch of all


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


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(500.0, "nanometer"), (0.5, "micrometer")], (0.5, 0.5)),
        ([(500.0, "nanometer"), (0.25, "micrometer")], (3.0, 3.0)),
        ([(500.0, None), (500.0, None)], (3.0, 3.0)),
    ],
)
def test_a_model_knows_the_pixel_size_of_its_images_in_micrometres(sizes, expected):
    rng = np.random.default_rng(0)
    labels = (np.indices((48, 48))[1] > 20).astype(np.uint8)
    image = open_image((90 * labels + rng.integers(0, 30, labels.shape)).astype(np.uint8))
    images = [replace(image, pixel_size=(size, size), unit=unit) for size, unit in sizes]
    dataset = ArrayDataset(images, [labels] * 2, 2, val=0, pixel_size=(3.0, 3.0))
    assert trained(dataset, "mlp", epochs=1).pixel_size == expected


def test_wrong_settings_are_refused(dataset):
    with pytest.raises(UsageError, match="speed"):
        train(dataset, speed=3)
    with pytest.raises(UsageError, match="no_such"):
        train(dataset, preset="mlp", options={"no_such": 3}, epochs=1, n_iter=0)


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
