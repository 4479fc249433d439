"""Random lattice graphs and models over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.blocks import Window
from gnnseg.features import feature_names
from gnnseg.graph import RegionTable
from gnnseg.io import ClassInfo
from gnnseg.models import Model, get_preset, select_features
from gnnseg.superpixels import Scaling, SlicSettings

SCALING = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)


@pytest.fixture
def make_model():
    """`make_model("default", num_classes=3, seed=0, **options)`: a model with random weights."""

    def make(preset, num_classes=3, *, seed=0, **options):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        features = select_features(get_preset(preset), SCALING, place=False)
        model = Model(
            preset=preset,
            options=options,
            settings=SlicSettings(step=8, n_iter=3),
            scaling=SCALING,
            features=features,
            mean=rng.random(len(features)).astype(np.float32),
            std=rng.uniform(0.5, 2, len(features)).astype(np.float32),
            classes=ClassInfo(tuple(f"class {n}" for n in range(num_classes))),
            pixel_size=(0.5, 0.25),
            training={"seconds": 1.5},
            temperature=1.25,
        )
        for parameter in model.network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return model

    return make


@pytest.fixture
def make_table():
    """`make_table(seed, height, width)`: a table with contacts between cells at most two apart."""

    def make(seed, height, width, *, empty=0.1):
        rng = np.random.default_rng(seed)
        window = Window(0, height, 0, width)
        table = RegionTable.empty(window, 8, len(feature_names(3, rgb=True)), 2)
        table.area[:] = rng.integers(1, 100, window.shape) * (rng.random(window.shape) >= empty)
        occupied = table.area > 0
        table.x[:] = rng.random(table.x.shape) * occupied[..., None]
        table.moment[:] = table.area[..., None] * rng.integers(0, 8, (*window.shape, 2))
        for code in range(12):
            dy, dx = code // 5 - 2, code % 5 - 2
            first = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
            other = np.s_[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
            both = occupied[first] & occupied[other] & (rng.random(occupied[first].shape) < 0.3)
            contact = both * rng.integers(1, 20, both.shape)
            contrast = contact * rng.integers(0, 800, both.shape)
            table.contact[first][..., code] = table.contact[other][..., 24 - code] = contact
            table.contrast[first][..., code] = table.contrast[other][..., 24 - code] = contrast
        return table

    return make
