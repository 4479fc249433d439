"""Borders that are learnt: better where pixels tell, for any tiling, never worse on val."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.datasets import ArrayDataset
from gnnseg.errors import InputError, MemoryBudgetError, UsageError
from gnnseg.io import open_image
from gnnseg.models import save_model


def disc(seed, side=96):
    """A bright disc whose rim, three pixels wide, has a label that its colours do not tell."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    radius, (down, right) = rng.uniform(20, 34), rng.uniform(-8, 8, 2)
    away = np.hypot(y - side / 2 - down, x - side / 2 - right) - radius
    label = np.where(np.abs(away) < 1.5, 2, away < 0).astype(np.uint8)
    image = np.clip(150 - 100 * np.tanh(away / 2) + rng.normal(0, 8, label.shape), 0, 255)
    return image.astype(np.uint8), label


@pytest.fixture(scope="module")
def pictures():
    images, labels = zip(*(disc(seed) for seed in range(8)), strict=True)
    return list(images), list(labels)


@pytest.fixture(scope="module")
def trained(pictures):
    return gnnseg.train(*pictures, classes=["ground", "disc", "rim"], step=8, epochs=6)


@pytest.fixture(scope="module")
def learnt(pictures, trained):
    images, labels = pictures
    return gnnseg.learn_borders(images, trained, labels)


def test_what_pixels_tell_is_learnt(trained, learnt):
    about = learnt.training["borders"]
    assert about["kept"]
    assert about["val_miou"] > about["val_miou_mixed"] + 0.02
    fresh = [disc(seed) for seed in (100, 101)]
    images, labels = ([pair[k] for pair in fresh] for k in (0, 1))
    before, after = (
        gnnseg.evaluate(images, model, labels, refine=True)["miou"] for model in (trained, learnt)
    )
    assert after > before + 0.02


def test_figures_of_val_are_those_of_evaluate(pictures, learnt):
    images, labels = pictures
    held = ArrayDataset(images, labels, learnt.classes, 0.2)
    found = gnnseg.evaluate(held, learnt, split="val", refine=True)
    about = learnt.training["borders"]
    assert found["miou"] == pytest.approx(about["val_miou"], abs=1e-12)
    assert found["miou_unrefined"] == pytest.approx(about["val_miou_unrefined"], abs=1e-12)


def test_the_network_on_regions_stays(trained, learnt):
    for name, tensor in learnt.network.state_dict().items():
        np.testing.assert_array_equal(tensor, trained.network.state_dict()[name])


def test_workers_change_nothing_and_seeds_do(pictures, trained, learnt):
    images, labels = pictures
    again = gnnseg.learn_borders(images, trained, labels, workers=1)
    other = gnnseg.learn_borders(images, trained, labels, seed=1)
    weights = learnt.borders.state_dict()
    for name, tensor in again.borders.state_dict().items():
        np.testing.assert_array_equal(tensor, weights[name])
    assert any(
        (tensor != weights[name]).any() for name, tensor in other.borders.state_dict().items()
    )


@pytest.mark.parametrize("options", [{"block": 128, "workers": 2}, {"roi": ((13, 250), (40, 201))}])
def test_any_tiling_gives_the_same_labels(learnt, tmp_path, options):
    image = np.concatenate(
        [np.concatenate([disc(s)[0] for s in row], 1) for row in ((1, 2, 3),) * 3]
    )
    image = image.astype(np.float32)
    image[np.random.default_rng(0).random(image.shape) < 0.05] = np.nan
    image[100:140, 50:90] = np.nan
    whole = segmented(image, learnt, tmp_path / "whole.zarr")
    part = segmented(image, learnt, tmp_path / "part.zarr", **options)
    crop = tuple(slice(*bounds) for bounds in options.get("roi", ((0, None), (0, None))))
    np.testing.assert_array_equal(part, whole[crop])
    assert (whole != segmented(image, replace(learnt, borders=None), tmp_path / "mixed.zarr")).any()


def segmented(image, model, path, **options):
    gnnseg.segment(open_image(image, axes="YX"), model, path, refine=True, **options)
    return zarr.open_group(path, mode="r")["0"][:]


def test_what_val_does_not_like_is_not_kept(pictures, trained, monkeypatch, caplog):
    monkeypatch.setattr("gnnseg.pipeline.border_learning.UPDATES", 1)
    monkeypatch.setattr("gnnseg.pipeline.border_learning.SHIFTS", (-50.0,))
    images, labels = pictures
    with caplog.at_level(logging.WARNING):
        model = gnnseg.learn_borders(images, trained, labels)
    assert model.borders is None
    assert not model.training["borders"]["kept"]
    assert "keeps the latter" in caplog.text


def test_without_borders_there_is_nothing_to_learn(trained):
    flat = [np.full((64, 64), 180, np.uint8)] * 3
    labels = [np.zeros((64, 64), np.uint8)] * 3
    with pytest.raises(InputError, match="nothing to learn from"):
        gnnseg.learn_borders(flat, trained, labels)


def test_a_file_and_an_empty_split(pictures, trained, tmp_path):
    images, labels = pictures
    path = tmp_path / "model.safetensors"
    save_model(trained, path)
    with pytest.raises(UsageError, match=r"name some in val\.txt"):
        gnnseg.learn_borders(images, path, labels, val=0.0)
    with pytest.raises(MemoryBudgetError, match="--memory more"):
        gnnseg.learn_borders(images, path, labels, memory="100MiB")


def test_images_that_validate_need_labels(pictures, trained):
    class Unlabelled(ArrayDataset):
        """Nobody has labelled what validates."""

        def split(self, name):
            items = super().split(name)
            blank = [np.full_like(item.load()[1], 255) for item in items]
            given = [item.open_image() for item in items]
            own = ArrayDataset(given, blank, self.classes, 0.0)
            return own.split("train") if name == "val" else items

    with pytest.raises(InputError, match="validate has a label"):
        gnnseg.learn_borders(Unlabelled(*pictures, trained.classes, 0.2), trained)
