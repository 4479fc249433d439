"""Every kind of failure has its exit code, a sentence on stderr, and nothing on stdout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from gnnseg.io import write_rgb_png


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(300, 400)


@pytest.fixture
def segment(image, model, tmp_path):
    """A command that would work; its output is the only thing that could be in `tmp_path`."""
    return ["segment", image, "-m", model, "-o", tmp_path / "o.zarr"]


@pytest.fixture
def fails(gnnseg):
    """`fails(code, words, *arguments)`"""

    def check(code, words, *arguments, **more):
        done = gnnseg(*arguments, code=code, **more)
        assert done.stdout == ""
        assert words in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        return done.stderr

    return check


@pytest.mark.parametrize(
    ("option", "value"),
    [("--block", "0"), ("--block", "wide"), ("--workers", "0"), ("--label-offset", "-1")],
)
def test_a_bad_number_is_a_usage_error_that_names_it(fails, segment, option, value):
    assert f"got '{value}'" in fails(2, option, *segment, option, value)


def test_a_bad_memory_size(fails, segment):
    fails(2, "'much' is no size", *segment, "--memory", "much")


def test_an_unknown_command(fails):
    fails(2, "No such command", "segmnt")


def test_a_missing_argument(fails):
    fails(2, "Missing argument", "segment")


def test_a_merge_does_no_work_and_takes_no_options_of_it(fails, tmp_path):
    folders = ("--merge", tmp_path / "a", "--merge", tmp_path / "b", "--out", tmp_path / "out")
    fails(2, "--merge does none", "compare", *folders, "--dry-run")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("roi", ["1:2", "0:10,a:b", "0:10;0:10"])
def test_a_malformed_roi(fails, segment, roi):
    fails(2, roi, *segment, "--roi", roi)


def test_a_roi_outside_the_image(fails, segment):
    fails(2, "must lie within the image", *segment, "--roi", "0:301,0:10")


def test_an_output_of_no_known_kind(fails, image, model, tmp_path):
    fails(2, "ends in .zarr", "segment", image, "-m", model, "-o", tmp_path / "labels.jpg")


def test_an_unknown_preset(fails, dataset, tmp_path):
    arguments = ["train", dataset, "-o", tmp_path / "m.safetensors", "--preset", "best"]
    fails(2, "no preset is named 'best'", *arguments)


def test_an_unknown_setting(fails, dataset, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("stepp = 8\n")
    fails(2, "'stepp'", "train", dataset, "-o", tmp_path / "m.safetensors", "--config", config)


def test_a_model_in_a_folder_that_does_not_exist_is_refused_before_training(
    fails, dataset, tmp_path
):
    fails(2, "does not exist", "train", dataset, "-o", tmp_path / "none" / "m.safetensors")


def test_an_existing_model(fails, dataset, tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_text("precious")
    fails(4, "--overwrite", "train", dataset, "-o", model)
    assert model.read_text() == "precious"


def test_a_missing_image(fails, model, tmp_path):
    missing = tmp_path / "none.tif"
    fails(3, "no such file", "segment", missing, "-m", model, "-o", tmp_path / "o.zarr")


def test_a_missing_model(fails, image, tmp_path):
    missing = tmp_path / "none.safetensors"
    fails(3, "no such model file", "segment", image, "-m", missing, "-o", tmp_path / "o.zarr")


def test_a_damaged_model(fails, image, model, tmp_path):
    damaged = tmp_path / "m.safetensors"
    damaged.write_bytes(model.read_bytes()[:5000])
    fails(3, "no readable model", "segment", image, "-m", damaged, "-o", tmp_path / "o.zarr")
    fails(3, "no readable model", "info", damaged)


def test_a_dataset_that_is_none(fails, tmp_path):
    fails(3, "A dataset looks like this", "train", tmp_path, "-o", tmp_path / "m.safetensors")


def test_a_damaged_class_table(fails, dataset, tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).symlink_to(dataset / part)
    (tmp_path / "classes.json").write_text('{"classes": [')
    fails(3, "no readable JSON", "train", tmp_path, "-o", tmp_path / "m.safetensors")


def test_a_click_beside_the_image(fails, dataset, tmp_path):
    (tmp_path / "images").symlink_to(dataset / "images")
    (tmp_path / "clicks.csv").write_text("image,y,x,class\n0,10,10,1\n1,204,0,2\n")
    words = "clicks.csv, line 3: y 204, x 0 lies outside 1"
    fails(3, words, "train", tmp_path, "-o", tmp_path / "m.safetensors")


def test_labels_that_are_all_unknown(fails, dataset, tmp_path):
    (tmp_path / "images").symlink_to(dataset / "images")
    (tmp_path / "classes.json").symlink_to(dataset / "classes.json")
    (tmp_path / "clicks.csv").write_text("image,y,x,class\n0,10,10,1\n1,9,0,2\n")
    (tmp_path / "train.txt").write_text("0\n")
    (tmp_path / "val.txt").write_text("2\n")
    fails(2, "has no images in the split 'val'", "ceiling", tmp_path)
    (tmp_path / "labels").mkdir()
    write_rgb_png(tmp_path / "labels" / "2.png", np.full((204, 272), 255, np.uint8))
    (tmp_path / "train.txt").write_text("2\n")
    (tmp_path / "val.txt").write_text("0\n")
    words = "no pixel of the training images has a label"
    fails(3, words, "train", tmp_path, "-o", tmp_path / "m.safetensors", "--step", 17)


def test_damaged_values_to_paint(fails, tmp_path):
    fails(3, "slot map", "paint", tmp_path, tmp_path / "v.npy", "-o", tmp_path / "o.zarr")


def test_too_little_memory_is_refused_before_anything_is_written(fails, segment, tmp_path):
    assert "64.0 MiB" in fails(5, "use --memory", *segment, "--memory", "64MiB")
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_is_never_replaced(fails, segment, tmp_path):
    out = tmp_path / "o.zarr"
    out.mkdir()
    (out / "letter.txt").write_text("precious")
    fails(4, "exists and is no", *segment)
    fails(4, "exists and is no output of gnnseg", *segment, "--overwrite")
    assert (out / "letter.txt").read_text() == "precious"


def test_a_folder_to_keep_the_scratch_in_must_be_empty(fails, segment, tmp_path):
    (tmp_path / "letter.txt").write_text("precious")
    fails(4, "no empty folder", *segment, "--keep", tmp_path)


def test_a_full_disk(program, model):
    command, env = program
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*command, "info", model], stdout=full, stderr=subprocess.PIPE, env=env, check=False
        )
    assert done.returncode == 6
    assert b"No space left" in done.stderr


def test_a_closed_pipe_is_quiet(program, model):
    command, env = program
    process = subprocess.Popen(
        [*command, "info", str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141
