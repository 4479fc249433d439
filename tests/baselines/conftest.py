"""A small network on pixels with weights drawn at random, and a set that it could learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnnseg.baselines import PixelModel
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.execution import one_torch_thread
from gnnseg.io import ClassInfo
from gnnseg.superpixels import Scaling

CLASSES = 3


class TinyNet(nn.Module):
    """Two convolutions, the second on pixels far apart: what a tile's edge hides changes much."""

    def __init__(self, num_channels=3, num_classes=CLASSES, reach=5):
        super().__init__()
        self.near = nn.Conv2d(num_channels, 8, 3, padding=1)
        self.far = nn.Conv2d(8, num_classes, 3, padding=reach, dilation=reach)

    @property
    def output_bias(self):
        return self.far.bias

    def forward(self, x):
        return self.far(torch.relu(self.near(x)))


def _make_model(network=None, **more):
    torch.manual_seed(0)
    given = {
        "name": "unet",
        "options": {},
        "scaling": Scaling((0.0,) * 3, (255.0,) * 3, rgb=True),
        "mean": np.full(3, 0.4, np.float32),
        "std": np.full(3, 0.2, np.float32),
        "classes": ClassInfo(tuple(f"class_{n}" for n in range(CLASSES))),
        "tile": 64,
        "overlap": 16,
        "network": (network or TinyNet()).eval(),
        "temperature": 0.5,
    }
    return PixelModel(**{**given, **more})


@pytest.fixture(scope="session")
def make_model():
    """`make_model(overlap=3)`: a model of tiles of 64 pixels, always with the same weights."""
    return _make_model


@pytest.fixture(autouse=True)
def one_thread():
    """Networks are too small for more."""
    with one_torch_thread():
        yield


@pytest.fixture(scope="session")
def tiny_net():
    return TinyNet


@pytest.fixture
def model():
    return _make_model()


@pytest.fixture(scope="session")
def dataset():
    return synthetic_dataset(6, height=80, width=96, num_classes=CLASSES, val=0.4)
