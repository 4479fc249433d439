"""The loss against pixels one by one, and the weights of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from gnnseg.training.loss import class_weights, soft_loss, soft_mass


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_the_cross_entropy_of_the_painted_pixels(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, (12, 4))
    counts[3] = 0  # a region without a labelled pixel
    logits = torch.from_numpy(rng.normal(0, 3, (12, 4))).float()
    weights = torch.from_numpy(rng.uniform(0.5, 4, 4)).float()
    regions, classes = np.indices(counts.shape).reshape(2, -1)
    pixels = counts.ravel()
    painted = logits[np.repeat(regions, pixels)]
    truth = torch.from_numpy(np.repeat(classes, pixels))
    expected = cross_entropy(painted, truth, weight=weights)
    mass = torch.from_numpy(counts).float()
    got = soft_loss(logits, mass, weights) / soft_mass(mass, weights)
    torch.testing.assert_close(got, expected)


def test_nothing_labelled_is_no_loss():
    logits = torch.randn(3, 2, requires_grad=True)
    loss = soft_loss(logits, torch.zeros(3, 2), torch.ones(2))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_enet_weights():
    weights = class_weights(np.array([900, 90, 10, 0]), "enet")
    share = np.array([0.9, 0.09, 0.01])
    np.testing.assert_allclose(weights, [*(1 / np.log(1.02 + share)), 0], rtol=1e-6)
    assert weights.dtype == np.float32


def test_median_frequency_weights():
    weights = class_weights(np.array([900, 90, 10, 0]), "median")
    np.testing.assert_allclose(weights, [0.1, 1, 9, 0], rtol=1e-6)


def test_no_weights():
    np.testing.assert_array_equal(class_weights(np.array([5, 0, 2]), "none"), [1, 0, 1])


@pytest.mark.parametrize("kind", ["none", "enet", "median"])
def test_no_pixels_have_no_weight(kind):
    np.testing.assert_array_equal(class_weights(np.zeros(3), kind), 0)
