"""Rounds in any groups give the same bits; every cell of their halo is needed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial, reduce
from itertools import accumulate

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gnnseg
from gnnseg.pipeline import volume_grid
from gnnseg.pipeline.volume_grid import VolumeGrid
from gnnseg.superpixels.groups import BlockCost, Group, best_groups, groups_until, possible_groups
from gnnseg.superpixels.volume import read_volume, write_centres, write_slots


def stack(array):
    return gnnseg.open_image(array, axes="ZYX" if array.ndim == 3 else "ZCYX")


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def moved(volume, group, before, size, less=0):
    """The centres after one more group, from blocks of `size` cells that read `less` cells."""
    out, halo = np.full(volume.centre_shape, 9, np.uint16), group.halo - less
    for block in volume.lattice.blocks(size, (halo, halo)):
        write_centres(volume, block, group=group, before=before, out=out)
    return out


def centres_of(volume, groups, size):
    """The centres after some groups, from blocks of `size` cells."""
    return reduce(lambda before, group: moved(volume, group, before, size), groups, None)


def slots_of(volume, centres, size):
    lattice = volume.lattice
    slots = np.empty(lattice.voxels(lattice.cells).shape, np.uint8)
    blocks = lattice.blocks(size, lattice.piece_halo(volume.planes.settings))
    return slots, sum(write_slots(volume, block, centres, slots) for block in blocks)


@settings(max_examples=25)
@given(st.data())
def test_any_groups_of_any_blocks_give_the_same(data):
    """Against the whole volume as one block, in which nothing is left out."""
    shape = [data.draw(st.integers(1, most)) for most in (12, 25, 25)]
    channels = data.draw(st.sampled_from([(), (3,)]))
    image = noise(data.draw(st.integers(0, 99)), shape[0], *channels, *shape[1:])
    mask = np.random.default_rng(5).random(shape) < data.draw(st.sampled_from([0.1, 0.9, 1.0]))
    rounds = data.draw(st.lists(st.integers(1, 3), max_size=3))
    if not rounds or data.draw(st.booleans()):
        rounds = [0, *rounds]
    made = {
        "step": data.draw(st.integers(2, 5)),
        "spacing": (data.draw(st.sampled_from([0.5, 1.0, 2.0, 9.0])), 1, 1),
        "compactness": data.draw(st.sampled_from([0.0, 0.1, 4.0])),
        "n_iter": sum(rounds),
        "mask": stack(mask.astype(np.uint8)),
    }
    volume = read_volume(stack(image), **made)
    size = [data.draw(st.integers(1, 5)) for _ in range(3)]
    centres = centres_of(volume, groups_until(accumulate(rounds)), size)
    slots, left = slots_of(volume, centres, [data.draw(st.integers(1, 5)) for _ in range(3)])
    whole = gnnseg.supervoxels(stack(image), **made, block=10**6, workers=1)
    np.testing.assert_array_equal(slots, whole.slots)
    assert left == whole.num_leftover


STEPS = {"step": 2, "compactness": 0.05}
SIDE = 26
"""Pixels of 13 cells along each axis: a block of three reads 11 at most, not all."""


@pytest.mark.parametrize("ends", [(1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_the_halo_of_a_group_is_enough_and_a_cell_less_is_not(ends):
    deep = 1 + ends[-1] % 2
    image = stack(noise(len(ends), SIDE // deep, SIDE, SIDE))
    volume = read_volume(image, **STEPS, n_iter=ends[-1], spacing=(deep, 1, 1))
    groups, whole = groups_until(ends), volume.lattice.shape
    assert whole == (13, 13, 13)
    assert 3 + 2 * groups[-1].halo <= 11
    before = centres_of(volume, groups[:-1], whole)
    expected, enough, fewer = (
        moved(volume, groups[-1], before, size, less)
        for size, less in ((whole, 0), ((3, 3, 3), 0), ((3, 3, 3), 1))
    )
    np.testing.assert_array_equal(enough, expected)
    assert (fewer != expected).any()


def test_a_cell_starts_from_its_own_voxels():
    assert Group(0).halo == 0
    volume = read_volume(stack(noise(3, 9, 20, 20)), step=4, n_iter=2)
    parts, whole = (centres_of(volume, groups_until([0]), size) for size in ((1, 1, 1), (9, 9, 9)))
    np.testing.assert_array_equal(parts, whole)
    assert whole[..., 0].all()


def test_voxels_may_join_the_cells_next_to_what_a_block_reads():
    volume = read_volume(stack(noise(4, SIDE, SIDE, SIDE)), **STEPS, n_iter=1)
    lattice = volume.lattice
    centres = centres_of(volume, groups_until([1]), lattice.shape)
    *_, block = (
        b for b in lattice.blocks((3, 3, 3), (3, 3)) if np.all(b.read.open_sides(lattice.cells))
    )
    slots = np.empty((2, *[SIDE] * 3), np.uint8)
    write_slots(volume, block, centres, slots[0])
    only = np.zeros_like(centres)
    only[block.read.slices] = centres[block.read.slices]
    write_slots(volume, block, only, slots[1])
    part = lattice.voxels(block.read).slices
    assert (slots[0][part] != slots[1][part]).any()


def by_hand(cells, ends):
    """Nanoseconds for each voxel written of a block of cubes in memory, with two rounds.

    Four for each that is read, eight for each that a round looks at.
    """
    n = [((cells + 2 * halo) / cells) ** 3 for halo in range(5)]
    return {
        (2,): 4 * n[4] + 8 * (n[3] + n[1]),
        (1, 2): 4 * (n[2] + n[1]) + 8 * (n[1] + n[1]),
        (0, 2): 4 * (n[0] + n[3]) + 8 * (n[3] + n[1]),
        (0, 1, 2): 4 * (n[0] + n[1] + n[1]) + 8 * (n[1] + n[1]),
    }[ends]


def ends_of(groups):
    return tuple(group.after for group in groups)


@pytest.mark.parametrize(("cells", "ends"), [(4, (0, 1, 2)), (16, (1, 2)), (64, (2,)), (128, (2,))])
def test_the_groups_that_cost_least_are_taken(cells, ends):
    image = stack(np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (900, 900, 900)))
    cost = BlockCost(image, read_volume(image, step=2).lattice, (cells,) * 3)
    assert ends_of(best_groups(2, cost.group)) == ends
    for groups in possible_groups(2):
        found = sum(map(cost.group, groups)) / (2 * cells) ** 3
        assert found == pytest.approx(by_hand(cells, ends_of(groups)))
        assert found >= by_hand(cells, ends)


def test_what_is_decoded_counts(tmp_path):
    """Chunks of two nanoseconds a voxel, of which a block and its halos touch one more."""
    array = zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=(640, 640, 640),
        chunks=(32, 64, 128),
        dtype=np.uint8,
        dimension_names=["z", "y", "x"],
    )
    volume = read_volume(tmp_path / "a.zarr", step=8)
    stored = BlockCost(volume.planes.image, volume.lattice, (16, 16, 16))
    held = replace(stored, image=stack(np.broadcast_to(array[:1, :1, :1], array.shape)))
    for group, side, chunks in ((Group(1), 160, (6, 4, 3)), (Group(2), 192, (7, 4, 3))):
        more = stored.group(group) - held.group(group)
        assert more == 2 * np.prod(np.array(chunks) * (32, 64, 128))
        assert stored.lattice.largest(stored.size, (group.halo,) * 2) == (side,) * 3
    assert ends_of(best_groups(2, held.group)) == (1, 2)
    assert ends_of(best_groups(2, stored.group)) == (2,)


def test_one_block_of_a_whole_volume_is_read_once_for_all_rounds():
    image = stack(noise(0, 10, 20, 20))
    cost = BlockCost(image, read_volume(image, step=4).lattice, (5, 5, 5))
    assert best_groups(5, cost.group) == (Group(5),)


def test_only_groups_that_fit_are_taken():
    groups = best_groups(3, lambda _group: 1, lambda group: group.halo < 2)
    assert groups == groups_until([0, 1, 2, 3])
    assert best_groups(0, lambda _group: 1) == (Group(0),)


def test_groups_go_on_from_any_round():
    assert groups_until([2, 4, 5], before=3) == (Group(1, 3), Group(1, 4))
    assert groups_until([2, 4], before=4) == ()


def peak_of(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("group", [Group(0), Group(2), Group(1, before=1), None])
def test_the_arrays_of_a_block_are_no_larger_than_planned(monkeypatch, group):
    """But for constants; nor, where any are kept, half of it. No group: while slots are made."""
    for name in ("SCRATCH_BYTES", "CHANNEL_BYTES"):
        monkeypatch.setattr(volume_grid, name, 0)
    monkeypatch.setattr(volume_grid, "_SIDES", (6,))
    image = stack(noise(6, 160, 160, 160))
    volume = read_volume(image, step=8, n_iter=2, compactness=0.05)
    grid, out = VolumeGrid(volume), np.empty(volume.centre_shape, np.uint16)
    tiling = grid.slot_tiling(1) if group is None else grid.centre_tiling(1, group)
    block = max((task.block for task in tiling.tasks()), key=lambda block: block.read.size)
    before, slots = np.ones_like(out), np.empty((160, 160, 160), np.uint8)
    if group is None:
        planned, peak = (
            grid.slot_bytes(1),
            peak_of(partial(write_slots, volume, block, before, slots)),
        )
    else:
        planned = grid.centre_bytes(1, group)
        work = partial(write_centres, volume, block, group=group, before=before, out=out)
        peak = peak_of(work)
    assert peak < planned + 2**18
    assert group == Group(0) or peak > planned / 2
