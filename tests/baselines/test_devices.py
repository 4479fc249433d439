"""Several processes that train one convolutional network."""

from __future__ import annotations

import importlib
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from gnnseg import baselines
from gnnseg.baselines import make_cnn_config, stage, trainer
from gnnseg.baselines.crops import Picture
from gnnseg.baselines.networks import build_network
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import StateError
from gnnseg.superpixels import Scaling
from gnnseg.training.ranks import Alone

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

RGB = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
# Fifteen crops an epoch: of two batches of seven the last has a part for one process only.
SETTINGS = {
    "model": "unet-classic",
    "options": {"width": 2, "batch_norm": False, "dropout": 0.0},
    "crop": 48, "batch": 7, "epochs": 3, "tile": 64, "overlap": 16, "device": "cpu",
    "average": 0.5, "learning_rate": 5e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(7, height=80, width=96, num_classes=3, val=0.3)


@pytest.fixture(scope="module", autouse=True)
def spawned():
    """The module that processes find; all networks here compute in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        found = importlib.import_module("spawned")
        patch.setattr(trainer, "half_pays", lambda _device: False)
        patch.setattr(stage, "PixelTrainer", found.in_float32)
        yield found


@pytest.fixture(scope="module")
def two(dataset):
    return baselines.train(dataset, **SETTINGS, devices=2)


def running():
    """The processes that train."""
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_two_processes_do_what_one_does_with_twice_the_batch(dataset, two):
    one = baselines.train(dataset, **{**SETTINGS, "batch": 14})
    other = baselines.train(dataset, **SETTINGS)
    histories = [model.training["history"] for model in (two, one, other)]
    for name in ("loss", "val_miou", "learning_rate"):
        got, expected, differs = (np.array(history[name]) for history in histories)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-3 if "miou" in name else 0)
        assert name != "loss" or not np.allclose(got, differs, rtol=1e-3)
    states = zip(two.network.state_dict().items(), one.network.state_dict().values(), strict=True)
    for (name, weights), expected in states:
        torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4, msg=name)
    assert two.temperature == pytest.approx(one.temperature, rel=1e-2)


def test_ctrl_c_leaves_a_checkpoint_that_goes_on_with_the_same_bits(
    dataset, two, tmp_path, monkeypatch
):
    path = tmp_path / "m.checkpoint"
    watching = stage.watching

    @contextmanager
    def pressing(*arguments):
        with watching(*arguments):
            yield lambda _history: os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "watching", pressing)
        with pytest.raises(KeyboardInterrupt):
            baselines.train(dataset, **SETTINGS, devices=2, checkpoint=path)
    assert path.exists()
    assert running() == []
    with pytest.raises(StateError, match="devices 2, now 1"):
        baselines.train(dataset, **SETTINGS, checkpoint=path)
    model = baselines.train(dataset, **SETTINGS, devices=2, checkpoint=path)
    states = zip(model.network.state_dict().items(), two.network.state_dict().values(), strict=True)
    for (name, weights), expected in states:
        assert torch.equal(weights, expected), name
    assert model.training["history"] == two.training["history"]
    assert model.temperature == two.temperature


def test_an_error_of_a_process_arrives_as_one_message(dataset, spawned, monkeypatch, capfd):
    monkeypatch.setattr(stage, "PixelTrainer", spawned.failing)
    # Shares of 3/4 and 1/4 of [1, 2] and 3 [1, 2], and of 4 and 12.
    message = r"process 2 of 2: ValueError: means \[\[\[1\.5, 3\.0\]\], 6\.0\]"
    with pytest.raises(RuntimeError, match=message):
        baselines.train(dataset, **SETTINGS, devices=2)
    assert running() == []
    assert "Traceback" not in capfd.readouterr().err


class OneOfTwo(Alone):
    """A process that hears nothing of the other."""

    size = 2

    def __init__(self, rank):
        self.rank, self.said, self.gradients = rank, [], []

    def add_gradients(self, parameters):
        self.gradients = [p.grad.clone() for p in parameters]

    def average(self, values, share):
        self.said.append([share * value.clone() for value in values])
        for value in values:
            value.fill_(7)


def test_statistics_of_batch_norm_are_means_over_the_processes(make_model):
    random = np.random.default_rng(0)
    shape = 80, 96
    pictures = [
        Picture(
            str(n), random.integers(0, 256, (3, *shape), np.uint8), np.zeros(shape, np.uint8), RGB
        )
        for n in range(5)
    ]
    changes = {"options": {"width": 2, "dropout": 0.0}, "average": 0.0, "epochs": 1}
    config = make_cnn_config(**{**SETTINGS, **changes, "batch": 8})
    said, means, deviations = [], [], []
    for rank in range(2):
        torch.manual_seed(rank)
        network = build_network("unet-classic", 3, 3, config.options)
        model, first = make_model(network=network), network.contracting[0][0]
        ranks = OneOfTwo(rank)
        loop = trainer.PixelTrainer(model, pictures, pictures, config, ranks=ranks)
        order = torch.randperm(15, generator=torch.Generator().manual_seed(config.seed))
        numbers = loop.crops.numbers()
        crops = [loop.crops(0, *numbers[n])[0] for n in order[rank::2].tolist()]
        with torch.no_grad():
            maps = first(torch.from_numpy(np.stack(crops))).movedim(1, 0).flatten(1)
        means.append(maps.mean(dim=1))
        deviations.append(maps.var(dim=1))
        loop.run()
        said.append(ranks.said[0])
        # What is averaged is what the average of the weights follows.
        assert torch.all(loop.state.average.contracting[0][1].running_mean == 7)
    assert len(said[0]) == 2 * 18
    mean, variance = said[0][0] + said[1][0], said[0][1] + said[1][1]
    # Of a step of 0.1 from a mean of 0 and a variance of 1; eight crops of 15, and seven.
    torch.testing.assert_close(mean, 0.1 * (8 * means[0] + 7 * means[1]) / 15)
    torch.testing.assert_close(variance, 0.9 + 0.1 * (8 * deviations[0] + 7 * deviations[1]) / 15)


def test_a_loss_of_the_network_itself_counts_by_the_share_of_the_crops(make_model, tiny_net):
    class Leaning(tiny_net):
        def forward_train(self, x, _labels, _ignore_index):
            return self(x), self.far.bias.sum()

    pixels, unlabelled = np.zeros((3, 80, 96), np.uint8), np.full((80, 96), 255, np.uint8)
    pictures = [Picture(str(n), pixels, unlabelled, RGB) for n in range(5)]
    config = make_cnn_config(**{**SETTINGS, "batch": 8, "class_weights": "none"})
    for rank, share in enumerate((8 / 15, 7 / 15)):
        ranks = OneOfTwo(rank)
        model = make_model(network=Leaning())
        loop = trainer.PixelTrainer(model, pictures, pictures, config, ranks=ranks)
        loop._train_epoch(lambda: False)
        *others, bias = ranks.gradients
        torch.testing.assert_close(bias, torch.full((3,), share))
        assert not any(gradient.any() for gradient in others)
