"""SLIC on a GPU: the bits of the CPU, which is tested against the documented rule."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda

from gnnseg.kernels.slic import slic
from gnnseg.kernels.slots import MASKED

MARGIN = 2
TIMES = 1 if config.ENABLE_CUDASIM else 12
"""On a GPU, images of several blocks of threads."""


def draw(seed, shape, channels, taken):
    rng = np.random.default_rng(seed)
    shape = shape[0] * TIMES, shape[1] * TIMES
    wide = channels, shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN
    work = rng.integers(0, 1021, wide).astype(np.int16)
    slots = np.where(rng.random(shape) < taken, np.uint8(77), np.uint8(MASKED))
    return work, slots


def check(work, slots, step, n_iter, stride, weight, open_sides=(False,) * 4):
    cells = tuple(-(-size // step) for size in slots.shape)
    made = slots, np.zeros((*cells, len(work)), np.int32), np.zeros((*cells, 2), np.int32)
    there = [cuda.to_device(array) for array in made]
    rest = (MARGIN, MARGIN), open_sides
    slic(cuda.to_device(work), step, n_iter, stride, weight, *there, *rest)
    slic(work, step, n_iter, stride, weight, *made, *rest)
    for here, array in zip(made, there, strict=True):
        np.testing.assert_array_equal(array.copy_to_host(), here)


@pytest.mark.parametrize(
    ("channels", "step", "n_iter", "stride", "weight", "taken"),
    [
        (3, 4, 2, 2, 1.7, 1.0),
        (1, 3, 1, 1, 0.0, 0.6),
        (5, 5, 0, 2, 40.0, 1.0),
        (2, 4, 1, 3, 5.0, 0.1),
    ],
)  # fmt: skip
def test_it_is_the_clustering_of_the_cpu(channels, step, n_iter, stride, weight, taken):
    check(*draw(n_iter, (11, 14), channels, taken), step, n_iter, stride, weight)


def test_as_many_channels_as_an_image_may_have():
    work, slots = draw(5, (5, 7), 64, 1.0)
    check(work[:, :9, :11], slots[:5, :7], 3, 1, 1, 2.0)


def test_ties_go_to_the_first_home():
    work, slots = draw(0, (9, 9), 1, 1.0)
    check(np.zeros_like(work), slots, 3, 0, 1, 0.0)


def test_open_sides_leave_out_the_same_cells():
    check(*draw(4, (17, 15), 1, 0.9), 2, 1, 1, 0.01, (True, False, False, True))
