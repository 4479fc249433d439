"""Weights of VGG-16: which layer gets which, and files that do not fit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gnnseg.baselines import make_cnn_config
from gnnseg.baselines.networks import build_network
from gnnseg.errors import InputError, MissingInputError, StateError
from gnnseg.training.checkpoint import FORMAT_VERSION, Checkpoint, Clock

# Convolutions of configuration D of the paper, by hand: channels in and out, and torchvision's
# numbers of `features` without and with batch norm.
LAYERS = [
    (3, 64, 0, 0),
    (64, 64, 2, 3),
    (64, 128, 5, 7),
    (128, 128, 7, 10),
    (128, 256, 10, 14),
    (256, 256, 12, 17),
    (256, 256, 14, 20),
    (256, 512, 17, 24),
    (512, 512, 19, 27),
    (512, 512, 21, 30),
    (512, 512, 24, 34),
    (512, 512, 26, 37),
    (512, 512, 28, 40),
]


def weights(*, batch_norm):
    """Each layer has a value of its own."""
    tensors = {"classifier.0.bias": torch.zeros(4096)}
    for number, (inner, outer, plain, normed) in enumerate(LAYERS):
        place = normed if batch_norm else plain
        tensors[f"features.{place}.weight"] = torch.full((outer, inner, 3, 3), number + 0.25)
        tensors[f"features.{place}.bias"] = torch.full((outer,), number + 0.5)
        if batch_norm:
            for offset, name in enumerate(("weight", "bias", "running_mean", "running_var")):
                tensors[f"features.{place + 1}.{name}"] = torch.full((outer,), number + offset / 8)
    return tensors


@pytest.fixture(scope="module")
def network():
    return build_network("segnet", 3, 2)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_each_layer_gets_its_weights(tmp_path, network, batch_norm):
    save_file(weights(batch_norm=batch_norm), tmp_path / "vgg.safetensors")
    convs = [module for module in network.encoder.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.constant_(norm.running_mean, -1)
    decoder = [values.clone() for values in network.decoder.parameters()]
    network.load_vgg16(tmp_path / "vgg.safetensors")
    assert len(convs) == len(norms) == 13
    for number, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        assert (conv.weight == number + 0.25).all()
        assert (conv.bias == number + 0.5).all()
        assert (norm.running_mean == (number + 0.25 if batch_norm else -1)).all()
        if batch_norm:
            assert (norm.weight == number).all()
            assert (norm.bias == number + 0.125).all()
            assert (norm.running_var == number + 0.375).all()
    assert all(map(torch.equal, network.decoder.parameters(), decoder))


def test_a_pickle_is_refused_and_the_error_tells_how_to_convert_it(tmp_path, network):
    torch.save(weights(batch_norm=False), tmp_path / "vgg16.pth")
    with pytest.raises(InputError, match="weights_only=True"):
        network.load_vgg16(tmp_path / "vgg16.pth")


def _without(tensors, name):
    del tensors[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: _without(t, "features.28.bias"), "has no features.28.bias"),
        (lambda t: t.update({"features.0.weight": torch.zeros(64, 1, 3, 3)}), "the encoder needs"),
        (lambda t: t["features.28.weight"].fill_(float("nan")), "not finite"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(tmp_path, network, change, message):
    tensors = weights(batch_norm=False)
    change(tensors)
    save_file(tensors, tmp_path / "vgg.safetensors")
    before = [values.clone() for values in network.parameters()]
    with pytest.raises(InputError, match=message):
        network.load_vgg16(tmp_path / "vgg.safetensors")
    assert all(map(torch.equal, network.parameters(), before))


def test_files_that_are_none_are_errors(tmp_path, network):
    with pytest.raises(MissingInputError, match="no such file"):
        network.load_vgg16(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(InputError, match="no readable file of weights"):
        network.load_vgg16(tmp_path / "text.safetensors")


def test_another_width_does_not_fit(tmp_path):
    save_file(weights(batch_norm=False), tmp_path / "vgg.safetensors")
    with pytest.raises(
        InputError, match=r"shape \(64, 3, 3, 3\), the encoder needs \(8, 3, 3, 3\)"
    ):
        build_network("segnet", 3, 2, {"width": 8}).load_vgg16(tmp_path / "vgg.safetensors")


def test_a_training_is_of_what_the_file_holds(tmp_path):
    path = tmp_path / "vgg16.safetensors"
    path.write_bytes(b"one")
    config = make_cnn_config(model="segnet", vgg16=path)
    before = config.identity()
    assert before == {**config.model_dump(mode="json"), "vgg16_sha256": before["vgg16_sha256"]}
    checkpoint = Checkpoint(path.with_suffix(".checkpoint"), before, Clock())
    path.write_bytes(b"two")
    with pytest.raises(StateError, match=r"other settings \(other weights of VGG-16\)"):
        checkpoint._check({"format_version": FORMAT_VERSION, "settings": config.identity()})
    path.unlink()
    with pytest.raises(MissingInputError, match="no such file"):
        config.identity()
    other = make_cnn_config(model="segnet")
    assert other.identity() == other.model_dump(mode="json")
