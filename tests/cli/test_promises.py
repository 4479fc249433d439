"""The promises, through the program: any tiling, any moment to be killed, and little memory."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import zarr

from gnnseg.baselines import PixelModel, save_pixel_model
from gnnseg.io import ClassInfo
from gnnseg.memory import parse_size
from gnnseg.superpixels import Scaling

SIDE = 1700
BLOCK = 544
"""Three blocks in a row and a rest; the halo of the superpixels is 153 pixels wide."""


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(SIDE, SIDE)


@pytest.fixture(scope="module")
def whole(gnnseg_json, image, model, tmp_path_factory):
    """An uninterrupted run, in blocks as large as the image."""
    out = tmp_path_factory.mktemp("whole") / "labels.zarr"
    options = ["--block", 2048, "--workers", 1]
    return Path(gnnseg_json("segment", image, "-m", model, "-o", out, *options)["output"])


def chunks(path):
    """The bytes of every chunk and level."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != "zarr.json")
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_labels_are_the_same_for_any_tiling(
    gnnseg_json, image, model, whole, workers, tmp_path
):
    out = tmp_path / "labels.zarr"
    arguments = ["segment", image, "-m", model, "-o", out, "--workers", workers]
    found = gnnseg_json(*arguments, "--block", BLOCK)
    assert found["plan"]["region_chunks"] == 1
    assert chunks(out) == chunks(whole)


def test_maps_and_refined_labels_are_the_same_for_any_tiling(
    program, gnnseg_json, image, model, whole, tmp_path
):
    """And for a process that is killed while it paints."""
    command, env = program
    arguments = ["segment", image, "-m", model, "--uncertainty", "--refine", "--probabilities"]
    first, second = tmp_path / "first.zarr", tmp_path / "second.zarr"
    gnnseg_json(*arguments, "-o", first, "--block", 2048, "--workers", 1)
    arguments += ["-o", second, "--block", BLOCK, "--workers", 2]
    process = subprocess.Popen([*command, *map(str, arguments)], env=env)
    wait_for_marks(process, second, 5, "paint")
    process.kill()
    process.wait()
    assert gnnseg_json(*arguments)["resumed"] is True
    assert chunks(first) == chunks(second) != chunks(whole)
    for name in ("uncertainty", "probabilities"):
        maps = [path.with_name(f"{path.name}.{name}.zarr") for path in (first, second)]
        assert len(chunks(maps[0])) >= 16
        assert chunks(maps[0]) == chunks(maps[1])


def test_a_roi_is_the_crop_of_the_whole(gnnseg, image, model, whole, tmp_path, read_labels_of):
    out = tmp_path / "labels.zarr"
    gnnseg("segment", image, "-m", model, "-o", out, "--roi", "611:1203,37:590")
    expected = read_labels_of(whole)[611:1203, 37:590]
    np.testing.assert_array_equal(read_labels_of(out), expected)


def wait_for_marks(process, out, number, phase="regions"):
    """Wait until enough blocks are marked as done."""
    marks = out.with_name(out.name + ".gnnseg") / "done" / f"{phase}.jsonl"
    while not marks.exists() or marks.read_bytes().count(b"\n") <= number:
        assert process.poll() is None, "it finished before it could be stopped"
        time.sleep(0.002)


def leave_torn(*folders):
    """What zarr leaves in a folder when it is killed while it writes a chunk."""
    for folder in folders:
        folder.joinpath(f"0.{uuid4().hex}.partial").write_bytes(b"half of a chu")


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_stopped_run_goes_on(program, gnnseg_json, image, model, whole, how, code, tmp_path):
    command, env = program
    out, keep = tmp_path / "labels.zarr", tmp_path / "kept"
    arguments = ["segment", image, "-m", model, "-o", out, "--block", BLOCK, "--workers", 1]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_marks(process, out, 4)
    process.send_signal(how)
    message = process.communicate()[1]
    assert process.returncode == code
    assert ("the same command" in message) == (how != signal.SIGKILL)
    assert not out.exists() or gnnseg_json("info", out)["complete"] is False
    about = gnnseg_json("info", tmp_path / "labels.zarr.gnnseg")
    assert about["complete"] is False
    before = about["blocks_done"]["regions"]
    assert 4 <= before < 16

    restart = time.time()
    found = gnnseg_json(*arguments, "--keep", keep)
    assert found["resumed"] is True
    assert chunks(out) == chunks(whole)
    slots = list((keep / "scratch.zarr" / "slots").glob("c.*"))
    assert len(slots) == 16
    assert sum(p.stat().st_mtime < restart for p in slots) >= before


