"""A stack as one volume, through the program: killed anywhere, within memory, and its errors."""

from __future__ import annotations

import re
import subprocess
import time

import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from gnnseg.cli.app import app
from gnnseg.memory import parse_size
from gnnseg.pipeline import write_graph


@pytest.fixture(scope="module")
def make_stack(tmp_path_factory):
    """`make_stack(shape)`: noise as a Zarr array (Z, Y, X) or (Z, C, Y, X)."""
    folder = tmp_path_factory.mktemp("stacks")

    def make(shape):
        path = folder / f"{len(list(folder.iterdir()))}.zarr"
        axes = ["z", "c", "y", "x"] if len(shape) == 4 else ["z", "y", "x"]
        chunks = *shape[:-2], 64, 64
        array = zarr.create_array(
            str(path), shape=shape, chunks=chunks, dtype="uint8", dimension_names=axes
        )
        array[:] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return path

    return make


CELLS = ["--volume", "--step", 2, "--spacing", "2,1,1", "--n-iter", 1]
SAME = {"volume": True, "step": 2, "spacing": (2, 1, 1), "n_iter": 1}
"""Flat ones, whose chunks are small: 32 x 64 x 64 voxels."""


def files_of(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def wait_for_marks(process, out, phase, number):
    """Wait until enough blocks are marked as done."""
    marks = out.with_name(out.name + ".gnnseg") / "done" / f"{phase}.jsonl"
    while not marks.exists() or marks.read_bytes().count(b"\n") <= number:
        assert process.poll() is None, "it finished before it could be stopped"
        time.sleep(0.002)


def test_a_killed_graph_goes_on(program, gnnseg_json, make_stack, tmp_path):
    """While centres move or regions are summed; its blocks are then as many as they were."""
    command, env = program
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    image = make_stack((36, 140, 140))
    expected = write_graph(image, whole, **SAME, block=140)
    arguments = ["graph", image, *CELLS, "--workers", 1, "--block", 64, "-o", out]
    for phase in ("centres_1", "sums"):
        process = subprocess.Popen([*command, *map(str, arguments)], env=env)
        wait_for_marks(process, out, phase, 4)
        process.kill()
        process.wait()
        assert not out.exists()
    marks = out.with_name("out.zarr.gnnseg") / "done"
    assert (marks / "slots.jsonl").read_bytes().count(b"\n") == 1 + 18
    assert 4 <= (marks / "sums.jsonl").read_bytes().count(b"\n") - 1 < 18
    found = gnnseg_json(*arguments)
    assert found["resumed"] is True
    same = ("num_superpixels", "num_edges", "leftover_pixels", "lattice", "cell", "settings")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}
    assert files_of(out) == files_of(whole)


def test_the_memory_stays_below_what_was_asked_for(gnnseg, gnnseg_json, make_stack, tmp_path):
    image = make_stack((36, 3, 180, 180))
    cells = ["--volume", "--step", 4, "--spacing", "4,1,1", "--compactness", 0.3]
    arguments = ["graph", image, *cells, "-o", tmp_path / "graph.zarr"]
    refused = gnnseg(*arguments, "--memory", "64MiB", code=5).stderr
    assert not list(tmp_path.iterdir())
    least = re.search(r"use --memory (\d+MiB)", refused)[1]
    found = gnnseg_json(*arguments, "--memory", least)
    assert found["peak_rss_bytes"] <= parse_size(least)
    assert found["plan"]["projected_bytes"] <= parse_size(least)


@pytest.mark.parametrize("command", ["superpixels", "graph"])
def test_the_cell_is_told(tmp_path, command):
    """Of sections whose thickness has another unit than their pixels."""
    sizes = {f"PhysicalSize{axis}": 4.0 for axis in "XY"} | {"PhysicalSizeZ": 0.016}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"} | {"PhysicalSizeZUnit": "\u00b5m"}
    array = np.random.default_rng(0).integers(0, 256, (3, 20, 24), np.uint8)
    about = {"axes": "ZYX", **sizes, **units}
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata=about)
    for more, cell in ((["--volume"], "2 x 8 x 8"), ([], None)):
        out = tmp_path / f"{len(more)}.zarr"
        arguments = [command, str(tmp_path / "a.ome.tif"), "-o", str(out), "--step", "8", *more]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert dict(re.findall(r"^(cell) +(.*)$", done.output, re.MULTILINE)).get("cell") == cell


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spacing", "1,2"], "must be like"),
        (["--spacing", "1,a,2"], "must be like"),
        (["--spacing", "1,1,1"], "give --volume too"),
        (["--volume", "--spacing", "0,1,1"], "three positive numbers"),
        (["--volume", "--spacing", "1,3,1"], "square pixels"),
        (["--volume", "--n-segments", "9", "--step", "4"], "not both"),
    ],
)
def test_mistakes_are_explained(make_stack, tmp_path, options, message):
    arguments = ["superpixels", str(make_stack((4, 20, 30))), "-o", str(tmp_path / "o.zarr")]
    done = CliRunner().invoke(app, [*arguments, *options], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())
