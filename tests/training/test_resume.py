"""Trainings that are stopped anywhere and go on: the same bits in the end, or a refusal."""

from __future__ import annotations

import json
import os
import signal
import threading
from functools import partial

import numpy as np
import pytest
from safetensors.torch import load_file, safe_open, save_file

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import StateError
from gnnseg.training import checkpoint as checkpoints
from gnnseg.training import live, train
from gnnseg.training.interrupt import held_interrupt
from gnnseg.training.trainer import Trainer

EPOCHS = 4
SETTINGS = {
    "default": {"options": {"widths": [16, 16], "down": [1, 1], "up": [1]}},
    "mlp": {"options": {"hidden": 16}, "sampling": "balanced", "average": 0.9},
}


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(6, height=80, width=96, num_classes=3, val=0.4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors.checkpoint"


def run(dataset, preset="mlp", **more):
    given = {"epochs": EPOCHS, "n_iter": 1, "batch": 130, "step": 8, "device": "cpu"}
    return train(dataset, preset=preset, **{**given, **SETTINGS[preset], **more})


def stop_before(monkeypatch, update, how):
    """Let `how` happen before one of the updates, counted from 0."""
    step, done = Trainer._step, iter(range(1000))

    def counted(self, parts):
        if next(done) == update:
            how()
        step(self, parts)

    monkeypatch.setattr(Trainer, "_step", counted)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


class KilledError(Exception):
    """Stands for a kill."""


def die():
    raise KilledError


def updates_of(model):
    """Weights, history and statistics of a model."""
    state = {name: t.numpy() for name, t in model.network.state_dict().items()}
    ignored = ("seconds", "epoch_seconds", "config")
    return state, {k: v for k, v in model.training.items() if k not in ignored}


def assert_same(model, expected):
    (got, record), (wanted, wanted_record) = updates_of(model), updates_of(expected)
    for name, array in wanted.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
    assert record == wanted_record


@pytest.fixture(scope="module")
def whole(dataset):
    return {preset: run(dataset, preset) for preset in SETTINGS}


@pytest.mark.parametrize("preset", sorted(SETTINGS))
@pytest.mark.parametrize("update", [0, 1, 2, 3, 5, 9, 11])
def test_ctrl_c_at_any_update_changes_nothing(dataset, whole, path, monkeypatch, preset, update):
    with monkeypatch.context() as patch:
        stop_before(patch, update, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, preset, checkpoint=path)
    assert_same(run(dataset, preset, checkpoint=path), whole[preset])


def test_a_training_may_be_stopped_many_times(dataset, whole, path, monkeypatch):
    stops = 0
    for _ in range(40):
        try:
            with monkeypatch.context() as patch:
                stop_before(patch, 1, press_ctrl_c)
                model = run(dataset, checkpoint=path)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 4
    assert_same(model, whole["mlp"])


@pytest.mark.parametrize("update", [1, 4, 8])
def test_a_kill_loses_what_came_after_the_last_checkpoint(
    dataset, whole, path, monkeypatch, update
):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "SECONDS", 0.0)
        stop_before(patch, update, die)
        with pytest.raises(KilledError):
            run(dataset, checkpoint=path)
    about = header(path)
    assert about["place"]["updates"] == update
    with monkeypatch.context() as patch:
        stop_before(patch, 1000, die)
        assert_same(run(dataset, checkpoint=path), whole["mlp"])


def test_there_is_a_checkpoint_before_there_is_a_plot(dataset, path, tmp_path, monkeypatch):
    plot = tmp_path / "p.png"

    def draw(*_):
        assert path.exists()
        die()

    monkeypatch.setattr(live, "draw_plot", draw)
    with pytest.raises(KilledError):
        run(dataset, checkpoint=path, plot=plot)
    assert header(path)["place"]["epoch"] == 1


