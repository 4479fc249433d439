"""Interrupted runs, deleted parts, other processes: the same bytes in the end, or a refusal."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.errors import StateError, UsageError
from gnnseg.io import open_image, write_rgb_png
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.outputs import Outputs

STEP = 8


class StoppedError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def image(pixels):
    return open_image(pixels[0], axes="CYX")


@pytest.fixture(scope="module")
def whole(model, image, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "labels.zarr"
    gnnseg.segment(image, model, out)
    return labels_of(out)


def labels_of(path):
    return zarr.open_group(path, mode="r")["0"][:]


def stop(*_args, **_kwargs):
    raise StoppedError


def stopped_in(monkeypatch, owner, name, call):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(StoppedError):
            call()


@pytest.mark.parametrize(
    "lost",
    [
        None,
        "labels.zarr",
        "labels.zarr.gnnseg/scratch.zarr",
        "labels.zarr.gnnseg/scratch.zarr/graph_0/edges/contrast",
        "labels.zarr.gnnseg/scratch.zarr/state_logits",
    ],
)
def test_a_run_stopped_before_its_end_goes_on(model, image, whole, tmp_path, monkeypatch, lost):
    out = tmp_path / "labels.zarr"
    stopped_in(monkeypatch, Outputs, "finish", lambda: gnnseg.segment(image, model, out))
    if lost is not None:
        shutil.rmtree(tmp_path / lost)
    result = gnnseg.segment(image, model, out)
    assert result["resumed"]
    np.testing.assert_array_equal(labels_of(out), whole)


def test_lost_probabilities_are_painted_again(model, image, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"
    gnnseg.segment(image, model, tmp_path / "other.zarr", probabilities=True)

    def call():
        return gnnseg.segment(image, model, out, probabilities=True)

    stopped_in(monkeypatch, Outputs, "finish", call)
    shutil.rmtree(tmp_path / "labels.zarr.probabilities.zarr")
    call()
    np.testing.assert_array_equal(
        labels_of(tmp_path / "labels.zarr.probabilities.zarr"),
        labels_of(tmp_path / "other.zarr.probabilities.zarr"),
    )


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif", "labels.png"])
def test_a_run_stopped_while_tidying_up_is_tidied_up(model, image, tmp_path, monkeypatch, name):
    out = tmp_path / name
    stopped_in(monkeypatch, Run, "tidy", lambda: gnnseg.segment(image, model, out))
    result = gnnseg.segment(image, model, out)
    assert sum(row["pixels"] for row in result["classes"]) == 192 * 200
    left = {path.name for path in (tmp_path / f"{name}.gnnseg").iterdir()}
    assert left <= {"manifest.json", "lock"}
    with pytest.raises(StateError, match="complete"):
        gnnseg.segment(image, model, out)


def test_a_run_stopped_while_it_is_born_leaves_no_trace_that_matters(
    model, image, whole, tmp_path, monkeypatch
):
    out = tmp_path / "labels.zarr"
    stopped_in(
        monkeypatch,
        gnnseg.pipeline.manifest,
        "_write",
        lambda: gnnseg.segment(image, model, out),
    )
    assert not list(tmp_path.iterdir())
    gnnseg.segment(image, model, out)
    np.testing.assert_array_equal(labels_of(out), whole)


def test_two_processes_do_not_share_an_output(model, image, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"
    stopped_in(monkeypatch, Outputs, "finish", lambda: gnnseg.segment(image, model, out))
    manifest = gnnseg.pipeline.manifest
    settings = manifest.run_settings(tmp_path / "labels.zarr.gnnseg")
    settings.pop("format_version")
    settings.pop("blocks")
    holder = Run.start(tmp_path / "labels.zarr.gnnseg", settings)
    for overwrite in (False, True):
        with pytest.raises(StateError, match="another process"):
            gnnseg.segment(image, model, out, overwrite=overwrite)
    holder.close()
    gnnseg.segment(image, model, out)


def test_what_is_not_ours_is_never_replaced(model, image, tmp_path):
    photo = tmp_path / "photo.png"
    write_rgb_png(photo, np.zeros((192, 200, 3), np.uint8))
    before = photo.read_bytes()
    with pytest.raises(UsageError, match="input"):
        gnnseg.segment(photo, model, photo, overwrite=True)
    with pytest.raises(StateError, match="no output of gnnseg"):
        gnnseg.segment(image, model, photo, overwrite=True)
    assert photo.read_bytes() == before
    gnnseg.segment(image, model, tmp_path / "labels.png")
    gnnseg.segment(image, model, tmp_path / "labels.png", overwrite=True)


def test_impossible_outputs_are_refused_before_any_work(model, image, pixels, tmp_path):
    stack = open_image(np.stack(pixels), axes="ZCYX")
    with pytest.raises(UsageError, match="one plane"):
        gnnseg.segment(stack, model, tmp_path / "labels.png")
    for offset in (-1, 65_533):
        with pytest.raises(UsageError, match="label-offset"):
            gnnseg.segment(image, model, tmp_path / "labels.zarr", label_offset=offset)
    assert not list(tmp_path.iterdir())


def test_probabilities_of_another_run_are_left_alone(model, image, tmp_path):
    out = tmp_path / "labels.zarr"
    gnnseg.segment(image, model, out, probabilities=True)
    shutil.rmtree(out)
    shutil.rmtree(tmp_path / "labels.zarr.gnnseg")
    with pytest.raises(StateError, match="another run"):
        gnnseg.segment(image, model, out, probabilities=True)
