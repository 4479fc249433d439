"""Volumes from file to file: what the functions give for the whole, whatever blocks were used."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.errors import InputError, MemoryBudgetError, StateError, UsageError
from gnnseg.pipeline import (
    centre_phases,
    paint_file,
    painting,
    stages,
    volume_grid,
    volume_stage,
    write_graph,
    write_superpixels,
)
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.volume_grid import VolumeGrid
from gnnseg.superpixels.groups import groups_until
from gnnseg.superpixels.volume import read_volume

ARRAYS = ("x", "edge_index", "edge_attr", "pos", "area")


class StoppedError(Exception):
    """Stands for a kill."""


def stop(*_args, **_kwargs):
    raise StoppedError


def stack(array, **about):
    return gnnseg.open_image(array, axes="ZYX" if array.ndim == 3 else "ZCYX", **about)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def small_chunks(monkeypatch, side=4):
    """Chunks of so many cells along each axis."""
    monkeypatch.setattr(volume_grid, "_SIDES", (side,))
    monkeypatch.setattr(volume_grid, "_TABLE_SIDES", (side,))


def slots_in(path):
    return zarr.open_group(path, mode="r")["slots"][:]


def files_of(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


CASES = {
    "flat cells": ((21, 62, 63), {"step": 3, "spacing": (3, 1, 1)}),
    "deep cells": ((42, 2, 83, 84), {"step": 4, "spacing": (2, 1, 1)}),
}
"""Of 21 cells along each axis: the middle one of three blocks of 7 reads 6 more on all sides."""


@pytest.mark.parametrize(("case", "workers"), [("flat cells", 1), ("deep cells", 2)])
def test_files_equal_the_functions(tmp_path, monkeypatch, case, workers):
    """Noise and masked voxels, in blocks smaller than the volume less two halos on every axis."""
    small_chunks(monkeypatch, side=7)
    shape, made = CASES[case]
    mask = np.random.default_rng(4).random((shape[0], *shape[-2:])) < 0.97
    mask[:9, :20, :20] = False  # with homes that stay empty
    made |= {"compactness": 0.05, "n_iter": 1, "mask": stack(mask.astype(np.uint8))}
    image = stack(noise(3, *shape))
    grid = VolumeGrid(read_volume(image, **made))
    reads = [task.block.read for task in grid.slot_tiling(1).tasks()]
    cells = grid.volume.lattice.cells
    assert any(np.all(read.open_sides(cells)) for read in reads), "too small for this halo"

    options = {"volume": True, "block": 1, "workers": workers, **made}
    found = write_superpixels(image, tmp_path / "slots.zarr", **options)
    whole = gnnseg.supervoxels(image, **made, block=10**6, workers=1)
    np.testing.assert_array_equal(slots_in(tmp_path / "slots.zarr"), whole.slots)
    assert found["leftover_pixels"] == whole.num_leftover > 0
    assert found["plan"]["region_chunks"] == 1
    about = zarr.open_group(tmp_path / "slots.zarr").attrs["gnnseg"]
    assert (about["kind"], about["step_z"], about["step"]) == (
        "supervoxel_slot_map",
        *whole.lattice.steps[:2],
    )

    made_graph = write_graph(image, tmp_path / "graph.zarr", **options)
    graph = gnnseg.RegionGraph.open(tmp_path / "graph.zarr")
    expected = gnnseg.supervoxel_graph(image, **made, block=10**6, workers=1)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(graph, name), getattr(expected, name), err_msg=name)
    assert graph.feature_names == expected.feature_names
    assert made_graph["num_edges"] == expected.num_edges
    number = (expected.area > 0).sum()
    assert found["num_superpixels"] == made_graph["num_superpixels"] == number < graph.num_nodes

    np.save(tmp_path / "ids.npy", np.arange(graph.num_nodes, dtype=np.int64))
    paint_file(
        tmp_path / "slots.zarr", tmp_path / "ids.npy", tmp_path / "ids.zarr", workers=workers
    )
    ids = np.where(whole.ids() < 0, np.iinfo(np.int64).max, whole.ids())
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "ids.zarr")[:], ids)


def test_real_sections(public_set, tmp_path):
    """Twelve sections ten times as thick as a pixel is wide, in four blocks."""
    from gnnseg.datasets import open_dataset

    items = sorted(open_dataset(public_set("sstem_vnc")).split("train"), key=lambda i: i.stem)
    images = [item.open_image() for item in items]
    part = images[0].bounds.coarsen(1024).scale(400)
    image = stack(np.stack([one.read(part)[0] for one in images]))
    made = {"step": 8, "spacing": (47.0, 4.6, 4.6)}
    found = write_superpixels(image, tmp_path / "slots.zarr", volume=True, block=1, **made)
    assert found["cell"] == [1, 8, 8]
    regions = gnnseg.supervoxels(image, **made)
    np.testing.assert_array_equal(slots_in(tmp_path / "slots.zarr"), regions.slots)
    assert zarr.open_group(tmp_path / "slots.zarr")["slots"].chunks == (12, 256, 256)


def test_the_size_of_a_voxel_is_taken_from_the_file(tmp_path):
    """Two micrometres deep and a half wide: cells of step 8 have two planes."""
    group = zarr.open_group(tmp_path / "stack.zarr", mode="w")
    array = group.create_array("0", shape=(5, 20, 24), chunks=(1, 20, 24), dtype=np.uint8)
    array[:] = noise(0, 5, 20, 24)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [2.0, 0.5, 0.5]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    for options, cell in (
        ({"step": 8}, (2, 8, 8)),
        ({"step": 8, "spacing": (1, 1, 1)}, (8, 8, 8)),
        ({"n_segments": 12}, (3, 11, 11)),
    ):
        out = tmp_path / f"{cell[0]}.zarr"
        found = write_superpixels(tmp_path / "stack.zarr", out, volume=True, **options)
        expected = gnnseg.supervoxels(tmp_path / "stack.zarr", **options)
        assert tuple(found["cell"]) == expected.lattice.steps == cell
        np.testing.assert_array_equal(slots_in(out), expected.slots)


@pytest.fixture(scope="module")
def image():
    return stack(noise(5, 13, 30, 33))


MADE = {"volume": True, "step": 4, "spacing": (2, 1, 1), "n_iter": 1, "block": 1, "workers": 1}
"""Makes 2 x 2 x 3 chunks of 4 cells of the image."""


def after(number, call):
    """Stops at the call after so many."""
    calls = []

    def work(*args, **options):
        if len(calls) == number:
            raise StoppedError
        calls.append(args)
        return call(*args, **options)

    return work, calls


def names_of(write):
    """What works on a block of each phase."""
    return {
        "centres": (centre_phases, "write_centres"),
        "slots": (volume_stage, "write_slots"),
        "sums": (volume_stage, "sum_up_volume" if write is write_graph else "count_homes"),
    }


@pytest.mark.parametrize(
    ("write", "where"),
    [
        *((write_superpixels, where) for where in ("centres", "slots", "sums")),
        *((write_superpixels, where) for where in ("ready", "published")),
        *((write_graph, where) for where in ("slots", "sums")),
    ],
)
def test_a_stopped_stage_goes_on(image, tmp_path, monkeypatch, write, where):
    small_chunks(monkeypatch)
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    expected = write(image, whole, **MADE)
    assert expected["plan"]["centres"] == (0, 1)
    names = names_of(write)
    with monkeypatch.context() as patch:
        if where in names:
            patch.setattr(volume_stage.VolumeStage, "load_loops", lambda _self: None)
            work, done = after(17 if where == "centres" else 5, getattr(*names[where]))
            patch.setattr(*names[where], work)
        elif where == "ready":
            patch.setattr(stages, "_publish", stop)
        else:
            patch.setattr(Run, "tidy", stop)
        with pytest.raises(StoppedError):
            write(image, out, **MADE)
    assert out.exists() == (where == "published")
    with monkeypatch.context() as patch:
        patch.setattr(volume_stage.VolumeStage, "load_loops", lambda _self: None)
        if where in names:
            work, again = after(None, getattr(*names[where]))
            patch.setattr(*names[where], work)
        if where != "centres":
            patch.setattr(*names["centres"], stop)
        if where not in ("centres", "slots"):
            patch.setattr(*names["slots"], stop)
        if where in ("ready", "published"):
            patch.setattr(*names["sums"], stop)
        found = write(image, out, **MADE)
    if where in names:
        assert (len(done), len(again)) == ((17, 7) if where == "centres" else (5, 7))
    assert found["resumed"]
    same = ("num_superpixels", "leftover_pixels", "lattice", "cell", "settings")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}
    assert files_of(out) == files_of(whole)
    with pytest.raises(StateError, match="exists"):
        write(image, out, **MADE)
    with pytest.raises(StateError, match="exists"):
        write(image, out, **{**MADE, "spacing": (1, 1, 1)})


@pytest.mark.parametrize(
    ("before", "then", "calls"), [((0, 1, 3), (3,), 1), ((1, 3), (2, 3), 13), ((3,), (0, 3), 13)]
)
def test_a_run_goes_on_in_other_groups(image, tmp_path, monkeypatch, before, then, calls):
    """From the last centres that are whole; and what there is of others counts, too.

    It stops before the last of 12 blocks of the last group.
    """
    small_chunks(monkeypatch)
    made = {**MADE, "n_iter": 3}
    write_superpixels(image, tmp_path / "whole.zarr", **made)
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(volume_grid.VolumeGrid, "groups", lambda *_: groups_until(before))
        patch.setattr(volume_stage.VolumeStage, "load_loops", lambda _self: None)
        work, _ = after(12 * len(before) - 1, centre_phases.write_centres)
        patch.setattr(centre_phases, "write_centres", work)
        with pytest.raises(StoppedError):
            write_superpixels(image, out, **made)
    scratch = out.with_name("out.zarr.gnnseg") / "scratch.zarr"
    assert {path.name for path in scratch.glob("centres_*")} == {
        f"centres_{n}" for n in before[-2:]
    }
    monkeypatch.setattr(volume_grid.VolumeGrid, "groups", lambda *_: groups_until(then))
    monkeypatch.setattr(volume_stage.VolumeStage, "load_loops", lambda _self: None)
    work, again = after(None, centre_phases.write_centres)
    monkeypatch.setattr(centre_phases, "write_centres", work)
    found = write_superpixels(image, out, **made)
    assert len(again) == calls
    assert found["plan"]["centres"] == then
    assert files_of(out) == files_of(tmp_path / "whole.zarr")


def test_what_a_kill_left_of_centres_is_deleted(image, tmp_path, monkeypatch):
    """Of those that nobody reads any more, and of those that another plan would not make."""
    small_chunks(monkeypatch)
    monkeypatch.setattr(volume_stage.VolumeStage, "load_loops", lambda _self: None)
    made, out = {**MADE, "n_iter": 4}, tmp_path / "out.zarr"

    def stopped(groups, name, work):
        with monkeypatch.context() as patch:
            patch.setattr(volume_grid.VolumeGrid, "groups", lambda *_: groups_until(groups))
            patch.setattr(*name, work)
            if name == centres:
                patch.setattr(Run, "discard", lambda *_: None)
            with pytest.raises(StoppedError):
                write_superpixels(image, out, **made)
        return {path.name for path in out.with_name("out.zarr.gnnseg").glob("scratch.zarr/ce*")}

    centres, slots = (names_of(write_superpixels)[name] for name in ("centres", "slots"))
    first = stopped((0, 1, 3), centres, after(35, centre_phases.write_centres)[0])
    assert first == {"centres_0", "centres_1", "centres_3"}
    assert stopped((2, 4), slots, stop) == {"centres_4"}


def test_centres_that_are_gone_are_missed(image, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(volume_stage, "write_slots", after(1, volume_stage.write_slots)[0])
        with pytest.raises(StoppedError):
            write_superpixels(image, out, **MADE)
    (out.with_name("out.zarr.gnnseg") / "scratch.zarr" / "centres_1/c.1.1.1.0").unlink()
    with pytest.raises(StateError, match="--overwrite"):
        write_superpixels(image, out, **MADE)


def test_a_stage_of_other_cells_does_not_go_on(image, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(stages, "_publish", stop)
        with pytest.raises(StoppedError):
            write_superpixels(image, tmp_path / "out.zarr", **MADE)
    for other in ({"spacing": (1, 1, 1)}, {"volume": False, "spacing": None}):
        with pytest.raises(StateError, match=r"steps|kind"):
            write_superpixels(image, tmp_path / "out.zarr", **{**MADE, **other})


def test_painting_a_volume_goes_on_where_it_stopped(image, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    write_superpixels(image, tmp_path / "slots.zarr", **MADE)
    whole = gnnseg.supervoxels(image, step=4, spacing=(2, 1, 1), n_iter=1)
    values = np.random.default_rng(0).random(whole.lattice.shape).astype(np.float32)
    np.save(tmp_path / "values.npy", values)
    out, paint = tmp_path / "out.zarr", painting._BoxPainter.__call__
    work, done = after(5, paint)
    with monkeypatch.context() as patch:
        patch.setattr(painting._BoxPainter, "__call__", work)
        with pytest.raises(StoppedError):
            paint_file(tmp_path / "slots.zarr", tmp_path / "values.npy", out, workers=1)
    work, again = after(None, paint)
    monkeypatch.setattr(painting._BoxPainter, "__call__", work)
    found = paint_file(tmp_path / "slots.zarr", tmp_path / "values.npy", out, workers=1)
    assert (found["resumed"], len(done), len(again)) == (True, 5, 7)
    np.testing.assert_array_equal(zarr.open_array(out)[:], gnnseg.paint(whole, values))
    with pytest.raises(MemoryBudgetError, match="use --memory"):
        paint_file(
            tmp_path / "slots.zarr", tmp_path / "values.npy", tmp_path / "o.zarr", memory="64MiB"
        )


def test_a_chunk_that_is_missing_is_not_painted_as_masked(image, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    write_superpixels(image, tmp_path / "slots.zarr", **MADE)
    (tmp_path / "slots.zarr" / "slots" / "c.1.1.1").unlink()
    lattice = gnnseg.supervoxels(image, step=4, spacing=(2, 1, 1), n_iter=1).lattice
    np.save(tmp_path / "values.npy", np.zeros(lattice.shape))
    with pytest.raises(InputError, match="a chunk is missing"):
        paint_file(tmp_path / "slots.zarr", tmp_path / "values.npy", tmp_path / "out.zarr")


@pytest.mark.parametrize("wrong", [{"step_z": None}, {"step_z": 0}, {"step_z": 3}, {"step": 5}])
def test_a_damaged_slot_map_is_refused(image, tmp_path, wrong):
    write_superpixels(image, tmp_path / "slots.zarr", **MADE)
    np.save(tmp_path / "values.npy", np.zeros(504))
    group = zarr.open_group(tmp_path / "slots.zarr")
    group.attrs["gnnseg"] = {**group.attrs["gnnseg"], **wrong}
    with pytest.raises(InputError, match="no readable slot map"):
        paint_file(tmp_path / "slots.zarr", tmp_path / "values.npy", tmp_path / "out.zarr")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((9, 9), {"volume": True}, "one plane"),
        ((1, 9, 9), {"volume": True}, "one plane"),
        ((2, 9, 9), {"volume": True, "spacing": (0, 1, 1)}, "three positive numbers"),
        ((2, 9, 9), {"volume": True, "spacing": (1, 2, 1)}, "square pixels"),
        ((2, 9, 9), {"spacing": (1, 1, 1)}, "--volume"),
        ((2, 9, 9), {"volume": True, "n_segments": 9, "step": 4}, "not both"),
    ],
)
def test_what_is_no_volume_is_refused_before_anything_is_written(tmp_path, shape, options, message):
    image = gnnseg.open_image(noise(6, *shape), axes="ZYX"[-len(shape) :])
    with pytest.raises(UsageError, match=message):
        write_graph(image, tmp_path / "out.zarr", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", [60, 104])
def test_cubes_of_any_step_are_written_and_painted(tmp_path, step):
    """In chunks that are opened again; the volume is thinner than a cell."""
    image = stack(noise(8, 3, 40, 130))
    made = {"volume": True, "step": step, "spacing": (1, 1, 1), "n_iter": 1, "workers": 1}
    found = write_superpixels(image, tmp_path / "slots.zarr", **made)
    regions = gnnseg.supervoxels(image, step=step, n_iter=1)
    assert found["lattice"] == list(regions.lattice.shape)
    np.save(tmp_path / "ids.npy", np.arange(regions.lattice.num_cells))
    paint_file(tmp_path / "slots.zarr", tmp_path / "ids.npy", tmp_path / "ids.zarr", workers=1)
    painted = gnnseg.open_image(tmp_path / "ids.zarr", axes="ZYX")
    np.testing.assert_array_equal(painted.read(painted.bounds, 1)[0], regions.ids()[1])
