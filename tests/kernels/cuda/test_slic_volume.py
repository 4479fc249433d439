"""Clustering of volumes on a GPU: the bits of the CPU, which is tested against the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, cuda

from gnnseg.kernels.slic_volume import CLOSED, Centres, Volume, assign_volume, find_centres
from gnnseg.kernels.slots import MASKED

MARGIN = 2
TIMES, EXAMPLES = (1, 6) if config.ENABLE_CUDASIM else (9, 60)
"""On a GPU, volumes of several blocks of threads, and more of them."""
FIELDS = "colour", "place", "height", "active"


def draw(seed, shape, channels, taken, top=1020):
    rng = np.random.default_rng(seed)
    shape = shape[0], shape[1] * TIMES, shape[2] * TIMES
    wide = shape[0], channels, shape[1] + 2 * MARGIN, shape[2] + 2 * MARGIN
    work = rng.integers(0, top + 1, wide).astype(np.int16)
    return work, np.where(rng.random(shape) < taken, np.uint8(0), np.uint8(MASKED))


def window(work, slots, steps, weights, sides=CLOSED):
    """The same window in memory and on a GPU."""
    there = cuda.to_device(work), cuda.to_device(slots)
    rest = work.shape[1], slots.shape, (MARGIN, MARGIN), steps, weights, sides
    here = Volume(lambda z: (work[z], slots[z]), *rest)
    return here, replace(here, planes=lambda z: (there[0][z], there[1][z]), like=there[1])


def moved(centres):
    return Centres(*(cuda.to_device(getattr(centres, name)) for name in FIELDS))


def copied(centres):
    return Centres(*(getattr(centres, name).copy() for name in FIELDS))


def check_centres(here, there, rounds, stride, before=None):
    start = None if before is None else moved(before)
    found = find_centres(there, rounds, stride, start)
    expected = find_centres(here, rounds, stride, before)
    for name in FIELDS:
        array = getattr(found, name).copy_to_host()
        np.testing.assert_array_equal(array, getattr(expected, name), err_msg=name)
    return expected


def check_slots(here, there, centres):
    expected = np.empty(here.shape, np.uint8)
    slots = cuda.to_device(np.full_like(expected, 99))
    assign_volume(there, moved(centres), slots)
    assign_volume(here, centres, expected)
    np.testing.assert_array_equal(slots.copy_to_host(), expected)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_it_is_the_clustering_of_the_cpu(data):
    shape = tuple(data.draw(st.integers(1, most)) for most in (5, 8, 9))
    steps = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
    taken = data.draw(st.sampled_from([0.1, 0.8, 1.0]))
    top = data.draw(st.sampled_from([1, 1020]))  # few values: many ties
    seed, channels = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.sampled_from([1, 3]))
    weights = data.draw(st.sampled_from([(0.0, 0.0), (3.3, 1.7), (1.0, 40.0)]))
    pair = window(*draw(seed, shape, channels, taken, top), steps, weights)
    rounds, stride = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 2))
    check_slots(*pair, check_centres(*pair, rounds, stride))


def test_open_sides_leave_out_the_same_cells():
    """First where cells start, then where they go on from centres of one further."""
    sides = (True, True), (True, False), (False, True)
    work, slots = draw(1, (6, 9, 10), 1, 0.9)
    pair = window(work, slots, (1, 2), (2.0, 0.5), sides)
    check_centres(*pair, 1, 1)
    inner = np.s_[1:-1], np.s_[2:], np.s_[:-2]
    whole = Volume(lambda z: (work[z], slots[z]), 1, slots.shape, (MARGIN,) * 2, (1, 2), (2.0, 0.5))
    before = find_centres(whole, 0, 1)
    part = work[inner[0], :, 2:, :-2], slots[inner]
    pair = window(*map(np.ascontiguousarray, part), (1, 2), (2.0, 0.5), sides)
    check_slots(*pair, check_centres(*pair, 1, 1, copied(before)))
    check_centres(*pair, 0, 1, copied(before))


def test_a_cell_of_many_planes_is_added_up_in_parts(monkeypatch):
    monkeypatch.setattr("gnnseg.kernels.cuda.clustering._AT_ONCE", 1)
    pair = window(*draw(2, (5, 4, 5), 2, 0.9), (3, 3), (1.0, 2.0))
    check_centres(*pair, 1, 2)
