"""Several processes that train one network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from gnnseg.baselines.crops import Picture
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import DiskError, KilledError, StateError, UsageError
from gnnseg.ledger import Ledger
from gnnseg.models.level import Level
from gnnseg.models.stem import StemInput
from gnnseg.superpixels import Scaling
from gnnseg.training import distributed, make_config, stage, train
from gnnseg.training.batches import Batch
from gnnseg.training.distributed import train_on_devices
from gnnseg.training.loop import pick_device
from gnnseg.training.packing import pack
from gnnseg.training.ranks import Alone

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

SETTINGS = {
    "preset": "default",
    "options": {"widths": [16, 16], "down": [1, 1], "up": [1], "dropout": 0.0},
    "epochs": 3,
    "n_iter": 1,
    "step": 8,
    "device": "cpu",
}


def running():
    """The processes that train."""
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def dataset():
    # 71 images of 48 regions: the last batch of an epoch has a part for one process only, and a
    # 32nd of an epoch has room for two.
    return synthetic_dataset(95, height=48, width=64, num_classes=3, val=0.3)


@pytest.fixture(scope="module")
def ledger():
    return Ledger()


@pytest.fixture(scope="module")
def two(dataset, ledger):
    # Some of the samples lie in a file that both processes read.
    more = {"devices": 2, "graph_memory": "500KiB", "ledger": ledger}
    return train(dataset, **SETTINGS, batch=52, **more)


def test_two_processes_do_what_one_does_with_twice_the_batch(dataset, two, ledger):
    alone = Ledger()
    one = train(dataset, **SETTINGS, batch=104, ledger=alone)
    other = train(dataset, **SETTINGS, batch=52)
    for name in ("loss", "val_miou", "learning_rate"):
        got, expected, differs = (np.array(m.training["history"][name]) for m in (two, one, other))
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-3 if "miou" in name else 0)
        assert not np.allclose(got, differs, rtol=2e-4) or name == "learning_rate"
    for (name, weights), expected in zip(
        two.network.state_dict().items(), one.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(weights, expected, rtol=1e-2, atol=2e-4, msg=name)
    # Those of process 0, which has a half, and fits the temperature alone.
    stages, expected = ledger.as_dict(), alone.as_dict()
    assert list(stages) == list(expected) == ["regions", "updates", "validation"]
    for name in ("updates", "validation"):
        assert 0.4 < stages[name]["operations"] / expected[name]["operations"] < 0.8
        assert stages[name]["seconds"] > 0


def test_so_do_two_processes_with_a_learned_stem(dataset):
    """A stem reads images, which go to the processes beside the graphs."""
    options = {**SETTINGS["options"], "stem": {"widths": [8, 12, 16]}}
    settings = {**SETTINGS, "epochs": 2, "options": options}
    two = train(dataset, **settings, batch=52, devices=2)
    one = train(dataset, **settings, batch=104)
    assert two.network.stem is not None
    for name in ("loss", "val_miou"):
        got, expected = (np.array(m.training["history"][name]) for m in (two, one))
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=5e-3, err_msg=name)


def test_ctrl_c_leaves_a_checkpoint_that_goes_on_with_the_same_bits(dataset, tmp_path, monkeypatch):
    # With dropout each shard of each process has a generator to go on from.
    settings = {**SETTINGS, "options": {**SETTINGS["options"], "dropout": 0.2}}
    two = train(dataset, **settings, batch=52, devices=2)
    path = tmp_path / "m.checkpoint"
    watching = stage.watching

    @contextmanager
    def pressing(*arguments):
        with watching(*arguments):
            yield lambda _history: os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "watching", pressing)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, **settings, batch=52, devices=2, checkpoint=path)
    assert path.exists()
    assert running() == []
    with pytest.raises(StateError, match="devices 2, now 1"):
        train(dataset, **settings, batch=52, checkpoint=path)
    model = train(dataset, **settings, batch=52, devices=2, checkpoint=path)
    for (name, weights), expected in zip(
        model.network.state_dict().items(), two.network.state_dict().values(), strict=True
    ):
        assert torch.equal(weights, expected), name
    assert model.training["history"] == two.training["history"]


@pytest.fixture(scope="module")
def parts(dataset):
    """What `train` hands to its processes: the model, and batches to train and to validate."""
    seen = []

    def take(work, *_watch_and_ledger):
        seen.append(work)
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "train_on_devices", take)
        with pytest.raises(InterruptedError):
            train(dataset, **SETTINGS, batch=52, devices=2)
    return seen[0]


def run(parts, watch=lambda _history: None, **changes):
    copied = replace(parts, train=[*parts.train], val=[*parts.val])
    return train_on_devices(replace(copied, **changes), watch)


def test_an_error_of_a_process_arrives_as_one_message(parts, capfd):
    samples = [kept.load() for kept in parts.val]
    tables = [replace(sample.table, x=sample.table.x[..., :3]) for sample in samples]
    spoiled = [
        replace(kept, place=replace(sample, table=table))
        for kept, sample, table in zip(parts.val, samples, tables, strict=True)
    ]
    with pytest.raises(RuntimeError, match=r"process [12] of 2: IndexError: index"):
        run(parts, val=spoiled)
    assert running() == []
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_with_a_meaning_keeps_it(parts, capfd):
    config = parts.config.model_copy(update={"device": "cuda"})
    if torch.cuda.is_available():
        config = config.model_copy(update={"devices": torch.cuda.device_count() + 1})
    with pytest.raises(UsageError, match=r"--device cuda: this PyTorch sees no GPU|--devices"):
        run(parts, config=config)
    assert "Traceback" not in capfd.readouterr().err


def test_a_process_that_is_killed_ends_the_others(parts):
    config = parts.config.model_copy(update={"epochs": 100_000, "patience": 100_000})

    def kill_one(_history):
        running()[-1].kill()

    with pytest.raises(KilledError, match=r"process [12] of 2 was ended by SIGKILL"):
        run(parts, kill_one, config=config)
    assert running() == []


def test_ctrl_c_without_a_checkpoint_ends_all_at_once(parts):
    config = parts.config.model_copy(update={"epochs": 100_000, "patience": 100_000})
    started = []

    def press(_history):
        started.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(parts, press, config=config)
    assert running() == []
    assert time.monotonic() - started[0] < 30


def test_the_minutes_are_those_of_the_start_and_warnings_of_a_process_arrive(parts, caplog):
    config = parts.config.model_copy(update={"max_minutes": 5.0, "epochs": 1000})
    history = run(parts, config=config, deadline=time.time() - 1)
    assert len(history.loss) < 5
    message, *_ = caplog.messages
    assert message.startswith("the minutes were over before training began")


def test_processes_are_stopped_by_the_one_that_waits_and_by_no_signal():
    """Schedulers send SIGTERM to all; the one that waits lets them leave a checkpoint."""
    ask = "from signal import *; print(*(getsignal(n) == SIG_IGN for n in (SIGINT, SIGTERM)))"
    before = signal.getsignal(signal.SIGTERM)
    with distributed._deaf():
        told = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True)
    assert told.stdout.split() == [b"True", b"True"]
    assert signal.getsignal(signal.SIGTERM) == before


class Ended:
    """A process that has ended with some code and last words."""

    def __init__(self, code, *errors):
        self.handle = SimpleNamespace(exitcode=code)
        self.has_failed = code != 0
        self.said = [(distributed.FAILED, error) for error in errors]

    def messages(self):
        said, self.said = self.said, []
        return said


def failure(seconds, error):
    return replace(distributed._Failure.of(error, 0, 2), seconds=seconds)


def test_the_first_error_is_told_and_a_kill_before_all():
    lost, cause = ConnectionError("peer is gone"), DiskError("disk is full")
    late, early = failure(2.0, lost), failure(1.0, cause)
    with pytest.raises(DiskError, match="disk is full") as caught:
        distributed._raise_first([Ended(1, late), Ended(1, early)])
    assert "DiskError" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="process 1 of 2: ConnectionError: peer is gone"):
        distributed._raise_first([Ended(1), Ended(1)], late)
    with pytest.raises(KilledError, match="process 2 of 2 was ended by SIGKILL"):
        distributed._raise_first([Ended(1, late), Ended(-signal.SIGKILL)])
    with pytest.raises(RuntimeError, match="process 1 of 2 was ended by SIGSEGV"):
        distributed._raise_first([Ended(-signal.SIGSEGV), Ended(1, late)])
    with pytest.raises(DiskError, match="disk is full"):
        distributed._raise_first([Ended(-signal.SIGABRT), Ended(1, early)])
    with pytest.raises(UsageError, match="__main__"):
        distributed._raise_first([Ended(1), Ended(1)])
    full = failure(0.5, RuntimeError("CUDA out of memory"))
    with pytest.raises(MemoryError, match="process 1 of 2: RuntimeError: CUDA out of memory"):
        distributed._raise_first([Ended(1, full), Ended(1, late)])


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto", 1, 2) == torch.device("cuda", 1)
    assert pick_device("cpu", 1, 4) == torch.device("cpu")
    with pytest.raises(UsageError, match="--devices 4: there are 2 GPUs"):
        pick_device("auto", 0, 4)


def test_packed_objects_come_back_and_are_shared(tmp_path):
    level = Level(
        torch.arange(6).reshape(2, 3), torch.rand(3, 2), torch.ones(4, 1), torch.zeros(0).long(), 2
    )
    work, slots = torch.arange(48, dtype=torch.int16).view(3, 4, 4), torch.ones(4, 4).byte()
    image = StemInput(work, slots, 2, (2, 2), (slice(0, 2), slice(1, 2)))
    batch = Batch(torch.rand(4, 3).half(), (level, level), torch.tensor(2.5), (image,))
    values = [[batch, [batch]], {"a": torch.arange(5, dtype=torch.uint8)[::2]}, "text"]
    packed = pack(values, tmp_path / "data")
    assert values == []
    [[one, [same]], table, text], again = packed.unpack(), packed.unpack()
    assert text == "text"
    assert table["a"].tolist() == [0, 2, 4]
    for found in (one, same):
        assert torch.equal(found.x, batch.x)
        assert found.x.dtype == torch.float16
        assert found.counts == 2.5
        assert len(found.levels) == 2
        for name in ("edge_index", "edge_attr", "area", "parent"):
            assert torch.equal(getattr(found.levels[1], name), getattr(level, name))
        assert found.levels[0].num_parents == 2
        assert torch.equal(found.images[0].work, work)
        assert torch.equal(found.images[0].slots, slots)
        assert found.images[0].crop == image.crop
    again[0][0].x[0, 0] = 7
    assert one.x[0, 0] == 7


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float64", "bool"])
def test_packed_arrays_come_back_and_are_shared(tmp_path, dtype):
    values = np.arange(24).reshape(4, 6).astype(dtype)
    picture = Picture(
        "a", values[:, ::2], np.zeros((0, 3), np.uint8), Scaling((0.0,), (1.0,), rgb=False)
    )
    packed = pack([[picture], np.float32(1.5)], tmp_path / "data")
    ([found], number), ([again], _) = packed.unpack(), packed.unpack()
    assert (found.stem, found.labels.shape, number) == ("a", (0, 3), 1.5)
    assert found.pixels.dtype == values.dtype
    np.testing.assert_array_equal(found.pixels, values[:, ::2])
    again.pixels[0, 0] = 1
    assert found.pixels[0, 0] == 1


def test_alone_all_is_as_it_was():
    ranks, values = Alone(), np.array([3, 4])
    assert ranks.agree([1.5, True]) == [1.5, True]
    assert ranks.total(values) is values
    assert make_config().devices == 1
