"""The program in a process of its own, a small labelled set, and a model trained on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.io import write_rgb_png

STEP = 17
"""Gives chunks of 544 pixels: several blocks in a small image."""
PROGRAM = [sys.executable, "-c", "from gnnseg.cli import main; main()"]


def environment(root):
    # Without byte code every process would compile its imports again.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(root), "COLUMNS": "100", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def program(repo_root):
    """`(command, environment)` that start gnnseg."""
    return PROGRAM, environment(repo_root)


@pytest.fixture(scope="session")
def gnnseg(program, tmp_path_factory):
    """`gnnseg("info", path, code=0)`: run a command, check its exit code, give what it printed."""
    command, env = program
    home = tmp_path_factory.mktemp("home")

    def run(*arguments, code=0, **more):
        done = subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
            env={**env, **more},
            timeout=200,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def gnnseg_json(gnnseg):
    """As `gnnseg`, with --json; gives the object."""

    def run(*arguments, **more):
        return json.loads(gnnseg(*arguments, "--json", **more).stdout)

    return run


@pytest.fixture(scope="session")
def wait_for():
    """`wait_for(path.exists, process)`: until that is so, while the process runs."""

    def wait(happened, process, seconds=120):
        end = time.monotonic() + seconds
        while not happened():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)

    return wait


def write_dataset(folder, num_images=6, height=204, width=272):
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in range(num_images):
        source = SyntheticSource(height, width, seed)
        pixels = np.moveaxis(source.read(source.bounds), 0, -1)
        write_rgb_png(folder / "images" / f"{seed}.png", np.ascontiguousarray(pixels))
        write_rgb_png(folder / "labels" / f"{seed}.png", source.labels())
    source.classes.save(folder / "classes.json")
    (folder / "train.txt").write_text("0\n1\n2\n3\n")
    (folder / "val.txt").write_text("4\n")
    (folder / "test.txt").write_text("5\n")
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="session")
def trained(gnnseg_json, dataset, tmp_path_factory):
    """What `gnnseg train` said about a model of two epochs."""
    folder = tmp_path_factory.mktemp("model")
    config = folder / "config.toml"
    config.write_text(f"step = {STEP}\nn_iter = 1\nbatch = 400\n")
    out = folder / "model.safetensors"
    return gnnseg_json("train", dataset, "-o", out, "--config", config, "--epochs", 2)


@pytest.fixture(scope="session")
def model(trained):
    return Path(trained["model"])


@pytest.fixture(scope="session")
def make_image(tmp_path_factory):
    """`make_image(height, width)`: a synthetic image as a Zarr array (C, Y, X)."""
    folder = tmp_path_factory.mktemp("images")

    def make(height, width, seed=7):
        import zarr

        path = folder / f"{height}x{width}.zarr"
        if not path.exists():
            source = SyntheticSource(height, width, seed)
            array = zarr.create_array(
                str(path), shape=(3, height, width), chunks=(3, 512, 512), dtype="uint8",
                dimension_names=["c", "y", "x"],
            )  # fmt: skip
            for window in source.bounds.split(512):
                array[(slice(None), *window.slices)] = source.read(window)
        return path

    return make


@pytest.fixture(scope="session")
def read_labels_of():
    def read(path):
        import zarr

        return np.asarray(zarr.open_array(f"{path}/0", mode="r")[:])

    return read
