"""The stages of a training on regions: their time, their operations, and that these cost no bit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gnnseg import ledger as ledgers
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.ledger import Ledger
from gnnseg.models import messages
from gnnseg.training import stage, train, trainer

STEM = {"widths": [6, 8, 12], "blocks": [1, 1], "out_channels": 5}
OPTIONS = {
    "mlp": {"hidden": 16},
    "large": {"widths": [16, 16], "down": [1, 1], "up": [1], "stem": STEM},
}


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=80, width=96, num_classes=3, val=0.4)


def trained(dataset, preset, ledger=None):
    given = {"epochs": 2, "n_iter": 1, "batch": 300, "step": 8, "device": "cpu", "variants": 1}
    return train(dataset, preset=preset, options=OPTIONS[preset], ledger=ledger, **given)


def test_a_ledger_changes_no_bit(dataset):
    ledger = Ledger(reset_peak=True)
    model, expected = trained(dataset, "large", ledger), trained(dataset, "large")
    for name, weights in expected.network.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], weights), name
    assert model.training["history"] == expected.training["history"]
    assert list(ledger.as_dict()) == ["regions", "updates", "validation"]
    assert ledger.sampler()["cpu_seconds"] == 0 or not ledgers.reset_peak_rss()


def test_stages_share_out_all_the_time_that_passes(dataset, monkeypatch):
    """On a clock that moves in what each stage is made of, and nowhere else."""
    now, calls = [0.0], {"regions": 0, "updates": 0, "validation": 0}

    def taking(name, seconds, real):
        def work(*given, **more):
            now[0] += seconds
            calls[name] += 1
            return real(*given, **more)

        return work

    parts = {
        "regions": (7.0, stage, "make_samples"),
        "updates": (5.0, trainer.Trainer, "_step"),
        "validation": (3.0, trainer.Trainer, "_run_val"),
    }
    for name, (seconds, owner, function) in parts.items():
        monkeypatch.setattr(owner, function, taking(name, seconds, getattr(owner, function)))
    clock = SimpleNamespace(perf_counter=lambda: now[0], thread_time=lambda: 0.0)
    monkeypatch.setattr(ledgers, "time", clock)
    ledger = Ledger()
    with ledger.stage("train"):
        trained(dataset, "mlp", ledger)
    stages = {name: record["seconds"] for name, record in ledger.as_dict().items()}
    whole = stages.pop("train")
    assert stages == {name: seconds * calls[name] for name, (seconds, *_) in parts.items()}
    # Those to train and to validate; each epoch; and for the temperature.
    assert (calls["regions"], calls["validation"]) == (2, 3)
    assert calls["updates"] >= 2
    assert sum(stages.values()) == whole


@pytest.mark.parametrize("preset", list(OPTIONS))
def test_operations_are_those_that_pytorch_counts(dataset, preset, monkeypatch):
    """An update counts as three passes forwards; PyTorch does not see messages."""
    found, learning = {True: 0, False: 0}, [False]
    compute, send = trainer.compute_logits, messages.gated_messages

    def counted(network, batch):
        learning[0] = torch.is_grad_enabled()
        with FlopCounterMode(display=False) as counter:
            logits = compute(network, batch)
        found[learning[0]] += counter.get_total_flops()
        return logits

    def noted(target, source, edge_index, edge_attr, *gate):
        edges, attributes = edge_attr.shape
        found[learning[0]] += edges * target.shape[1] // 2 * (2 * attributes + 17)
        return send(target, source, edge_index, edge_attr, *gate)

    monkeypatch.setattr(trainer, "compute_logits", counted)
    monkeypatch.setattr(messages, "gated_messages", noted)
    monkeypatch.setattr(trainer, "default_workers", lambda: 1)
    ledger = Ledger()
    trained(dataset, preset, ledger)
    stages = ledger.as_dict()
    assert stages["regions"]["operations"] is None
    assert stages["updates"]["operations"] == 3 * found[True] > 0
    assert stages["validation"]["operations"] == found[False] > 0
