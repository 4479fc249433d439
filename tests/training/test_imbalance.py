"""Class weights and balanced draws against the formulas they come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.training.imbalance import (
    balanced_draws,
    class_weights,
    draw_weights,
    main_class,
    regions_by_class,
)


def test_enet_weights():
    weights = class_weights(np.array([900, 90, 10, 0]), "enet")
    share = np.array([0.9, 0.09, 0.01])
    np.testing.assert_allclose(weights, [*(1 / np.log(1.02 + share)), 0], rtol=1e-6)
    assert weights.dtype == np.float32


def test_median_frequency_weights():
    weights = class_weights(np.array([900, 90, 10, 0]), "median")
    np.testing.assert_allclose(weights, [0.1, 1, 9, 0], rtol=1e-6)


def test_a_frequency_is_among_the_images_in_which_a_class_occurs():
    images = np.array([[900, 90, 10, 0], [500, 0, 0, 0], [300, 200, 0, 0]])
    weights = class_weights(images, "median")
    frequency = np.array([1700 / 2000, 290 / 1500, 10 / 1000])
    np.testing.assert_allclose(weights, [*(290 / 1500 / frequency), 0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["none", "enet", "effective"])
def test_other_weights_are_those_of_all_images_together(kind):
    images = np.array([[900, 90, 10, 0], [500, 0, 0, 0]])
    expected = class_weights(images.sum(axis=0), kind)
    np.testing.assert_array_equal(class_weights(images, kind), expected)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.9999])
def test_effective_number_weights(beta):
    samples = np.array([500, 60, 7, 0])
    weights = class_weights(64 * samples, "effective", beta=beta, sample=64)
    # The sum of a geometric series: each further sample brings beta times the one before.
    number = np.array([sum(beta**k for k in range(n)) for n in samples[:3]])
    expected = 3 / number / (1 / number).sum()
    np.testing.assert_allclose(weights, [*expected, 0], rtol=1e-5)


def test_the_effective_number_goes_from_no_weights_to_one_over_frequency():
    pixels = np.array([500, 60, 7])
    np.testing.assert_array_equal(class_weights(pixels, "effective", beta=0), [1, 1, 1])
    weights = class_weights(pixels, "effective", beta=1 - 1e-9)
    np.testing.assert_allclose(weights * pixels, (weights * pixels)[0], rtol=1e-5)


def test_no_weights():
    np.testing.assert_array_equal(class_weights(np.array([5, 0, 2]), "none"), [1, 0, 1])


@pytest.mark.parametrize("kind", ["none", "enet", "median", "effective"])
def test_no_pixels_have_no_weight(kind):
    np.testing.assert_array_equal(class_weights(np.zeros(3), kind), 0)


def random_counts(seed, regions=200):
    rng = np.random.default_rng(seed)
    rare = rng.choice(4, regions, p=[0.7, 0.25, 0.05, 0])
    counts = rng.integers(0, 5, (regions, 4)) * (rng.random((regions, 1)) < 0.9)
    counts[np.arange(regions), rare] += 10 * (counts.sum(axis=1) > 0)
    counts[:, 3] = 0
    return torch.from_numpy(counts).float()


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_drawn_as_often(seed):
    counts = random_counts(seed)
    draws = balanced_draws(counts, torch.Generator().manual_seed(seed))
    found = np.where(counts.sum(1) > 0, counts.argmax(1), -1)
    np.testing.assert_array_equal(main_class(counts), found)
    number = np.bincount(found[found >= 0], minlength=4)
    np.testing.assert_array_equal(regions_by_class(counts), number)
    each = (found >= 0).sum() // 3
    assert [float(draws[found == label].sum()) for label in range(4)] == [each] * 3 + [0]
    assert (draws[found < 0] == 0).all()
    assert (draws[found == 0] <= 1).all(), "a common class is drawn without repetition"
    assert (draws[found == 2] > 1).any()


def test_draws_follow_their_generator():
    counts = random_counts(0)
    first, same, other = (
        balanced_draws(counts, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_every_region_of_a_class_is_drawn_as_often_as_said():
    counts = random_counts(3)
    generator = torch.Generator().manual_seed(0)
    mean = torch.stack([balanced_draws(counts, generator) for _ in range(400)]).mean(0)
    expected = draw_weights(regions_by_class(counts))
    found = main_class(counts)
    for label in range(3):
        assert abs(float(mean[found == label].mean()) - expected[label]) < 0.02 * expected[label]
        assert mean[found == label].std() < 0.2 * expected[label] + 0.1


def test_a_class_is_drawn_from_the_parts_that_have_it():
    parts = [random_counts(seed, regions) for seed, regions in enumerate((100, 200, 150))]
    parts[1][main_class(parts[1]) == 2] = 0
    parts[2][main_class(parts[2]) != 0] = 0
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([balanced_draws(counts, generator) for counts in parts])
    found = main_class(torch.cat(parts))
    expected = [float(draws[found == label].mean()) for label in range(3)]
    regions = np.array([regions_by_class(counts) for counts in parts])
    np.testing.assert_allclose(draw_weights(regions), [*expected, 0], rtol=1e-6)


def test_nothing_labelled_draws_nothing():
    assert (balanced_draws(torch.zeros(5, 3), torch.Generator()) == 0).all()
