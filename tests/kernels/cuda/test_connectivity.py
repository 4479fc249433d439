"""Connectivity on a GPU: the bits of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.kernels.connectivity import connect
from gnnseg.kernels.slots import MASKED, OWN

TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""


def check(slots, step, rounds):
    there = cuda.to_device(slots)
    left = connect(there, step, rounds)
    np.testing.assert_array_equal(left, connect(slots, step, rounds))
    np.testing.assert_array_equal(there.copy_to_host(), slots)
    return left


@pytest.mark.parametrize(("seed", "step", "rounds"), [(0, 3, 3), (1, 4, 1), (2, 5, 5)])
def test_noise_is_united_as_on_the_cpu(seed, step, rounds):
    """Homes at random, far from each other too, so that most pixels are orphans at first."""
    rng = np.random.default_rng(seed)
    choice = [6, 7, OWN, OWN, OWN, 17, 24, 0, MASKED]
    slots = rng.choice(np.array(choice, np.uint8), (12 * TIMES, 15 * TIMES))
    left = check(slots, step, rounds)
    assert rounds > 1 or len(left) > 0


def test_trees_of_many_pixels_are_the_same(monkeypatch):
    """Those of more than 2**31 pixels, on few."""
    monkeypatch.setattr("gnnseg.kernels.cuda.connectivity_volume._FEW", 0)
    test_noise_is_united_as_on_the_cpu(3, 4, 4)


def test_a_spiral_is_one_piece():
    """A long way from one end of a piece to the other, and a second piece in the middle of it."""
    spiral = np.zeros((9, 9), bool)
    y, x, dy, dx = 0, 0, 0, 1
    while True:
        spiral[y, x] = True
        ahead = y + 2 * dy, x + 2 * dx
        if not (0 <= y + dy < 9 and 0 <= x + dx < 9) or (
            0 <= ahead[0] < 9 and 0 <= ahead[1] < 9 and spiral[ahead]
        ):
            dy, dx = dx, -dy
            ahead = y + 2 * dy, x + 2 * dx
            if spiral[y + dy, x + dx] or (0 <= ahead[0] < 9 and spiral[ahead]):
                break
        y, x = y + dy, x + dx
    assert 25 < spiral.sum() < 60
    check(np.where(spiral, np.uint8(OWN), np.uint8(MASKED)), 16, 4)
    slots = np.where(spiral, np.uint8(OWN), np.uint8(13))
    check(slots, 16, 4)


def test_without_orphans_nothing_changes():
    slots = np.full((7 * TIMES, 10 * TIMES), OWN, np.uint8)
    assert check(slots, 4, 4).shape == (0, 2)
    assert (slots == OWN).all()
