"""The demonstration, small."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnnseg.cli.guard import guarded
from gnnseg.datasets.mosaic import Mosaic
from gnnseg.demo import run
from gnnseg.demo.figures import blend, region_borders
from gnnseg.demo.run import run_demo
from gnnseg.demo.sample import picture, sample_classes, sample_dataset, scribbled_labels
from gnnseg.errors import StateError, UsageError
from gnnseg.io import is_complete, read_rgb
from gnnseg.memory import parse_size, rss


@pytest.fixture(scope="module", autouse=True)
def _budget():
    """The demonstration's own, beside what this process holds of the tests before."""
    with pytest.MonkeyPatch.context() as patch:
        budget = rss() + parse_size(run.MEMORY)
        patch.setattr(run, "MEMORY", f"{budget >> 20}MiB")
        yield


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder, what the demonstration said, and what it told on the way."""
    out, told = tmp_path_factory.mktemp("demo") / "out", []
    result = run_demo(out, side=700, epochs=2, tell=told.append)
    return out, result, told


def test_the_result_is_whole(demo):
    out, result, told = demo
    assert is_complete(out / "labels.zarr")
    assert result["pixels"] == 700 * 700
    assert list(result["stages"])[:3] == ["mosaic", "training", "regions"]
    assert list(result["stages"])[-1] == "figures"
    assert [line[:3] for line in told] == ["1/4", "2/4", "3/4", "4/4"]
    assert json.loads((out / "demo.json").read_text())["pixels"] == 700 * 700


def test_every_file_that_is_named_exists(demo):
    out, result, _ = demo
    assert all((out / name).exists() for name in result["files"].values())
    for name in ("overlay.png", "mosaic.png", "training.png"):
        pixels = read_rgb(out / name)
        assert min(pixels.shape[:2]) > 300
        assert pixels.std() > 20


def test_it_runs_again_and_replaces_what_it_made(demo):
    out, first, _ = demo
    again = run_demo(out, side=512, epochs=2)
    assert again["pixels"] == 512 * 512 < first["pixels"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("precious")
    with pytest.raises(StateError, match="no earlier demonstration"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_the_mosaic_is_no_smaller_than_the_picture(tmp_path):
    with pytest.raises(UsageError, match="512"):
        run_demo(tmp_path / "out", side=100)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_ledger(tmp_path, capsys):
    from gnnseg.cli.demo import demo as command

    guarded(command)(out=tmp_path / "out", side=512, epochs=1, as_json=False)
    shown = capsys.readouterr()
    assert "peak memory" in shown.out
    assert "network_down_0" in shown.out.replace(" ", "_")
    assert "262,144 pixels" in shown.out
    assert "1/4" in shown.err


def test_the_scribbles_name_every_class_in_both_parts():
    dataset = sample_dataset()
    for split in ("train", "val"):
        (item,) = dataset.split(split)
        assert set(np.unique(item.load()[1])) == {0, 1, 2, 255}


def test_scribbles_leave_most_pixels_without_a_label():
    labels = scribbled_labels(picture().shape[:2])
    assert 0.02 < (labels != 255).mean() < 0.2


def test_a_mosaic_has_no_steps_where_it_is_mirrored():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    mosaic = Mosaic(image, 20)
    whole = mosaic.read(mosaic_window(20))
    np.testing.assert_array_equal(whole[:5, :7], image)
    np.testing.assert_array_equal(whole[5:10, :7], image[::-1])
    np.testing.assert_array_equal(whole[10:15, 14:20], image[:, :6])


def mosaic_window(side):
    from gnnseg.blocks import Window

    return Window(0, side, 0, side)


def test_borders_lie_between_different_regions():
    assert region_borders(np.array([[0, 0], [1, 1]])).tolist() == [[True, True], [False, False]]


def test_unlabelled_pixels_keep_their_colour():
    image = np.full((1, 2, 3), 100, np.uint8)
    mixed = blend(image, np.array([[1, 255]], np.uint8), sample_classes(), 1.0)
    assert mixed[0, 0].tolist() == list(sample_classes().colors[1])
    assert mixed[0, 1].tolist() == [100, 100, 100]
