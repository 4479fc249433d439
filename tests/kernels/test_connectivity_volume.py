"""Connectivity of volumes against scipy's labels and the documented rounds."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gnnseg.kernels.connectivity import connect
from gnnseg.kernels.connectivity_volume import connect_volume, count_in_box
from gnnseg.kernels.slots import MASKED

SIDES = [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]


def homes_of(slots, steps):
    """(Z, H, W, 3) homes; what masked voxels hold is meaningless."""
    cells = np.moveaxis(np.indices(slots.shape), 0, -1) // [steps[0], steps[1], steps[1]]
    wide = slots.astype(int)
    return cells + np.stack([wide // 25, wide % 25 // 5, wide % 5], -1) - 2


def oracle(slots, steps, rounds, faces):
    """The slots by definition, one voxel after the other."""
    slots, cells = slots.copy(), homes_of(np.full_like(slots, 62), steps)
    homes = homes_of(slots, steps)
    taken = slots != MASKED
    settled = np.zeros(slots.shape, bool)
    for home in {tuple(h) for h in homes[taken].tolist()}:
        pieces, number = ndimage.label(taken & (homes == home).all(-1))
        sizes = np.bincount(pieces.ravel(), minlength=number + 1)[1:]
        settled |= pieces == 1 + np.argmax(sizes)  # the first of the largest in raster order
    for n in range(rounds):
        along_z = steps[0] >= steps[1] or n * steps[0] // steps[1] < (n + 1) * steps[0] // steps[1]
        before = homes.copy()
        joined = settled.copy()
        for at in map(tuple, np.argwhere(taken & ~settled).tolist()):
            votes = {}
            for side in SIDES if along_z else SIDES[2:]:
                other = tuple(np.add(at, side).tolist())
                inside = all(0 <= o < size for o, size in zip(other, slots.shape, strict=True))
                if inside and settled[other]:
                    home = tuple(before[other].tolist())
                    if max(abs(np.subtract(home, cells[at]))) <= 2:
                        votes[home] = votes.get(home, 0) + faces[side[0] != 0]
            if votes:
                homes[at] = max(sorted(votes), key=votes.__getitem__)
                joined[at] = True
        settled = joined
    d = homes - cells + 2
    found = 25 * d[..., 0] + 5 * d[..., 1] + d[..., 2]
    return np.where(taken, found, MASKED), np.argwhere(taken & ~settled)


@settings(max_examples=40)
@given(st.data())
def test_it_is_the_documented_rule(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = tuple(data.draw(st.integers(1, most)) for most in (5, 9, 10))
    steps = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
    choice = data.draw(st.sampled_from([[62, 62, 62, 61, 37], [62, 0, 124, 87, 63, MASKED]]))
    slots = rng.choice(np.array(choice, np.uint8), shape)
    rounds = data.draw(st.integers(0, 6))
    faces = data.draw(st.sampled_from([(1, 1), (8, 1), (2, 3)]))
    expected, left = oracle(slots, steps, rounds, faces)
    found = connect_volume(slots, steps, rounds, faces)
    np.testing.assert_array_equal(slots, expected)
    np.testing.assert_array_equal(found, np.ravel_multi_index(left.T, shape))
    corner = np.array([data.draw(st.integers(0, n - 1)) for n in shape])
    size = np.array([data.draw(st.integers(1, n)) for n in shape])
    inside = ((left >= corner) & (left < corner + size)).all(-1)
    assert count_in_box(found, shape, tuple(corner), tuple(size)) == inside.sum()


def test_orphans_that_are_left_take_an_index_each():
    """Random slots, of which nearly all are left."""
    slots = np.random.default_rng(0).integers(0, 125, (20, 60, 60)).astype(np.uint8)
    connect_volume(slots[:2, :2, :2].copy(), (2, 2), 0)
    tracemalloc.start()
    left = connect_volume(slots, (2, 2), 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left.dtype == np.int32
    assert left.size > 0.5 * slots.size
    assert peak < 6 * slots.size


def test_one_plane_is_connected_as_a_plane():
    rng = np.random.default_rng(0)
    slots = rng.choice(np.array([12, 12, 12, 7, 13, 18, MASKED], np.uint8), (40, 50))
    volume = np.where(slots == MASKED, MASKED, slots + 50).astype(np.uint8)[None]
    left = connect_volume(volume, (2, 5), 5)
    np.testing.assert_array_equal(left, connect(slots, 5, 5) @ [50, 1])
    np.testing.assert_array_equal(volume[0], np.where(slots == MASKED, MASKED, slots + 50))
