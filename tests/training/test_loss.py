"""The loss against pixels one by one, and against the papers' formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from gnnseg.training import make_config
from gnnseg.training.loss import Loss

GENERATOR = torch.Generator()


def make(weights, **options):
    weights = torch.as_tensor(weights).float()
    return Loss(weights, weights.log(), **options)


def random_regions(seed):
    """Pixels by class, logits and weights; and the logits and the class of each pixel."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, (12, 4))
    counts[3] = 0  # a region without a labelled pixel
    logits = torch.from_numpy(rng.normal(0, 3, (12, 4))).float()
    weights = torch.from_numpy(rng.uniform(0.5, 4, 4)).float()
    regions, classes = np.indices(counts.shape).reshape(2, -1)
    pixels = counts.ravel()
    painted = logits[np.repeat(regions, pixels)]
    truth = torch.from_numpy(np.repeat(classes, pixels))
    return torch.from_numpy(counts).float(), logits, weights, painted, truth


def mean_of(loss, logits, counts):
    targets = loss.targets(counts, GENERATOR)
    return loss.total(logits, targets) / loss.mass(targets)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_cross_entropy_of_the_painted_pixels(seed, smoothing):
    counts, logits, weights, painted, truth = random_regions(seed)
    expected = cross_entropy(painted, truth, weight=weights, label_smoothing=smoothing)
    got = mean_of(make(weights, smoothing=smoothing), logits, counts)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_is_that_of_the_painted_pixels(seed, gamma):
    counts, logits, weights, painted, truth = random_regions(seed)
    p = painted.softmax(1).gather(1, truth[:, None])[:, 0]
    alpha = weights[truth]
    expected = (-alpha * (1 - p) ** gamma * p.log()).sum() / alpha.sum()
    torch.testing.assert_close(mean_of(make(weights, gamma=gamma), logits, counts), expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_sure_answer_has_a_finite_slope(gamma):
    logits = torch.tensor([[80.0, 0, 0]], requires_grad=True)
    make([1, 1, 1], gamma=gamma).total(logits, torch.tensor([[5.0, 0, 0]])).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_a_region_counts_as_its_area_to_a_power(power):
    counts, logits, weights, _, _ = random_regions(0)
    area = counts.sum(1)
    share = counts / area.clamp(min=1)[:, None]
    each = -(share * weights * logits.log_softmax(1)).sum(1)
    known = (area > 0).float() * area**power
    expected = (known * each).sum() / (known * (share * weights).sum(1)).sum()
    got = mean_of(make(weights, area_power=power), logits, counts)
    torch.testing.assert_close(got, expected)


def test_nothing_labelled_is_no_loss():
    logits = torch.randn(3, 2, requires_grad=True)
    for options in ({}, {"gamma": 2.0, "smoothing": 0.1}, {"area_power": 0.5, "balanced": True}):
        loss = mean_of(make([1, 1], **options), logits, torch.zeros(3, 2))
        loss.backward()
        assert loss == 0
        assert (logits.grad == 0).all()


def test_the_prior_is_what_classes_count_beyond_how_often_they_occur():
    pixels, regions = np.array([900.0, 90, 10, 0]), np.array([60, 30, 10, 0])
    config = make_config(class_weights="median", focal_gamma=2, label_smoothing=0.1)
    plain = Loss.fit(pixels, regions, config, torch.device("cpu"))
    torch.testing.assert_close(plain.prior, torch.tensor([0.1, 1, 9, 1]).log())
    assert (plain.gamma, plain.smoothing, plain.area_power) == (2, 0.1, 1)
    config = make_config(class_weights="none", sampling="balanced", area_power=0.5)
    drawn = Loss.fit(pixels, regions, config, torch.device("cpu"))
    torch.testing.assert_close(drawn.prior, torch.tensor([33 / 60, 33 / 30, 33 / 10, 1]).log())
    assert drawn.weights.tolist() == [1, 1, 1, 0]
    assert drawn.balanced
