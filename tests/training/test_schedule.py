"""The learning rate against PyTorch's own schedules."""

from __future__ import annotations

import pytest
import torch

from gnnseg.training import make_config
from gnnseg.training.schedule import learning_rate


def rates_of(make_scheduler, steps):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler, rates = make_scheduler(optimiser), []
    for _ in range(steps + 1):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("settings", "make_scheduler"),
    [
        ({}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 100)),
        (
            {"schedule": "polynomial", "power": 0.7},
            lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 100, power=0.7),
        ),
        ({"schedule": "constant"}, lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
@pytest.mark.parametrize("warm_up", [0.03, 0.0])
def test_the_fall_is_that_of_pytorch(settings, make_scheduler, warm_up):
    config = make_config(learning_rate=0.3, warm_up=warm_up, **settings)
    expected = rates_of(make_scheduler, 100)
    got = [learning_rate(warm_up + (1 - warm_up) * k / 100, config) for k in range(101)]
    assert got == pytest.approx(expected, abs=1e-12)


def test_the_rate_rises_from_a_hundredth_and_stays_at_the_end():
    config = make_config(learning_rate=2.0)
    assert learning_rate(0, config) == 0.02
    assert learning_rate(0.015, config) == pytest.approx(1.0)
    assert learning_rate(7.5, config) == learning_rate(1.0, config) == 0