def test_a_finished_training_is_not_repeated(dataset, whole, path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EPOCH_SECONDS", 0.0)
    run(dataset, checkpoint=path)
    stop_before(monkeypatch, 0, die)
    assert_same(run(dataset, checkpoint=path), whole["mlp"])


@pytest.fixture(scope="module")
def stopped(dataset, tmp_path_factory):
    """A checkpoint of the second epoch."""
    path = tmp_path_factory.mktemp("stopped") / "c.checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        stop_before(patch, 4, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, checkpoint=path)
    return path


def header(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["gnnseg.checkpoint"])


def changed(path, target, change):
    """A copy of a checkpoint with another header."""
    about = header(path)
    change(about)
    save_file(load_file(path), target, metadata={"gnnseg.checkpoint": json.dumps(about)})
    return target


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 9}, r"epochs 4, now 9\)"),
        ({"learning_rate": 0.5, "seed": 3}, "learning_rate 0.002, now 0.5, seed 0, now 3"),
        ({"max_minutes": 5}, "max_minutes null, now 5.0"),
        ({"options": {"hidden": 32}}, "options"),
    ],
)
def test_other_settings_are_refused(dataset, stopped, settings, message):
    with pytest.raises(StateError, match=message):
        run(dataset, checkpoint=stopped, **settings)


def test_other_images_are_refused(stopped):
    other = synthetic_dataset(6, height=80, width=96, num_classes=3, val=0.4, seed=1)
    with pytest.raises(StateError, match=r"other images or labels.*--overwrite"):
        run(other, checkpoint=stopped)


def test_one_other_label_is_noticed(dataset, stopped):
    item = dataset.split("train")[0]
    item.label[7, 9] = 1 - item.label[7, 9] % 2
    try:
        with pytest.raises(StateError, match="other images or labels"):
            run(dataset, checkpoint=stopped)
    finally:
        item.label[...] = item.image.labels()


def test_what_is_no_checkpoint_is_refused_and_left_alone(dataset, stopped, path):
    whole = stopped.read_bytes()
    for content in (b"", b"precious", whole[:-100], whole[200:]):
        path.write_bytes(content)
        with pytest.raises(StateError, match=r"no training to go on with.*--overwrite"):
            run(dataset, checkpoint=path)
        assert path.read_bytes() == content


def test_headers_and_tensors_that_do_not_fit_are_refused(dataset, stopped, path):
    for change, message in [
        (lambda about: about.update(format_version=99), "format 99"),
        (lambda about: about.pop("settings"), "no training to go on with"),
        (lambda about: about.update(seconds="many"), "no training to go on with"),
        (lambda about: about["place"].update(speed=3), "another network"),
    ]:
        with pytest.raises(StateError, match=message):
            run(dataset, checkpoint=changed(stopped, path, change))
    tensors = load_file(stopped)
    kept = {"gnnseg.checkpoint": json.dumps(header(stopped))}
    name = next(name for name in tensors if name.startswith("best."))
    for spoiled in (
        {k: t for k, t in tensors.items() if k != name},
        {**tensors, name: tensors[name][:1].contiguous()},
        {k: t for k, t in tensors.items() if k != "order"},
        {**tensors, "order": tensors["order"][:10].contiguous()},
    ):
        save_file(spoiled, path, metadata=kept)
        with pytest.raises(StateError, match=r"m\.safetensors\.checkpoint: .*--overwrite"):
            run(dataset, checkpoint=path)


def test_a_time_budget_counts_earlier_parts(dataset, tmp_path, monkeypatch):
    path = tmp_path / "timed.checkpoint"
    budget = partial(run, dataset, checkpoint=path, max_minutes=10)
    with monkeypatch.context() as patch:
        stop_before(patch, 4, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            budget()
    done = header(path)["place"]["epoch"]
    assert done >= 1

    def used(seconds):
        def change(about):
            about["seconds"] = seconds
            about["history"]["seconds"] = [20.0] * done

        return changed(path, tmp_path / f"{seconds}.checkpoint", change)

    assert budget(checkpoint=used(560.0)).training["epochs"] == EPOCHS
    model = budget(checkpoint=used(601.0))
    assert model.training["epochs"] < EPOCHS
    assert model.training["seconds"] > 601
    assert model.training["config"]["max_minutes"] == 10


def pressed(times, reached):
    with held_interrupt() as interrupt:
        for _ in range(times):
            press_ctrl_c()
        reached.append(interrupt.asked)


def test_the_first_ctrl_c_is_held_and_the_second_is_not():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        pressed(1, reached)
    assert reached == [True]
    with pytest.raises(KeyboardInterrupt):
        pressed(2, reached)
    assert reached == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_held_where_the_signal_is_another_ones():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with held_interrupt() as interrupt:
            press_ctrl_c()
            assert not interrupt.asked
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]
    threads = []

    def work():
        with held_interrupt() as interrupt:
            threads.append(interrupt.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert threads == [False]
