"""When a training ends: minutes, patience, or gradients that are lost."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.metrics import ConfusionMatrix
from gnnseg.training import loop, train, trainer


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def trained(dataset, **settings):
    given = {"n_iter": 1, "batch": 300, "step": 8, "device": "cpu"} | settings
    return train(dataset, preset="mlp", options={"hidden": 16}, **given)


def test_minutes_that_end_within_an_epoch_are_used_and_the_learning_rate_has_fallen(
    dataset, monkeypatch
):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # An hour before each epoch and each of its four updates, one after them, one for validation:
    # the third epoch has room for one update.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 17.9, learning_rate=1.0)
    _, before, last = model.training["history"]["learning_rate"]
    assert before > 0.1
    assert 0 < last < 0.02


def test_an_epoch_that_is_begun_has_an_update_even_if_minutes_are_over_by_then(
    dataset, monkeypatch
):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 16.75, learning_rate=1.0)
    assert model.training["epochs"] == 3
    assert min(model.training["history"]["loss"]) > 0


def test_an_epoch_is_not_begun_for_less_than_a_tenth_of_it(dataset, monkeypatch):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 16.5, learning_rate=1.0)
    assert model.training["epochs"] == 2


def test_the_first_epoch_ends_with_the_minutes_too(dataset, monkeypatch):
    clock = count(0, 3600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # Four updates an epoch: before the second, three of two and a half hours are over.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 2.5, learning_rate=1.0)
    assert model.training["history"]["learning_rate"] > [0.05]


@pytest.mark.parametrize(("minutes", "epochs"), [(None, 10), (60 * 200, 10), (60 * 30, 5)])
def test_patience_waits_for_a_tenth_of_the_training_too(dataset, monkeypatch, minutes, epochs):
    matrix = ConfusionMatrix(np.eye(3, 4, dtype=np.int64))
    monkeypatch.setattr(trainer.Trainer, "_validate", lambda _self: matrix)
    clock = count(0, 600)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    # An epoch takes 50 minutes, and the first is the best.
    model = trained(dataset, epochs=100, max_minutes=minutes, patience=2)
    assert model.training["epochs"] == epochs


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_a_training_that_diverges_is_refused(dataset, rate):
    with pytest.raises(UsageError, match=r"diverges.*learning_rate below 1e\+3"):
        trained(dataset, optimiser="sgd", learning_rate=rate, epochs=20)
