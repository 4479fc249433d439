"""A small trained model and the images it was trained on."""

from __future__ import annotations

import pytest

import gnnseg
from gnnseg.datasets.synthetic import synthetic_dataset


@pytest.fixture(scope="session")
def dataset():
    return synthetic_dataset(4, height=192, width=200, num_classes=3, seed=0, val=0.25)


@pytest.fixture(scope="session")
def model(dataset):
    return gnnseg.train(dataset, step=8, epochs=2)


@pytest.fixture(scope="session")
def pixels(dataset):
    """Two images, (C, H, W) uint8 each."""
    images = [item.open_image() for item in dataset.split("train")[:2]]
    return [image.read(image.bounds) for image in images]
