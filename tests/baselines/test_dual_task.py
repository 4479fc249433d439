"""The losses of Gated-SCNN: borders of labels, balance, and what draws where."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.baselines.networks.dual_task import (
    border_cross_entropy,
    border_difference,
    border_strength,
    dual_task_loss,
    edge_loss,
    grey_gradient,
    label_edges,
)


def halves(column, width=24):
    """Labels 0 left of a column and 1 from it on."""
    return (torch.arange(width) >= column).long().expand(1, 20, width).clone()


def logits_of(labels, num_classes=3, sure=20.0):
    return torch.nn.functional.one_hot(labels, num_classes).movedim(-1, 1).float() * sure


@settings(max_examples=20)
@given(st.integers(0, 2**31 - 1), st.integers(1, 9), st.integers(1, 9))
def test_edges_are_pixels_beside_another_class(seed, height, width):
    labels = np.random.default_rng(seed).choice([0, 1, 255], (height, width))
    expected = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        near = labels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        expected[y, x] = labels[y, x] != 255 and ((near != 255) & (near != labels[y, x])).any()
    found = label_edges(torch.from_numpy(labels)[None], 255)[0]
    assert np.array_equal(found.numpy(), expected)


def test_edge_loss_weighs_each_side_by_the_share_of_the_other():
    labels = halves(12)  # 2 of 24 columns are edges
    edges = torch.zeros(1, 20, 24)
    # log 2 everywhere: 2/24 x 22/24 from edges, and as much from the others.
    expected = 2 * (2 / 24) * (22 / 24) * np.log(2)
    assert edge_loss(edges, labels, 255).item() == pytest.approx(expected, rel=1e-5)


def test_a_border_is_strong_where_it_is_and_nowhere_else():
    strength = border_strength(logits_of(halves(12), sure=1.0))[0]
    assert strength[:, [11, 12]].min() > 0.2
    assert strength[:, :8].max() < 1e-5
    # Two classes change at once; 1 / sqrt 2 takes the second one out again.
    ramp = torch.arange(24.0).expand(1, 1, 20, 24)
    assert torch.allclose(border_strength(ramp)[0, 8:12, 8:12] * 2**0.5, torch.tensor(1.0))


def test_the_gradient_of_grey_is_its_change_from_pixel_to_pixel():
    ramp = 2 * torch.arange(24.0).expand(1, 3, 20, 24)
    for x in (ramp, ramp.mT):
        assert torch.allclose(grey_gradient(x)[0, 0, 1:-1, 1:-1], torch.tensor(2.0))


def test_equal_borders_cost_nothing_and_a_shift_is_drawn_back():
    labels = halves(12)
    assert border_difference(logits_of(labels), labels, 255) == 0
    torch.manual_seed(0)
    logits = logits_of(halves(10), sure=1.0).requires_grad_()
    loss = border_difference(logits, labels, 255)
    assert loss > 0.05
    loss.backward()
    assert logits.grad.abs().sum() > 0


def test_only_sure_borders_are_asked_for_their_class():
    labels, edges = halves(12), torch.full((1, 20, 24), -5.0)
    wrong = logits_of(1 - labels, sure=3.0)
    assert border_cross_entropy(wrong, edges, labels, 255) == 0
    edges[:, :, 11:13] = 5.0
    expected = np.log(np.exp(3) + 2)
    assert border_cross_entropy(wrong, edges, labels, 255).item() == pytest.approx(expected)


def test_nothing_depends_on_what_is_predicted_without_a_label():
    torch.manual_seed(1)
    labels = halves(12)
    labels[:, :, :8] = 255
    logits, edges = torch.randn(1, 3, 20, 24), 3 * torch.randn(1, 20, 24)
    far = slice(0, 4)
    logits.requires_grad_()
    edges.requires_grad_()
    dual_task_loss(logits, edges, labels, 255).backward()
    assert not logits.grad[..., far].any()
    assert not edges.grad[..., :8].any()
    assert logits.grad.any()
    assert edges.grad.any()


def test_an_image_without_labels_costs_nothing():
    labels = torch.full((1, 9, 9), 255)
    loss = dual_task_loss(torch.randn(1, 3, 9, 9), torch.randn(1, 9, 9), labels, 255)
    assert loss == 0
