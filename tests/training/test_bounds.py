"""When a training ends: minutes, patience, or gradients that are lost."""

from __future__ import annotations

import time
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from gnnseg import baselines
from gnnseg.baselines.trainer import PixelTrainer
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.metrics import ConfusionMatrix
from gnnseg.training import loop, session, stage, train, trainer


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def trained(dataset, **settings):
    given = {"n_iter": 1, "batch": 300, "step": 8, "device": "cpu"} | settings
    return train(dataset, preset="mlp", options={"hidden": 16}, **given)


def ticking(monkeypatch, seconds):
    """A clock that goes on by that whenever the loop looks at it."""
    clock = count(0, seconds)
    given = {"monotonic": lambda: float(next(clock)), "time": time.time}
    monkeypatch.setattr(loop, "time", SimpleNamespace(**given))


def test_minutes_that_end_within_an_epoch_are_used_and_the_learning_rate_has_fallen(
    dataset, monkeypatch
):
    ticking(monkeypatch, 3600)
    # An hour before each epoch and each of its four updates, one after them, one for validation,
    # and one is kept for the temperature: the third epoch has room for one update.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 18.9, learning_rate=1.0)
    _, before, last = model.training["history"]["learning_rate"]
    assert before > 0.1
    assert 0 < last < 0.02


def test_an_epoch_that_is_begun_has_an_update_even_if_minutes_are_over_by_then(
    dataset, monkeypatch
):
    ticking(monkeypatch, 3600)
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 17.75, learning_rate=1.0)
    assert model.training["epochs"] == 3
    assert min(model.training["history"]["loss"]) > 0


def test_an_epoch_is_not_begun_for_less_than_a_tenth_of_it(dataset, monkeypatch):
    ticking(monkeypatch, 3600)
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 17.5, learning_rate=1.0)
    assert model.training["epochs"] == 2


def test_the_first_epoch_ends_with_the_minutes_too(dataset, monkeypatch):
    ticking(monkeypatch, 3600)
    # Four updates an epoch: before the second, three of two and a half hours are over.
    model = trained(dataset, batch=121, epochs=1000, max_minutes=60 * 2.5, learning_rate=1.0)
    assert model.training["history"]["learning_rate"] > [0.05]


@pytest.mark.parametrize(("minutes", "epochs"), [(None, 10), (60 * 200, 10), (60 * 42, 5)])
def test_patience_waits_for_a_tenth_of_the_training_too(dataset, monkeypatch, minutes, epochs):
    matrix = ConfusionMatrix(np.eye(3, 4, dtype=np.int64))
    monkeypatch.setattr(trainer.Trainer, "_validate", lambda _self: [matrix])
    ticking(monkeypatch, 600)
    # An epoch takes 70 minutes, and the first is the best.
    model = trained(dataset, epochs=100, max_minutes=minutes, patience=2)
    assert model.training["epochs"] == epochs


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_a_training_that_diverges_is_refused(dataset, rate):
    with pytest.raises(UsageError, match=r"diverges.*learning_rate below 1e\+3"):
        trained(dataset, optimiser="sgd", learning_rate=rate, epochs=20)


STEP, PASS = 10.0, 60.0
"""Seconds of an update and of a pass over val, on a clock that stands still otherwise."""


@pytest.fixture
def clock(monkeypatch):
    """`clock[0]`: the time that it shows."""
    now = [1e9]

    def taking(owner, name, seconds):
        work = getattr(owner, name)

        def longer(*given):
            now[0] += seconds
            return work(*given)

        monkeypatch.setattr(owner, name, longer)

    taking(trainer.Trainer, "_step", STEP)
    taking(trainer.Trainer, "_run_val", PASS)
    taking(PixelTrainer, "_step", STEP)
    taking(PixelTrainer, "_val_slabs", PASS)
    shown = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    monkeypatch.setattr(loop, "time", shown)
    monkeypatch.setattr(session, "time", shown)
    return now


def on_regions(dataset, **settings):
    return trained(dataset, batch=121, epochs=1000, patience=1000, **settings)


def on_pixels(dataset, **settings):
    more = {"crop": 40, "batch": 2, "tile": 64, "overlap": 16, "device": "cpu"}
    given = {"model": "enet", "epochs": 1000, "patience": 1000, **more, **settings}
    return baselines.train(dataset, **given)


@pytest.mark.parametrize("train_on", [on_regions, on_pixels])
def test_what_val_decides_at_the_end_is_within_the_minutes(dataset, clock, caplog, train_on):
    begun = clock[0]
    model = train_on(dataset, max_minutes=20)
    assert model.training["epochs"] > 2
    assert 1200 - PASS < clock[0] - begun <= 1200 + STEP
    assert caplog.messages == []


def test_minutes_count_while_processes_start(dataset, clock, monkeypatch):
    start = stage.train_on_devices

    def later(*given):
        clock[0] += 400
        return start(*given)

    monkeypatch.setattr(stage, "train_on_devices", later)
    begun = clock[0]
    on_regions(dataset, max_minutes=20)
    assert 1200 - PASS < clock[0] - begun <= 1200 + STEP


@pytest.mark.parametrize("train_on", [on_regions, on_pixels])
def test_minutes_that_are_over_before_training_are_told(dataset, caplog, train_on):
    train_on(dataset, max_minutes=1e-5)
    message, *_ = caplog.messages
    assert message.startswith("the minutes were over before training began")
    assert "more than 1e-05 of them" in message
