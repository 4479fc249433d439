"""Trainings on pixels: they learn, go on where they were stopped, and end up in a file."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

import gnnseg
from gnnseg import baselines
from gnnseg.baselines import load_pixel_model, make_cnn_config, save_pixel_model
from gnnseg.baselines import model as models
from gnnseg.baselines.trainer import PixelTrainer
from gnnseg.datasets import ArrayDataset
from gnnseg.datasets.base import Dataset
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.io import ClassInfo, open_image
from gnnseg.ledger import Ledger
from gnnseg.models import load_model

SETTINGS = {
    "crop": 40, "batch": 3, "epochs": 3, "tile": 64, "overlap": 16, "device": "cpu",
    "average": 0.9, "learning_rate": 5e-3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tiny_net):
    """In place of the network that a name stands for."""
    monkeypatch.setattr(
        models,
        "build_network",
        lambda _name, channels, classes, _options: tiny_net(channels, classes),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors.checkpoint"


def run(dataset, **more):
    return baselines.train(dataset, **{**SETTINGS, **more})


def assert_same(model, expected):
    for name, tensor in expected.network.state_dict().items():
        torch.testing.assert_close(model.network.state_dict()[name], tensor, rtol=0, atol=0)
    ignored = ("seconds", "epoch_seconds", "config")
    records = [{k: v for k, v in m.training.items() if k not in ignored} for m in (model, expected)]
    assert records[0] == records[1]
    assert model.temperature == expected.temperature


def test_it_learns(dataset):
    model = run(dataset, epochs=15, learning_rate=0.02)
    history = model.training["history"]
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    figures = gnnseg.evaluate(dataset, model, split="val")
    assert figures["miou"] == pytest.approx(model.training["val_miou"], abs=1e-6)
    assert figures["miou"] > 0.5
    assert figures["ceiling_miou"] is None
    assert figures["ece"] <= figures["ece_uncalibrated"] + 0.02


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("update", [0, 2, 5])
def test_ctrl_c_at_any_update_changes_nothing(dataset, path, monkeypatch, optimiser, update):
    expected = run(dataset, optimiser=optimiser)
    step, count = PixelTrainer._step, iter(range(1000))

    def interrupted(self, batch):
        if next(count) == update:
            os.kill(os.getpid(), signal.SIGINT)
        step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(PixelTrainer, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, optimiser=optimiser, checkpoint=path)
    assert_same(run(dataset, optimiser=optimiser, checkpoint=path), expected)


def test_a_ledger_has_the_stages_and_changes_no_bit(dataset):
    ledger = Ledger()
    assert_same(run(dataset, ledger=ledger), run(dataset))
    stages = ledger.as_dict()
    assert list(stages) == ["pictures", "updates", "validation"]
    assert all(stage["seconds"] > 0 for stage in stages.values())
    # Two convolutions of 3 x 3, from 3 to 8 channels and from 8 to 3 classes.
    each = 2 * 9 * (3 * 8 + 8 * 3)
    train, val = (len(dataset.split(split)) for split in ("train", "val"))
    crops = train * round(80 * 96 / 40**2)
    assert stages["pictures"]["operations"] is None
    assert stages["updates"]["operations"] == 3 * 3 * crops * 40**2 * each
    # Four tiles of an image, after three epochs and at the end.
    assert stages["validation"]["operations"] == 4 * val * 4 * 64**2 * each


def test_a_checkpoint_of_other_settings_is_refused(dataset, path):
    run(dataset, epochs=1, checkpoint=path)
    with pytest.raises(StateError, match="crop 40, now 48"):
        run(dataset, epochs=1, crop=48, checkpoint=path)


def test_images_without_a_split_are_held_out(dataset):
    items = [*dataset.split("train"), *dataset.split("val")]
    images, labels = [i.image for i in items], [i.read_labels() for i in items]
    pictures = [i.open_image().read(i.open_image().bounds) for i in items]
    assert len(images) == len(labels)
    model = baselines.train(
        [np.moveaxis(p, 0, -1) for p in pictures], labels, val=0.5, **{**SETTINGS, "epochs": 1}
    )
    assert model.classes.num_classes == 3


@pytest.mark.parametrize(("shape", "parts"), [((80, 96), 4), ((50, 96), 2), ((50, 60), 1)])
def test_a_single_picture_is_cut_so_that_a_part_validates(shape, parts, monkeypatch, caplog):
    seen = []
    monkeypatch.setattr(
        PixelTrainer,
        "run",
        lambda self, *args, run=PixelTrainer.run: seen.append(self) or run(self, *args),
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, shape).astype(np.uint8)
    image = np.repeat((90 * labels)[..., None], 3, axis=2)
    model = baselines.train([image], [labels], **{**SETTINGS, "epochs": 1})
    train, val = seen[0].crops.pictures, seen[0].val
    assert np.isfinite(model.training["val_miou"])
    if parts == 1:
        assert train[0] is val[0]
        assert "one piece, too small to be cut, which validates itself" in caplog.messages[0]
        return
    assert (len(train), len(val)) == (parts - 1, 1)
    assert len({picture.stem for picture in [*train, *val]}) == parts
    assert sum(picture.labels.size for picture in [*train, *val]) == labels.size
    np.testing.assert_array_equal(val[0].pixels[0], 90 * val[0].labels)
    assert caplog.messages == []


def test_a_class_that_val_lacks_is_left_out_and_told(dataset, caplog, monkeypatch):
    def relabelled(item):
        labels = item.read_labels().copy()
        labels[labels == 2] = 0
        return replace(item, label=labels)

    seen, validate = [], PixelTrainer._validate

    def kept(self):
        seen.append(validate(self))
        return seen[-1]

    monkeypatch.setattr(PixelTrainer, "_validate", kept)
    val = tuple(relabelled(item) for item in dataset.split("val"))
    model = run(Dataset("lacking", dataset.classes, {**dataset.items, "val": val}))
    best = [max(matrix.present_miou for matrix in epoch) for epoch in seen]
    assert model.training["history"]["val_miou"] == best
    every = [matrix for epoch in seen for matrix in epoch]
    assert all(matrix.counts[:, 2].any() and not matrix.counts[2].any() for matrix in every)
    [message] = caplog.messages
    assert f"no pixel of {dataset.classes.names[2]}: " in message


def test_where_no_val_image_has_a_label_training_images_validate(dataset, caplog):
    def blank(item):
        return replace(item, label=np.full((80, 96), 255, np.uint8))

    items = {**dataset.items, "val": tuple(map(blank, dataset.split("val")))}
    model = run(Dataset("blank", dataset.classes, items))
    [message] = caplog.messages
    assert "blank: no pixel of the val images has a label" in message
    assert_same(model, run(Dataset("blank", dataset.classes, {"train": dataset.items["train"]})))


def test_labels_of_nothing_are_refused():
    nothing = [np.full((80, 96), 255, np.uint8)]
    with pytest.raises(InputError, match="no pixel of the training images has a label"):
        baselines.train([np.zeros((80, 96, 3), np.uint8)], nothing, classes=3, **SETTINGS)


def test_the_minutes_bound_a_training(dataset):
    model = run(dataset, epochs=100_000, max_minutes=0.01)
    assert 1 <= model.training["epochs"] < 100


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "resnet"}, "no network is named 'resnet': choose one of"),
        ({"step": 8}, "'step'"),
        ({"crop": 8}, "'crop'"),
        ({"optimiser": "adam"}, "'optimiser'"),
        ({"seed": 2**32}, "'seed'"),
        ({"seed": -1}, "'seed'"),
        ({"tile": 128, "overlap": 65}, "^tiles of 128 pixels overlap by 0 to 64, got 65"),
        ({"augmentation": {"shift": 3}}, "^the augmentation 'shift' is of regions"),
        ({"vgg16": "w.safetensors"}, "^vgg16: unet has no encoder of VGG-16; segnet does"),
    ],
)
def test_wrong_settings_are_named(given, message):
    with pytest.raises(UsageError, match=message):
        make_cnn_config(**given)


def test_crops_that_teach_outer_taps_nothing_are_refused(dataset):
    with pytest.raises(UsageError, match=r"reaches 288 pixels: .* crop of 256 .*above 288"):
        run(dataset, model="deeplabv3plus", crop=256, tile=512, overlap=96)
    for given in ({}, {"crop": 289}, {"crop": 256, "tile": 256}):
        make_cnn_config(model="gated-scnn", **given).check_reach()
    make_cnn_config(model="enet", crop=32).check_reach()


def test_an_encoder_may_start_from_weights_in_a_file(dataset, tmp_path, monkeypatch, tiny_net):
    given = tmp_path / "vgg16.safetensors"
    loaded = []
    monkeypatch.setattr(
        tiny_net, "load_vgg16", lambda _self, path: loaded.append(path), raising=False
    )
    model = run(dataset, model="segnet", vgg16=given, epochs=1)
    assert loaded == [given]
    save_pixel_model(model, tmp_path / "m.safetensors")
    found = load_pixel_model(tmp_path / "m.safetensors")
    assert found.training["config"]["vgg16"] == str(given)


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint16"])
def test_images_of_other_types_are_learnt_from(dtype):
    rng = np.random.default_rng(0)
    labels = [np.kron(rng.integers(0, 2, (3, 3)), np.ones((20, 20))).astype(np.uint8)] * 2
    images = [(100 + 50 * label + rng.random(label.shape)).astype(dtype) for label in labels]
    model = baselines.train(images, labels, augment="street", **{**SETTINGS, "epochs": 1})
    assert np.isfinite(model.training["history"]["loss"]).all()


def test_a_model_knows_the_pixel_size_of_its_images_in_micrometres(dataset):
    item = dataset.split("train")[0]
    image = open_image(np.moveaxis(item.open_image().read(item.open_image().bounds), 0, -1))
    labelled = [replace(image, pixel_size=(500.0, 250.0), unit="nanometer")], [item.read_labels()]
    assert run(ArrayDataset(*labelled, 3), epochs=1).pixel_size == (0.5, 0.25)


def test_a_file_holds_the_whole_model(model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_pixel_model(model, path)
    found = load_pixel_model(path)
    assert (found.tile, found.overlap, found.temperature) == (64, 16, 0.5)
    assert found.classes == model.classes
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9), np.uint8)
    np.testing.assert_array_equal(
        found.standardise(pixels, found.scaling)[0], model.standardise(pixels, model.scaling)[0]
    )
    assert isinstance(gnnseg.load_model(path), baselines.PixelModel)
    with pytest.raises(InputError, match=r"m\.safetensors: is a convolutional network"):
        load_model(path)


def test_a_file_of_the_format_before_comes_back(model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_pixel_model(model, path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["gnnseg"])
    header["format_version"] = 1
    del header["scaling"]["by_image"]
    save_file(load_file(path), path, {"gnnseg": json.dumps(header)})
    assert load_pixel_model(path).scaling == model.scaling


def test_a_file_of_regions_is_no_network(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"gnnseg": json.dumps({"format_version": 3})})
    with pytest.raises(InputError, match="is a model of regions"):
        load_pixel_model(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 99, "update gnnseg"),
        ("temperature", 0, "temperature must be above 0"),
        ("model", "resnet", "no network is named"),
        ("overlap", 60, "overlap by 0 to 32"),
        ("tile", 0, "64 to 8192 pixels"),
        ("classes", None, "class"),
        ("scaling", {}, "no readable model"),
    ],
)
def test_damaged_files_are_refused(model, tmp_path, key, value, message, monkeypatch):
    monkeypatch.undo()
    path = tmp_path / "m.safetensors"
    save_pixel_model(model, path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["gnnseg"])
    save_file(load_file(path), path, {"gnnseg": json.dumps({**header, key: value})})
    with pytest.raises(InputError, match=message):
        load_pixel_model(path)


@pytest.mark.parametrize("std", [[1.0, 0.0, 1.0], [1.0, np.nan, 1.0], [1.0, 1.0]])
def test_statistics_that_cannot_be_are_refused(model, tmp_path, std):
    path = tmp_path / "m.safetensors"
    save_pixel_model(replace(model, std=np.array(std, np.float32)), path)
    with pytest.raises(InputError, match="statistics do not fit"):
        load_pixel_model(path)


def test_classes_of_other_data_are_refused(dataset, model):
    other = replace(model, classes=ClassInfo(("a", "b", "c")))
    with pytest.raises(InputError, match="take the kind of data"):
        gnnseg.evaluate(dataset, other)
    named = replace(model, classes=dataset.classes)
    with pytest.raises(UsageError, match="a convolutional network has none"):
        gnnseg.evaluate(dataset, named, split="val", refine=True)
