"""What all training loops do with gradients, and which epoch they keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnnseg.errors import UsageError
from gnnseg.metrics import ConfusionMatrix
from gnnseg.training import make_config
from gnnseg.training.loop import Loop
from gnnseg.training.state import State

PLAIN = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1.0}


class Updates(Loop):
    """Only its updates are asked for."""

    def _train_epoch(self, asked):
        raise NotImplementedError

    def _validate(self):
        raise NotImplementedError

    def _finish(self):
        raise NotImplementedError


@pytest.fixture
def moved():
    """`moved(gradient, bound)`: how far one update moves weights whose gradients are all that."""

    def update(gradient, bound):
        network = nn.Linear(8, 2, bias=False)
        before = network.weight.detach().clone()
        network.weight.grad = torch.full_like(before, gradient)
        config = make_config(**PLAIN, gradient_norm=bound)
        Updates(State(network, config, range(1)), config)._update()
        return (network.weight.detach() - before).norm().item()

    return update


@pytest.mark.parametrize(("bound", "expected"), [(1.0, 1.0), (2.5, 2.5), (0.0, 40.0)])
def test_gradients_are_bounded_as_far_as_asked(moved, bound, expected):
    assert moved(10.0, bound) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bound", [1.0, 0.0])
def test_gradients_that_are_not_finite_end_it_whatever_the_bound(moved, bound):
    for gradient in (float("inf"), float("nan")):
        with pytest.raises(UsageError, match="diverges"):
            moved(gradient, bound)


def test_momentum_of_sgd_is_that_of_the_papers():
    """A step is 0.9 of the last one and the gradient (Badrinarayanan et al., arXiv:1511.00561)."""
    network = nn.Linear(1, 1, bias=False)
    config = make_config(**{**PLAIN, "momentum": 0.9}, gradient_norm=0.0)
    updates = Updates(State(network, config, range(1)), config)
    steps = []
    for gradient in (1.0, 0.0, 2.0):
        before = network.weight.item()
        network.weight.grad = torch.full_like(network.weight, gradient)
        updates._update()
        steps.append(before - network.weight.item())
    assert steps == pytest.approx([1.0, 0.9, 2.81], rel=1e-5)


def matrices(*right):
    """Two classes with 10 pixels each, of which so many are right, for each shift."""
    return [ConfusionMatrix(np.array([[n, 10 - n, 0], [10 - n, n, 0]])) for n in right]


class Weighing(Updates):
    """Its only weight is the number of the epoch, from 1 on; val likes the second one best."""

    VAL = matrices(7, 6, 5, 5, 5), matrices(5, 6, 9, 9, 8), matrices(8, 7, 6, 5, 5)

    def _train_epoch(self, asked):
        with torch.no_grad():
            self.state.average.weight += 1

    def _validate(self):
        return self.VAL[self.state.place.epoch]

    def _finish(self):
        self.finished = self.state.average.weight.item()


def test_the_best_epoch_is_that_with_the_best_shift_of_all():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    config = make_config(epochs=3)
    training = Weighing(State(network, config, range(1)), config)
    history = training.run()
    assert history.val_miou == pytest.approx([7 / 13, 9 / 11, 8 / 12])
    assert (history.best_epoch, history.shift) == (1, 0.5)
    assert training.finished == network.weight.item() == 2
