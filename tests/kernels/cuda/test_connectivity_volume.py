"""Connectivity of volumes on a GPU: the bits of the CPU, which is tested against the rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, cuda

from gnnseg.errors import UsageError
from gnnseg.kernels.connectivity_volume import connect_volume
from gnnseg.kernels.cuda.launch import per_voxel
from gnnseg.kernels.slots import MASKED

TIMES, EXAMPLES = (1, 12) if config.ENABLE_CUDASIM else (9, 80)
"""On a GPU, volumes of several blocks of threads, and more of them."""
CHOICES = [62, 62, 62, 61, 37], [62, 0, 124, 87, 63, MASKED]


def check(slots, *rest):
    there = cuda.to_device(slots)
    left = connect_volume(there, *rest)
    expected = connect_volume(slots, *rest)
    np.testing.assert_array_equal(left, expected)
    assert left.dtype == expected.dtype
    np.testing.assert_array_equal(there.copy_to_host(), slots)
    return left


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_noise_is_united_as_on_the_cpu(data):
    """Homes at random, far from each other too, so that many voxels are orphans at first."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    depth, height, width = (data.draw(st.integers(1, most)) for most in (4, 7, 8))
    steps = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
    choice = np.array(data.draw(st.sampled_from(CHOICES)), np.uint8)
    slots = rng.choice(choice, (depth, height * TIMES, width * TIMES))
    faces = data.draw(st.sampled_from([(1, 1), (8, 1), (2, 3)]))
    check(slots, steps, data.draw(st.integers(0, 4)), faces)


def test_trees_of_many_voxels_are_the_same(monkeypatch):
    """Those of more than 2**31 voxels, on few: only the type of the result differs."""
    slots = np.random.default_rng(1).choice(np.array([62, 61, 87], np.uint8), (3, 6, 6))
    there = cuda.to_device(slots)
    monkeypatch.setattr("gnnseg.kernels.cuda.connectivity_volume._FEW", 0)
    left = connect_volume(there, (1, 2), 1, (2, 1))
    assert left.dtype == np.int64
    np.testing.assert_array_equal(left, connect_volume(slots, (1, 2), 1, (2, 1)))
    np.testing.assert_array_equal(there.copy_to_host(), slots)


def test_without_orphans_nothing_changes():
    slots = np.full((3, 5 * TIMES, 6 * TIMES), 62, np.uint8)
    assert check(slots, (2, 4), 4, (2, 1)).size == 0
    assert (slots == 62).all()


def test_more_planes_than_a_launch_has_blocks_are_refused():
    assert per_voxel(65_535, 1, 1)[0][2] == 65_535
    with pytest.raises(UsageError, match="65536 planes are too many for a GPU"):
        per_voxel(65_536, 1, 1)