def test_a_run_killed_in_one_phase_after_the_other_goes_on(
    program, gnnseg_json, image, model, whole, tmp_path
):
    command, env = program
    out = tmp_path / "labels.zarr"
    arguments = ["segment", image, "-m", model, "-o", out, "--block", BLOCK, "--workers", 2]
    for phase, number in (("regions", 15), ("network_down_0", 1), ("paint", 5)):
        process = subprocess.Popen([*command, *map(str, arguments)], env=env)
        wait_for_marks(process, out, number, phase)
        process.kill()
        process.wait()
    leave_torn(out / "0" / "c" / "0", out)
    assert gnnseg_json(*arguments)["resumed"] is True
    assert chunks(out) == chunks(whole)
    tables = [path.with_name(path.name + ".classes.json") for path in (out, whole)]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    about = gnnseg_json("info", tmp_path / "labels.zarr.gnnseg")
    assert (about["complete"], about["blocks"]) == (True, 16)


@pytest.mark.parametrize("verb", ["superpixels", "graph"])
def test_a_killed_stage_goes_on(program, gnnseg_json, image, verb, tmp_path):
    command, env = program
    options = ["--step", 17, "--block", BLOCK, "--workers", 1]
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    expected = gnnseg_json(verb, image, "-o", whole, *options)
    arguments = [verb, image, "-o", out, *options]
    for number in (2, 7):
        process = subprocess.Popen([*command, *map(str, arguments)], env=env)
        wait_for_marks(process, out, number)
        process.kill()
        process.wait()
        assert not out.exists()
    leave_torn(*tmp_path.glob("out.zarr.gnnseg/*.zarr/*/"))
    found = gnnseg_json(*arguments)
    assert found["resumed"] is True
    same = ("num_superpixels", "num_edges", "leftover_pixels", "lattice", "settings")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}
    assert len(chunks(whole)) >= 16
    assert chunks(out) == chunks(whole)
    for path in out.rglob("zarr.json"):
        assert path.read_bytes() == (whole / path.relative_to(out)).read_bytes()
    assert not (tmp_path / "out.zarr.gnnseg" / "scratch.zarr").exists()


def test_other_settings_do_not_go_on(program, gnnseg, image, model, tmp_path):
    command, env = program
    out = tmp_path / "labels.zarr"
    arguments = ["segment", image, "-m", model, "-o", out, "--block", BLOCK]
    process = subprocess.Popen([*command, *map(str, arguments)], env=env)
    wait_for_marks(process, out, 1)
    process.kill()
    process.wait()
    assert "label_offset" in gnnseg(*arguments, "--label-offset", 1, code=4).stderr


def peak_of(program, arguments):
    """The result of a command, and the peak of its process by its own account of itself."""
    watch = (
        "import atexit, sys\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    print(next(l for l in lines if l.startswith('VmHWM')), file=sys.stderr)\n"
        "atexit.register(peak)\n"
        "from gnnseg.cli import main; main()"
    )
    command = [sys.executable, "-c", watch, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=program[1])
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", done.stderr)[1]) * 1024
    return json.loads(done.stdout), peak


EVERYTHING = ["--probabilities", "--uncertainty", "--refine", "--refine-width", 20]
"""That painting can do, for most of the pixels."""


@pytest.mark.parametrize(("side", "extra"), [(4200, []), (2200, EVERYTHING)])
def test_the_memory_stays_below_what_was_asked_for(
    gnnseg, program, make_image, model, side, extra, tmp_path
):
    image = make_image(side, side)
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "labels.zarr", *extra]
    refused = gnnseg(*arguments, "--memory", "64MiB", code=5).stderr
    least = re.search(r"use --memory (\d+MiB)", refused)[1]
    found, peak = peak_of(program, [*arguments, "--memory", least])
    assert peak <= parse_size(least)
    assert abs(found["peak_rss_bytes"] - peak) < 20e6
    assert found["plan"]["projected_bytes"] <= parse_size(least)


