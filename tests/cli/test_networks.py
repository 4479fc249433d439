"""A convolutional network with the verbs of region models."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def network(gnnseg_json, dataset, tmp_path_factory):
    """What `gnnseg train --model enet` said."""
    folder = tmp_path_factory.mktemp("network")
    config = folder / "enet.toml"
    config.write_text("crop = 128\ntile = 160\noverlap = 32\nbatch = 2\n")
    out = folder / "enet.safetensors"
    options = ("--model", "enet", "--config", config, "--epochs", 1)
    return gnnseg_json("train", dataset, "-o", out, *options)


def test_it_is_trained_and_told_about(gnnseg_json, dataset, network):
    assert (network["network"], network["preset"], network["epochs"]) == ("enet", None, 1)
    assert network["num_parameters"] > 340_000
    about = gnnseg_json("info", network["model"])
    assert (about["of"], about["network"]) == ("pixels", "enet")
    figures = gnnseg_json("evaluate", dataset, "-m", network["model"], "--split", "val")
    assert figures["miou"] == pytest.approx(network["val_miou"], abs=2e-3)
    assert figures["ceiling_miou"] is None


def test_it_segments_within_a_budget(gnnseg, gnnseg_json, dataset, network, tmp_path):
    image, out = dataset / "images" / "5.png", tmp_path / "labels.png"
    options = ("-m", network["model"], "-o", out)
    plan = gnnseg_json("segment", image, *options, "--dry-run")
    assert plan["tiles"] == 4
    assert not out.exists()
    result = gnnseg_json("segment", image, *options, "--memory", "900MiB")
    assert result["peak_rss_bytes"] < 900 * 2**20
    labels = np.asarray(Image.open(out))
    assert labels.shape == (204, 272)
    assert sum(row["pixels"] for row in result["classes"]) == labels.size
    message = gnnseg("segment", image, *options, "--memory", "50MiB", "--overwrite", code=5).stderr
    assert "tiles of 160 pixels through enet" in message
    assert out.exists()


def test_what_does_not_fit_is_refused(gnnseg, dataset, network, tmp_path):
    out = tmp_path / "m.safetensors"
    train = ("train", dataset, "-o", out)
    for options, message in (
        (("--model", "lenet"), "no network is named 'lenet'"),
        (("--model", "enet", "--preset", "mlp"), "name two models"),
        (("--model", "enet", "--step", 8), "--step is of regions"),
        (("--model", "enet", "--graph-memory", "1GiB"), "--graph-memory is of regions"),
        # Of GPUs there are none, or fewer.
        (("--model", "enet", "--device", "cuda", "--devices", 64), "--device cpu"),
    ):
        found = gnnseg(*train, *options, code=2).stderr
        assert message in found
        assert "Traceback" not in found
    image = dataset / "images" / "5.png"
    suggest = ("suggest", image, "-m", network["model"], "-o", tmp_path / "next.json")
    assert "is a convolutional network" in gnnseg(*suggest, code=3).stderr
    segment = ("segment", image, "-m", network["model"], "-o", tmp_path / "labels.png", "--dry-run")
    assert "is about regions" in gnnseg(*segment, "--keep", tmp_path / "kept", code=2).stderr
    named = tmp_path / "named.toml"
    named.write_text('model = "lenet"\n')
    assert "no network is named" in gnnseg(*train, "--config", named, code=2).stderr
    named.write_text('model = "enet"\nvgg16 = "weights.safetensors"\n')
    assert "enet has no encoder of VGG-16" in gnnseg(*train, "--config", named, code=2).stderr
    assert list(tmp_path.iterdir()) == [named]
