"""Interrupted runs, deleted parts, other processes: the same bytes in the end, or a refusal."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.cli.plan import print_plan
from gnnseg.errors import DiskError, StateError, UsageError
from gnnseg.io import is_complete, open_image, write_rgb_png
from gnnseg.pipeline.job import prepare
from gnnseg.pipeline.manifest import Run, read_manifest
from gnnseg.pipeline.options import SegmentOptions
from gnnseg.pipeline.outputs import Outputs

STEP = 8
streaming = importlib.import_module("gnnseg.pipeline.stream")


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


def test_a_lost_chunk_of_slots_is_not_taken_for_masked_pixels(model, image, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"
    stopped_in(monkeypatch, Outputs, "open_labels", lambda: gnnseg.segment(image, model, out))
    (tmp_path / "labels.zarr.gnnseg/scratch.zarr/slots/c.0.0.0").unlink()
    with pytest.raises(DiskError, match="a chunk is missing; use --overwrite"):
        gnnseg.segment(image, model, out)
    assert not is_complete(out)


@pytest.mark.parametrize("name", ["probabilities", "uncertainty"])
def test_a_lost_map_is_painted_again(model, image, tmp_path, monkeypatch, name):
    out = tmp_path / "labels.zarr"
    gnnseg.segment(image, model, tmp_path / "other.zarr", **{name: True})

    def call():
        return gnnseg.segment(image, model, out, **{name: True})

    stopped_in(monkeypatch, Outputs, "finish", call)
    shutil.rmtree(tmp_path / f"labels.zarr.{name}.zarr")
    call()
    np.testing.assert_array_equal(
        labels_of(tmp_path / f"labels.zarr.{name}.zarr"),
        labels_of(tmp_path / f"other.zarr.{name}.zarr"),
    )


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif", "labels.png"])
def test_a_run_stopped_while_tidying_up_is_tidied_up(model, image, tmp_path, monkeypatch, name):
    out = tmp_path / name
    stopped_in(monkeypatch, Run, "tidy", lambda: gnnseg.segment(image, model, out))
    result = gnnseg.segment(image, model, out)
    assert sum(row["pixels"] for row in result["classes"]) == 192 * 200
    left = {path.name for path in (tmp_path / f"{name}.gnnseg").iterdir()}
    assert left <= {"manifest.json", "blocks.jsonl", "lock"}
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
    settings = manifest.read_manifest(tmp_path / "labels.zarr.gnnseg")["settings"]
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


def test_the_output_of_another_run_is_not_taken_for_the_end(model, pixels, tmp_path, monkeypatch):
    first, second = (open_image(array, axes="CYX") for array in (pixels[0], pixels[0][..., ::-1]))
    out, other = tmp_path / "labels.tif", tmp_path / "other.tif"
    gnnseg.segment(first, model, out)
    gnnseg.segment(second, model, other)
    stopped_in(
        monkeypatch,
        Outputs,
        "finish",
        lambda: gnnseg.segment(second, model, out, overwrite=True),
    )
    gnnseg.segment(second, model, out)
    bounds = second.bounds
    np.testing.assert_array_equal(open_image(out).read(bounds), open_image(other).read(bounds))


def test_scratch_that_is_half_deleted_is_not_used(model, image, whole, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"

    def call():
        return gnnseg.segment(image, model, out)

    def half(path, **_rest):
        (chunk,) = (Path(path) / "state_logits").rglob("c.0.0.0.0")
        chunk.unlink()
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(gnnseg.pipeline.manifest.shutil, "rmtree", half_of_scratch(half))
        with pytest.raises(StoppedError):
            call()
    shutil.rmtree(out)
    call()
    np.testing.assert_array_equal(labels_of(out), whole)


def half_of_scratch(half):
    """`rmtree` that stops in the middle of the scratch, by whatever name it goes."""
    remove = shutil.rmtree

    def work(path, **options):
        if "scratch.zarr" in str(path) and Path(path).exists():
            half(path)
        remove(path, **options)

    return work


@pytest.mark.parametrize("suffix", ["", ".gnnseg", ".probabilities.zarr"])
def test_an_input_inside_an_output_is_never_deleted(model, tmp_path, suffix):
    folder = tmp_path / f"labels.zarr{suffix}"
    folder.mkdir()
    photo = folder / "photo.png"
    write_rgb_png(photo, np.zeros((192, 200, 3), np.uint8))
    with pytest.raises(UsageError, match="input"):
        gnnseg.segment(photo, model, tmp_path / "labels.zarr", overwrite=True)
    assert photo.exists()


def test_nothing_is_removed_before_all_may_be(model, image, whole, tmp_path):
    out, foreign = tmp_path / "labels.zarr", tmp_path / "labels.zarr.probabilities.zarr"
    gnnseg.segment(image, model, out)
    foreign.mkdir()
    with pytest.raises(StateError, match="no output of gnnseg"):
        gnnseg.segment(image, model, out, overwrite=True)
    np.testing.assert_array_equal(labels_of(out), whole)


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


def counted_regions(monkeypatch, stop_after=None):
    """Numbers of the region blocks that are computed; the one after `stop_after` stops the run."""
    seen, work = [], streaming.regions_phase

    def noted(reader, scratch, task):
        if len(seen) == stop_after:
            raise StoppedError
        seen.append(task.index)
        return work(reader, scratch, task)

    monkeypatch.setattr(streaming, "regions_phase", noted)
    return seen


def test_a_resumed_run_uses_the_plan_it_had_if_it_fits(model, pixels, tmp_path, monkeypatch):
    """At step 8 a chunk is 1024 pixels: four here, or one block where there is room."""
    wide = np.tile(pixels[0], (1, 8, 8))[:, :1200, :1200]
    image, out = open_image(wide, axes="CYX"), tmp_path / "labels.zarr"
    folder = tmp_path / "labels.zarr.gnnseg"
    roomy = "8GiB"

    def stopped(stop_after, **options):
        with monkeypatch.context() as patch:
            seen = counted_regions(patch, stop_after)
            patch.setattr(streaming, "coarsen_phase", stop)
            with pytest.raises(StoppedError):
                gnnseg.segment(image, model, out, workers=1, **options)
        return seen, read_manifest(folder)["plan"]

    seen, plan = stopped(2, memory=roomy, block=1024)
    assert seen == [0, 1]
    assert plan == {"regions": 1}
    seen, plan = stopped(None, memory=roomy)
    assert seen == [2, 3]
    assert plan == {"regions": 1}
    seen, plan = stopped(None, memory=roomy, block=2048)
    assert seen == []
    gnnseg.segment(image, model, tmp_path / "whole.zarr", memory=roomy)
    gnnseg.segment(image, model, out, memory=roomy)
    np.testing.assert_array_equal(labels_of(out), labels_of(tmp_path / "whole.zarr"))
    groups = {f"network_{group.name}" for group in model.network.groups}
    assert set(read_manifest(folder)["plan"]) == {"regions", *groups}


def test_a_plan_that_does_not_fit_is_made_anew(model):
    image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (3, 20_000, 20_000))
    source = open_image(image, axes="CYX")
    roomy = prepare(source, model, SegmentOptions(memory=8 * 2**30, workers=1))
    assert roomy.plan.region_chunks > 1

    def again(mib, **options):
        run = Run(Path(), {"plan": {"regions": roomy.plan.region_chunks}})
        options = SegmentOptions(memory=mib * 2**20, workers=1, **options)
        return prepare(source, model, options).resumed(run).plan

    assert again(9000).region_chunks == roomy.plan.region_chunks
    tight = again((roomy.base + 400 * 2**20) // 2**20)
    assert tight.region_chunks < roomy.plan.region_chunks
    assert again(9000, block=1).region_chunks == 1
    group = model.network.groups[0]
    assert roomy.group_chunks(group, 6.0, kept=1) == 1 < roomy.group_chunks(group, 6.0)
    assert roomy.group_chunks(group, 24.0, kept=1000) == roomy.group_chunks(group, 24.0)


def dangling(path):
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("name", "in_the_way", "make"),
    [
        ("labels.zarr", "labels.zarr", dangling),
        ("labels.tif", "labels.tif", dangling),
        ("labels.tif", "labels.tif", Path.mkdir),
        ("labels.zarr", "labels.zarr.classes.csv", dangling),
        ("labels.zarr", "labels.zarr.classes.json", Path.mkdir),
        ("labels.zarr", "labels.zarr.uncertainty.zarr", dangling),
        ("labels.zarr", "labels.zarr.gnnseg", dangling),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_lies_in_the_way_is_found_before_any_work(
    model, image, tmp_path, name, in_the_way, make, overwrite
):
    make(tmp_path / in_the_way)
    options = SegmentOptions(memory=2**33, workers=1, uncertainty=True, overwrite=overwrite)
    with pytest.raises(StateError, match=rf"{in_the_way}: "):
        Outputs.at(tmp_path / name).check(prepare(image, model, options))
    assert [path.name for path in tmp_path.iterdir()] == [in_the_way]


def test_a_dry_run_refuses_what_the_run_would(model, image, tmp_path, monkeypatch, capsys):
    out = tmp_path / "labels.zarr"
    stopped_in(monkeypatch, Outputs, "finish", lambda: gnnseg.segment(image, model, out))

    def plan(**given):
        given = {"workers": 1, "block": None, "roi": None, **given}
        print_plan(image, model, out, mask=None, memory=2**33, given=given, as_json=True)

    with pytest.raises(StateError, match="label_offset"):
        plan(label_offset=1)
    plan(label_offset=1, overwrite=True)
    plan()
    gnnseg.segment(image, model, out)
    with pytest.raises(StateError, match="complete"):
        plan()
    assert capsys.readouterr().out.count('"dry_run": true') == 2


@pytest.mark.parametrize("name", ["slots.zarr", "slots.zarr.gnnseg"])
def test_a_stage_refuses_a_link_that_leads_nowhere(tmp_path, name):
    dangling(tmp_path / name)
    with pytest.raises(StateError, match="leads nowhere"):
        gnnseg.pipeline.write_superpixels(np.zeros((20, 30), np.uint8), tmp_path / "slots.zarr")