def test_networks_on_pixels_stay_below_it_as_well(gnnseg, program, make_image, tmp_path):
    """All logits at once, 480 MiB here, would not fit in the least that is asked for."""
    classes = ClassInfo(tuple(f"class {number}" for number in range(30)))
    colours = Scaling(low=(0.0,) * 3, high=(255.0,) * 3, rgb=True)
    about = {"mean": np.zeros(3, np.float32), "std": np.ones(3, np.float32), "classes": classes}
    network = PixelModel("enet", {}, colours, **about, tile=128, overlap=0)
    model, image = tmp_path / "enet.safetensors", make_image(2048, 2048)
    save_pixel_model(network, model)
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "o.zarr"]
    refused = gnnseg(*arguments, "--memory", "64MiB", code=5).stderr
    least = re.search(r"use --memory (\d+MiB)", refused)[1]
    found, peak = peak_of(program, [*arguments, "--memory", least])
    assert peak <= parse_size(least)
    assert found["plan"]["projected_bytes"] <= parse_size(least)


def test_suggesting_stays_within_the_budget_and_tiling_changes_nothing(
    gnnseg, program, make_image, model, tmp_path
):
    image = make_image(2600, 2600)
    arguments = ["suggest", image, "-m", model, "--count", 1000]
    small, large = tmp_path / "small.json", tmp_path / "large.json"
    refused = gnnseg(*arguments, "-o", small, "--memory", "64MiB", code=5).stderr
    assert list(tmp_path.iterdir()) == []
    least = re.search(r"use --memory (\d+MiB)", refused)[1]
    picture = ["--overlay", tmp_path / "small.png"]
    refused = gnnseg(*arguments, *picture, "-o", small, "--memory", "64MiB", code=5).stderr
    more = re.search(r"use --memory (\d+MiB)", refused)[1]
    assert parse_size(more) > parse_size(least)
    found, peak = peak_of(program, [*arguments, *picture, "-o", small, "--memory", more])
    assert peak <= parse_size(more)
    assert len(found["suggestions"]) == 1000
    gnnseg(*arguments, "-o", large, "--memory", "4GiB", "--block", 2048)
    assert small.read_bytes() == large.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"small.json", "small.png", "large.json"}


def test_a_killed_search_goes_on(program, gnnseg_json, image, model, tmp_path):
    command, env = program
    whole, out = tmp_path / "whole.json", tmp_path / "out.json"
    options = ["--block", BLOCK, "--workers", 1]
    gnnseg_json("suggest", image, "-m", model, "-o", whole)
    arguments = ["suggest", image, "-m", model, "-o", out, *options]
    process = subprocess.Popen([*command, *map(str, arguments)], env=env)
    wait_for_marks(process, out, 4)
    process.kill()
    process.wait()
    assert gnnseg_json(*arguments)["output"] == str(out)
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "out.json.gnnseg").exists()


def test_a_first_run_compiles_within_the_budget(program, image, model, tmp_path):
    """Compiled loops are not there yet: what the compiler takes counts, too."""
    command, env = program
    env = {**env, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "labels.zarr"]
    _, peak = peak_of((command, env), [*arguments, "--memory", "1GiB"])
    assert any((tmp_path / "cache").rglob("*.nbc"))
    assert peak <= parse_size("1GiB")


def test_painting_holds_neither_all_values_nor_all_pixels(gnnseg, program, tmp_path):
    side, step = 8000, 2
    slots, values, out = (tmp_path / name for name in ("slots.zarr", "values.npy", "out.zarr"))
    about = {"kind": "slot_map", "format_version": 1, "complete": True, "step": step}
    group = zarr.create_group(str(slots), attributes={"gnnseg": about})
    own_cell = {"dtype": "uint8", "fill_value": 12}
    group.create_array("slots", shape=(1, side, side), chunks=(1, 1024, 1024), **own_cell)
    table = np.lib.format.open_memmap(values, "w+", np.float64, (side // step, side // step))
    table[:] = np.arange(side // step)
    table.flush()
    arguments = ["paint", slots, values, "-o", out, "--workers", "1"]
    refused = gnnseg(*arguments, "--memory", "64MiB", code=5).stderr
    least = re.search(r"use --memory (\d+MiB)", refused)[1]
    small = tmp_path / "small.zarr"
    group = zarr.create_group(str(small), attributes={"gnnseg": about})
    group.create_array("slots", shape=(1, 4, 4), chunks=(1, 4, 4), **own_cell)
    np.save(tmp_path / "small.npy", np.zeros(4))
    _, base = peak_of(program, ["paint", small, tmp_path / "small.npy", "-o", tmp_path / "s.zarr"])
    _, peak = peak_of(program, [*arguments, "--memory", least])
    assert peak <= parse_size(least)
    assert peak - base < table.nbytes / 2
    row = zarr.open_array(str(out), mode="r")[0, 5000]
    np.testing.assert_array_equal(row, np.arange(side) // step)
