"""What validates a training, and what is said where it cannot tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gnnseg
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.scribbles import scribble, with_scribbles
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import InputError
from gnnseg.graph import whole_table
from gnnseg.metrics import ConfusionMatrix
from gnnseg.superpixels import PixelReader
from gnnseg.training import train, trainer


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def trained(dataset, **settings):
    given = {"epochs": 2, "n_iter": 1, "batch": 300, "step": 8, "device": "cpu"} | settings
    return train(dataset, preset="mlp", options={"hidden": 16}, **given)


def test_one_small_image_trains_and_validates_itself(caplog):
    rng = np.random.default_rng(0)
    labels = (np.indices((64, 64))[1] > 30).astype(np.uint8)
    image = (90 * labels + rng.integers(0, 30, labels.shape)).astype(np.uint8)
    model = train([image], [labels], preset="mlp", epochs=30, patience=30, learning_rate=0.02)
    history = model.training["history"]
    assert len(history["loss"]) == 30
    assert history["loss"][-1] < history["loss"][0]
    assert model.training["val_miou"] > 0.8
    [message] = caplog.messages
    assert "one piece, too small to be cut, which validates itself" in message


@pytest.mark.parametrize(("height", "labelled"), [(64, 104), (104, 104), (160, 24)])
def test_a_single_piece_is_cut_so_that_a_part_validates(height, labelled, monkeypatch, caplog):
    """Of 8 cells or more on a side at step 4, in one piece of 64; here and there without labels."""
    seen = []
    loop = trainer.Trainer.run
    monkeypatch.setattr(
        trainer.Trainer, "run", lambda self, *args: seen.append(self) or loop(self, *args)
    )
    rng = np.random.default_rng(0)
    labels = (np.indices((height, 104))[1] % 20 > 10).astype(np.uint8)
    labels[:, labelled:] = 255
    image = (90 * (labels % 255) + rng.integers(0, 30, labels.shape)).astype(np.uint8)
    model = train([image], [labels], preset="mlp", epochs=2, step=4, classes=2)
    own = [piece.load().table for [pieces] in seen[0].train_samples for piece in pieces]
    held = [piece.load().table for piece in seen[0].val_samples]
    assert len(held) == 1
    assert len({(t.window.y0, t.window.x0) for t in [*own, *held]}) == len(own) + 1 > 1
    assert min(t.window.size for t in [*own, *held]) >= 9 * 9
    assert caplog.messages == []
    assert np.isfinite(model.training["val_miou"])


def blank(item):
    return replace(item, label=np.full((80, 96), 255, np.uint8))


def test_training_images_without_any_label_are_refused(dataset):
    items = {"train": tuple(map(blank, dataset.split("train"))), "val": dataset.items["val"]}
    with pytest.raises(InputError, match="no pixel of the training images has a label"):
        trained(Dataset("blank", dataset.classes, items))


def test_where_no_val_image_has_a_label_pieces_of_the_training_images_validate(dataset, caplog):
    settings = {"epochs": 2, "step": 6, "compactness": "auto"}
    items = {**dataset.items, "val": tuple(map(blank, dataset.split("val")))}
    model = trained(Dataset("blank", dataset.classes, items), **settings)
    [message] = caplog.messages
    assert "blank: no pixel of the val images has a label" in message
    expected = trained(
        Dataset("blank", dataset.classes, {"train": dataset.items["train"]}), **settings
    )
    assert model.training["history"] == expected.training["history"]
    assert model.settings == expected.settings
    assert np.isfinite(model.training["val_miou"])


def without_a_class_in_val(dataset, lacking):
    """The set, with that class taken for the first one in the labels of val."""

    def relabelled(item):
        labels = item.read_labels().copy()
        labels[labels == lacking] = 0
        return replace(item, label=labels)

    val = tuple(relabelled(item) for item in dataset.split("val"))
    return Dataset("lacking", dataset.classes, {**dataset.items, "val": val})


def test_a_class_that_val_lacks_may_be_predicted_and_is_told(dataset, monkeypatch, caplog):
    seen, validate = [], trainer.Trainer._validate

    def kept(self):
        seen.append(validate(self))
        return seen[-1]

    monkeypatch.setattr(trainer.Trainer, "_validate", kept)
    sparse = without_a_class_in_val(dataset, 2)
    model = trained(sparse, epochs=12, learning_rate=0.02, patience=12)
    mious = model.training["history"]["val_miou"]
    assert mious == [max(matrix.present_miou for matrix in epoch) for epoch in seen]
    assert any(matrix.counts[:, 2].any() for epoch in seen for matrix in epoch)
    assert mious != [max(matrix.miou for matrix in epoch) for epoch in seen]
    assert model.training["val_miou"] == max(mious)
    [message] = [text for text in caplog.messages if "val mIoU" in text]
    assert f"no pixel of {dataset.classes.names[2]}: " in message


def test_nothing_is_said_where_val_has_every_class(dataset, caplog):
    trained(dataset, epochs=1)
    assert caplog.messages == []


def test_val_of_scribbles_is_measured_on_their_pixels_alone(dataset):
    sparse = with_scribbles(dataset, 0.05)
    val = tuple(
        replace(item, label=scribble(item.read_labels(), 0.05)) for item in dataset.split("val")
    )
    sparse = replace(sparse, items={**sparse.items, "val": val})
    model = trained(sparse, epochs=12, learning_rate=0.02, patience=2)
    total = ConfusionMatrix.zeros(3)
    for item in val:
        image, labels = item.load()
        slots, table = whole_table(PixelReader(image, model.scaling, model.settings))
        node_labels = model.logits(table).argmax(axis=1).astype(np.uint8)
        total += ConfusionMatrix.of(labels, gnnseg.paint(slots, node_labels, step=8), 3)
    assert total.num_pixels < 0.06 * 2 * 80 * 96
    assert model.training["val_miou"] == total.miou > 0.3
