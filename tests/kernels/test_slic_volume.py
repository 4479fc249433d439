"""Clustering of volumes against the documented rule, written voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gnnseg.kernels.ruler import HEAVIEST, SPAN
from gnnseg.kernels.slic import slic
from gnnseg.kernels.slic_volume import OWN, Centres, Volume, assign_volume, find_centres
from gnnseg.kernels.slots import MASKED

OFFSETS = [(dz, dy, dx) for dz in (-1, 0, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def cluster(work, mask, *, steps, n_iter, stride, weights):
    """`work` is (Z, C, H, W); each plane is given a margin of one pixel."""
    wide = np.pad(work, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    slots = np.empty(mask.shape, np.uint8)

    def plane(z):
        return wide[z], np.where(mask[z], np.uint8(0), np.uint8(MASKED))

    volume = Volume(plane, work.shape[1], mask.shape, (1, 1), steps, weights)
    assign_volume(volume, find_centres(volume, n_iter, stride if n_iter > 0 else 1), slots)
    return slots


class Oracle:
    """Centres by dictionaries, in quarters of a voxel in the whole volume."""

    def __init__(self, work, mask, *, steps, n_iter, stride, weights):
        kernel = np.outer([1, 2, 1], [1, 2, 1])[None, None]
        self.work = (ndimage.correlate(work.astype(int), kernel, mode="nearest") + 8) >> 4
        self.mask, self.steps = mask, np.array([steps[0], steps[1], steps[1]])
        self.weights = np.float32([weights[0] / 4, weights[1] / 4, weights[1] / 4])
        self.centres = {}
        stride = stride if n_iter > 0 else 1
        seen = self.voxels(stride)
        self.fit(seen, self.cell, 2 * (stride - 1))
        self.fit([p for p in self.voxels(1) if self.cell(p) not in self.centres], self.cell, 0)
        for _ in range(n_iter):
            self.fit(seen, self.home, stride - 1)
        self.slots = np.full(mask.shape, MASKED, np.uint8)
        for p in self.voxels(1):
            d = np.array(self.home(p)) - self.cell(p) + 2
            self.slots[p] = 25 * d[0] + 5 * d[1] + d[2]

    def voxels(self, stride):
        step = self.steps[2]
        every = map(tuple, np.argwhere(self.mask).tolist())
        return [p for p in every if not (p[1] % step % stride or p[2] % step % stride)]

    def cell(self, p):
        return tuple((np.array(p) // self.steps).tolist())

    def fit(self, voxels, home, shift):
        members = {}
        for p in voxels:
            members.setdefault(home(p), []).append(p)
        for key, found in members.items():
            at = np.array(found).T
            values = np.concatenate([4 * at, self.work[at[0], :, at[1], at[2]].T])
            mean = (2 * values.sum(axis=1) + len(found)) // (2 * len(found))
            last = 4 * (np.array(key) + 2) * self.steps - 4
            mean[1:3] = np.minimum(mean[1:3] + shift, last[1:])
            self.centres[key] = mean

    def home(self, p):
        own = self.cell(p)
        corner = 4 * self.steps * (np.array(own) - 2)

        def on_ruler(quarters):
            return np.rint(self.weights * (quarters - corner).astype(np.float32))

        def cost(key):
            mean = self.centres[key]
            away = np.abs(on_ruler(4 * np.array(p)) - on_ruler(mean[:3])).sum()
            return away + np.abs(self.work[p[0], :, p[1], p[2]] - mean[3:]).sum()

        near = [tuple(np.add(own, d).tolist()) for d in OFFSETS]
        return min((key for key in near if key in self.centres), key=cost)


@settings(max_examples=40)
@given(st.data())
def test_it_is_the_documented_rule(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    depth, height, width = (data.draw(st.integers(1, most)) for most in (7, 12, 13))
    steps = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5))
    top = data.draw(st.sampled_from([1, 3, 1020]))  # few values: many ties
    channels = data.draw(st.sampled_from([1, 3, 6]))
    work = rng.integers(0, top + 1, (depth, channels, height, width)).astype(np.int16)
    mask = rng.random((depth, height, width)) < data.draw(st.sampled_from([0.3, 0.9, 1.0]))
    made = {
        "steps": steps,
        "n_iter": data.draw(st.integers(0, 2)),
        "stride": data.draw(st.integers(1, 2)),
        "weights": data.draw(st.sampled_from([(0.0, 0.0), (3.3, 1.7), (1.0, 40.0)])),
    }
    np.testing.assert_array_equal(cluster(work, mask, **made), Oracle(work, mask, **made).slots)


@pytest.mark.parametrize("channels", [3, 5])
def test_the_largest_distances_fit(channels):
    """Black and white, as far apart and as heavy as can be along all axes."""
    rng = np.random.default_rng(0)
    white = min(SPAN // channels, 4095)
    blocks = rng.integers(0, 2, (3, channels, 6, 6)) * white
    blocks[:, :, :3] = blocks[:, :1, :3]  # all channels black or white at once
    work = np.kron(blocks, np.ones((2, 1, 2, 2))).astype(np.int16)
    mask = np.ones((6, 12, 12), bool)
    mask[2:4, 4:8] = mask[:2, :4, :4] = mask[4:, 8:, 8:] = False
    mask[[0, 3, 5], [3, 4, 8], [3, 11, 11]] = True  # centres in the corners of cells
    heaviest = {"steps": (2, 4), "weights": (HEAVIEST / 2, HEAVIEST / 4)}
    made = {"n_iter": 2, "stride": 1, **heaviest}
    np.testing.assert_array_equal(cluster(work, mask, **made), Oracle(work, mask, **made).slots)


@pytest.mark.parametrize("step_z", [1, 5])
def test_one_plane_is_clustered_as_a_plane(step_z):
    rng = np.random.default_rng(0)
    work, mask = rng.integers(0, 1021, (3, 30, 41)).astype(np.int16), rng.random((30, 41)) < 0.9
    made = {"n_iter": 2, "stride": 2}
    found = cluster(work[None], mask[None], steps=(step_z, 4), weights=(9.0, 3.0), **made)[0]
    slots = np.where(mask, np.uint8(0), np.uint8(MASKED))
    cells = -(-30 // 4), -(-41 // 4)
    centres = np.zeros((*cells, 3), np.int32), np.zeros((*cells, 2), np.int32)
    slic(np.pad(work, ((0, 0), (1, 1), (1, 1)), mode="edge"), 4, 2, 2, 3.0, slots, *centres)
    np.testing.assert_array_equal(found, np.where(mask, slots + 50, MASKED))


def test_a_grey_volume_is_its_cells():
    slots = cluster(
        np.zeros((6, 1, 12, 12), np.int16), np.ones((6, 12, 12), bool),
        steps=(3, 4), n_iter=1, stride=2, weights=(8.0, 6.0),
    )  # fmt: skip
    assert (slots == OWN).all()


@pytest.mark.parametrize(("last", "reads"), [((0, 0, 0), 2), ((1, 5, 9), 3)])
def test_masked_cells_have_no_plane_read_again(last, reads):
    """But a cell does of whose voxels the rounds look at none: planes of its layer, once more."""
    work = np.random.default_rng(0).integers(0, 99, (6, 1, 14, 18)).astype(np.int16)
    slots, seen = np.empty((6, 12, 16), np.uint8), []
    mask = np.ones(slots.shape, bool)
    mask[:2, 4:8, 8:12] = False
    mask[last] = True

    def plane(z):
        seen.append(z)
        return work[z], np.where(mask[z], np.uint8(0), np.uint8(MASKED))

    volume = Volume(plane, 1, mask.shape, (1, 1), (2, 4), (1.0, 1.0))
    assign_volume(volume, find_centres(volume, 2, 2), slots)
    assert np.bincount(seen).tolist() == [reads] * 2 + [2] * 4
    np.testing.assert_array_equal(slots == MASKED, ~mask)


def test_centres_are_packed_exactly():
    """The largest numbers that there are: channels add up to 16384, and cells have 256 voxels."""
    cells, farthest = (2, 3, 4), 4 * (3 * 256 - 1)
    centres = Centres.none(cells, 2)
    for array, top in (
        (centres.colour, 16384),
        (centres.place, farthest),
        (centres.height, farthest),
    ):
        array[:] = np.random.default_rng(top).integers(0, top + 1, array.shape)
        array.reshape(-1)[0] = top
    centres.active[1:] = True
    packed = centres.packed()
    assert packed.shape == (*cells, Centres.width(2))
    again = Centres.unpacked(packed)
    for name in ("colour", "place", "height", "active"):
        found, expected = getattr(again, name), getattr(centres, name)
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert found.dtype == expected.dtype
