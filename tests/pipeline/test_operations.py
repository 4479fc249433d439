"""Operations of the stages, against PyTorch's own count while the same blocks run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gnnseg.io import ClassInfo, open_image
from gnnseg.models import Model, get_preset, select_features
from gnnseg.models import messages as layer
from gnnseg.pipeline.job import prepare
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.segment import run
from gnnseg.superpixels import Scaling, SlicSettings

STEP = 5
STEM = {"widths": [6, 8, 12], "blocks": [1, 1], "out_channels": 5}
OPTIONS = {
    "mlp": {"hidden": 20},
    "jain2023": {},
    "large": {"widths": [16, 20, 24], "down": [1, 2, 1], "up": [1, 1], "stem": STEM},
}


def make_model(preset):
    torch.manual_seed(0)
    scaling = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
    features = select_features(get_preset(preset), scaling, place=False)
    return Model(
        preset=preset,
        options=OPTIONS[preset],
        settings=SlicSettings(step=STEP, n_iter=1),
        scaling=scaling,
        features=features,
        mean=np.zeros(len(features), np.float32),
        std=np.ones(len(features), np.float32),
        classes=ClassInfo(("a", "b", "c")),
    )


@pytest.fixture
def messages(monkeypatch):
    """Shapes of the edges' attributes, and the channels, of each call of the compiled loop."""
    found, real = [], layer.gated_messages

    def noted(target, source, edge_index, edge_attr, weight, bias):
        found.append((*edge_attr.shape, target.shape[1] // 2))
        return real(target, source, edge_index, edge_attr, weight, bias)

    monkeypatch.setattr(layer, "gated_messages", noted)
    return found


def segmented(preset, out, messages):
    """Operations by stage of a run on one thread, and those that PyTorch counted in all.

    20 x 260 cells, in blocks of 128 for pixels and of 256 for layers.
    """
    image = np.random.default_rng(0).integers(0, 256, (3, 10, 130), np.uint8)
    image = open_image(image.repeat(10, axis=1).repeat(10, axis=2), axes="CYX")
    options = SegmentOptions(memory=1 << 32, workers=1, block=128 * STEP)
    job = prepare(image, make_model(preset), options)
    messages.clear()
    with FlopCounterMode(display=False) as counter:
        stages = run(job, out)["stages"]
    return {name: s["operations"] for name, s in stages.items()}, counter.get_total_flops()


@pytest.mark.parametrize("preset", list(OPTIONS))
def test_stages_count_what_ran_on_their_blocks(preset, messages, tmp_path):
    found, expected = segmented(preset, tmp_path / "labels.zarr", messages)
    # A sum and a quotient a channel for the sigmoid, 12 for its exponential, two sums in the gate,
    # the sum of the messages; a product and a sum for each attribute.
    expected += sum(edges * width * (2 * attributes + 17) for edges, attributes, width in messages)
    told = {name: number for name, number in found.items() if number is not None}
    names = {name for name in found if name.startswith("network")}
    assert told.keys() == names | ({"stem"} if preset == "large" else set())
    assert len(names) == {"mlp": 1, "jain2023": 1, "large": 5}[preset]
    assert min(told.values()) > 0
    assert sum(told.values()) == expected


def test_a_perceptron_by_hand(messages, tmp_path):
    """Rows and channels are padded, block by block."""
    found, _ = segmented("mlp", tmp_path / "labels.zarr", messages)
    inputs, hidden, classes = (-(-n // 16) * 16 for n in (len(make_model("mlp").features), 20, 3))
    rows = sum(-(-20 * columns // 64) * 64 for columns in (256, 4))
    assert found["network_mlp"] == 2 * rows * (inputs * hidden + hidden * classes)
