"""Models for which every image has a scale of brightness of its own."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg import baselines
from gnnseg.datasets.arrays import ArrayDataset
from gnnseg.io import open_image
from gnnseg.models import save_model
from gnnseg.pipeline import evaluate

DIMMER = 0.25
"""A power of two: floats are divided without rounding."""


@pytest.fixture(scope="module")
def pictures(dataset):
    """Images (C, H, W) float32 and labels (H, W)."""
    items = [item.load() for item in dataset.split("train")]
    return [image.read(image.bounds).astype(np.float32) for image, _ in items], [
        labels for _, labels in items
    ]


@pytest.fixture(scope="module")
def exposed(pictures):
    """The same as a dataset."""
    images, labels = pictures
    opened = [open_image(image, axes="CYX", rgb=True) for image in images]
    return ArrayDataset(opened, labels, 3, val=0.4)


@pytest.fixture(scope="module")
def regions(exposed):
    settings = {"contrast": "image", "epochs": 3, "device": "cpu"}
    return gnnseg.train(exposed, preset="small", step=8, **settings)


@pytest.fixture(scope="module")
def network(exposed):
    settings = {"contrast": "image", "epochs": 1, "device": "cpu"}
    return baselines.train(exposed, model="enet", crop=64, tile=128, overlap=32, **settings)


@pytest.fixture(params=["regions", "network"])
def model(request):
    return request.getfixturevalue(request.param)


def labels_of(pixels, model, out, **options):
    image = open_image(pixels, axes="CYX", rgb=True)
    gnnseg.segment(image, model, out, overwrite=True, **options)
    return zarr.open_group(out, mode="r")["0"][:]


def test_an_image_has_the_same_labels_however_bright_and_in_whatever_blocks(
    pictures, model, tmp_path
):
    pixels, out = pictures[0][0], tmp_path / "labels.zarr"
    expected = labels_of(pixels, model, out)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(labels_of(pixels * DIMMER, model, out), expected)
    np.testing.assert_array_equal(labels_of(pixels, model, out, block=64, workers=2), expected)


def test_a_file_keeps_that(model, pictures, tmp_path):
    path = tmp_path / "m.safetensors"
    save = baselines.save_pixel_model if hasattr(model, "tile") else save_model
    save(model, path)
    found = gnnseg.load_model(path)
    assert found.scaling == model.scaling
    assert found.scaling.by_image
    image, labels = (part[:1] for part in pictures)
    dim = [open_image(image[0] * DIMMER, axes="CYX", rgb=True)]
    assert evaluate(dim, found, labels)["miou"] == evaluate(dim, model, labels)["miou"] > 0


def test_val_is_measured_alike_while_training_and_after(exposed, model):
    assert model.training["config"]["contrast"] == "image"
    found = evaluate(exposed, model, split="val")["miou"]
    assert found == pytest.approx(model.training["val_miou"], abs=1e-6)


def test_an_image_is_sampled_once(exposed, model, monkeypatch):
    scaling, sampled = sys.modules["gnnseg.superpixels.scaling"], []
    sample = scaling.sample_pixels
    monkeypatch.setattr(
        scaling, "sample_pixels", lambda *args: sampled.append(args) or sample(*args)
    )
    found = evaluate(exposed, model, split="val", workers=1)
    assert len(sampled) == found["num_images"] > 0
