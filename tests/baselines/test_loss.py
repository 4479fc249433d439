"""The loss of pixels: that of regions which are single pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.baselines import make_cnn_config
from gnnseg.baselines.loss import PixelLoss
from gnnseg.training import make_config
from gnnseg.training.loss import Loss

CPU = torch.device("cpu")
PIXELS = np.array([700.0, 250.0, 50.0, 0.0])


@pytest.mark.parametrize("weights", ["none", "enet", "median", "effective"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_it_is_the_loss_of_regions_of_one_pixel(weights, smoothing, gamma):
    given = {"class_weights": weights, "label_smoothing": smoothing, "focal_gamma": gamma}
    own = PixelLoss.fit(PIXELS, 255, make_cnn_config(**given), CPU)
    regions = Loss.fit(PIXELS, PIXELS, make_config(**given), CPU)
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=random)
    labels = torch.randint(0, 4, (2, 5, 6), generator=random)
    labels[0, :2] = 255
    counts = torch.nn.functional.one_hot(torch.where(labels == 255, 4, labels), 5)[..., :4].float()
    flat, targets = logits.movedim(1, -1).reshape(-1, 4), counts.reshape(-1, 4)
    torch.testing.assert_close(own.total(logits, labels), regions.total(flat, targets))
    torch.testing.assert_close(own.mass(labels), regions.mass(targets))
    torch.testing.assert_close(own.prior, regions.prior)


def test_without_a_label_there_is_no_loss():
    loss = PixelLoss.fit(PIXELS, 9, make_cnn_config(), CPU)
    labels = torch.full((1, 4, 4), 9)
    assert loss.total(torch.zeros(1, 4, 4, 4), labels) == 0
    assert loss.mass(labels) == 0
