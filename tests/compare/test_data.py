"""Images that change while a comparison is not looking, and those that only lie elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from gnnseg.cli.compare import _differing
from gnnseg.compare import compare, make_config, merge
from gnnseg.compare.cells import list_cells
from gnnseg.compare.folder import Folder
from gnnseg.compare.merge import load
from gnnseg.compare.run import plan
from gnnseg.compare.sources import fingerprints
from gnnseg.datasets.public import describe
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.errors import InputError, StateError
from gnnseg.io import read_labels, read_rgb, write_rgb_png
from gnnseg.report import write_report

SET = "nasa_ebc"
"""Stands for any set that GNNSEG_DATA finds."""
CELLS = [
    f"train-{SET}-perceptron-0", f"evaluate-{SET}-perceptron-0",
    f"image-{SET}-64", f"segment-{SET}-perceptron-64-3GiB",
]  # fmt: skip


def write_set(folder):
    classes = describe(SET).classes
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in range(4):
        source = SyntheticSource(48, 64, seed, classes.num_classes)
        pixels = np.ascontiguousarray(np.moveaxis(source.read(source.bounds), 0, -1))
        write_rgb_png(folder / "images" / f"{seed}.png", pixels)
        write_rgb_png(folder / "labels" / f"{seed}.png", source.labels())
    classes.save(folder / "classes.json")
    for split, stems in (("train", "0\n1\n"), ("val", "2\n"), ("test", "3\n")):
        (folder / f"{split}.txt").write_text(stems)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with the data set, `data`, and a comparison on it, `out`."""
    from gnnseg.compare.cell import run_cell

    root = tmp_path_factory.mktemp("own")
    write_set(root / "data" / SET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNNSEG_DATA", str(root / "data"))
        compare(config(), root / "out", execute=lambda *cell: run_cell(*cell) or 0)
    return root


@pytest.fixture
def root(done, tmp_path, monkeypatch):
    """A copy of it, elsewhere and with new times, that may change."""
    shutil.copytree(done, tmp_path / "own", copy_function=shutil.copyfile)
    monkeypatch.setenv("GNNSEG_DATA", str(tmp_path / "own" / "data"))
    return tmp_path / "own"


def config(**more):
    return make_config(
        {
            "datasets": [{"name": SET}],
            "models": [
                {"name": "perceptron", "preset": "mlp", "training": {"epochs": 1, "variants": 0}}
            ],
            "pictures": 0,
            "segment": {"sizes": [64], "memory": ["3GiB"]},
            **more,
        }
    )


def change(path):
    """One pixel, behind the back of size and time."""
    before = path.stat()
    pixels = read_labels(path).copy() if path.parent.name == "labels" else read_rgb(path).copy()
    pixels.flat[0] ^= 1
    write_rgb_png(path, pixels)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_images_that_lie_elsewhere_are_the_same(root, execute):
    compare(config(), root / "out", execute=execute)
    assert execute.names == []
    assert all(cell["done"] for cell in plan(config(), root / "out"))


@pytest.mark.parametrize(
    ("file", "split", "again"),
    [
        ("labels/3.png", "test", CELLS[1:]),
        ("images/3.png", "test", CELLS[1:]),
        ("images/0.png", "train", [CELLS[0], CELLS[1], CELLS[3]]),
        ("labels/2.png", "val", CELLS[:1]),
    ],
)
def test_changed_images_are_noticed(root, execute, file, split, again):
    change(root / "data" / SET / file)
    before = {path: path.read_bytes() for path in root.rglob("*.json")}
    message = f"{again[0]} with other images or labels .{SET}: {split}.; .*--overwrite"
    for act in (compare, plan):
        with pytest.raises(StateError, match=message):
            act(config(), root / "out")
    assert {path: path.read_bytes() for path in root.rglob("*.json")} == before
    compare(config(), root / "out", execute=execute, overwrite=True)
    assert execute.names[: len(again)] == again
    execute.names.clear()
    compare(config(), root / "out", execute=execute)
    assert execute.names == []


def test_an_image_more_and_a_split_more_are_noticed(root):
    own = root / "data" / SET
    for part in ("images", "labels"):
        shutil.copy(own / part / "3.png", own / part / "4.png")
    (own / "test.txt").write_text("3\n4\n")
    with pytest.raises(StateError, match=f"other images or labels .{SET}: test"):
        plan(config(), root / "out")
    with pytest.raises(StateError, match=f"{CELLS[1]} with other settings"):
        plan(config(split="val"), root / "out")


def test_results_of_earlier_versions_count_though_they_tell_no_images(root, execute):
    for path in [*(root / "out" / "cells").iterdir(), root / "out" / "comparison.json"]:
        found = json.loads(path.read_text())
        del found["data"]
        path.write_text(json.dumps(found))
    assert len(load(root / "out").records) == len(CELLS)
    compare(config(), root / "out", execute=execute)
    assert execute.names == []


def test_merging_needs_no_images_and_leaves_out_what_is_of_others(done, root):
    shutil.rmtree(root / "data")
    merged = merge([done / "out", root / "out"])
    assert (len(merged["accuracy"]), merged["differing"]) == (2, [])
    path = root / "out" / "cells" / f"{CELLS[1]}.json"
    found = json.loads(path.read_text())
    found["data"]["test"] = "that of other images"
    path.write_text(json.dumps(found))
    merged = merge([done / "out", root / "out"])
    assert (len(merged["accuracy"]), len(merged["trainings"])) == (1, 2)


def test_a_training_does_not_go_on_from_other_images(root):
    data = fingerprints(config())
    cell, *_ = list_cells(config(), data)
    other = replace(cell, data={**cell.data, "val": data[SET]["test"]})
    folder = Folder(root / "out")
    assert folder.checkpoint(cell) != folder.checkpoint(other)
    assert set(cell.data) == {"train", "val"}


def test_other_weights_of_the_same_name_are_noticed(settings, tmp_path):
    weights = tmp_path / "vgg16.safetensors"
    (plain, _), segnet = settings()["models"], {"name": "net", "model": "segnet"}
    training = {"vgg16": str(weights)}
    own = make_config(settings(models=[plain, {**segnet, "training": training}], segment={}))

    def cells():
        found = {cell.name: cell for cell in list_cells(own, fingerprints(own))}
        assert found["train-made-perceptron-0"].data == {}
        assert found["evaluate-made-net-0"].data == {}
        return found["train-made-net-0"]

    folder, absent = Folder(tmp_path / "out"), cells()
    folder.claim()
    weights.write_bytes(b"one")
    first = cells()
    record = {**first.about(), "status": "refused", "machine": {}}
    folder.write(first.name, record)
    weights.write_bytes(b"two")
    assert len({folder.checkpoint(cell) for cell in (absent, first, cells())}) == 3
    with pytest.raises(StateError, match="train-made-net-0 with other weights of VGG-16"):
        folder.check([cells()])
    folder.check([absent])
    folder.write(first.name, {**record, "data": {}})  # as earlier versions did
    folder.check([cells()])


def test_a_synthetic_set_is_its_settings(settings, monkeypatch):
    monkeypatch.delenv("GNNSEG_DATA", raising=False)
    assert fingerprints(make_config(settings())) == {}


def test_what_cannot_be_read_is_told_before_any_work(root, execute):
    (root / "data" / SET / "labels" / "3.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"3\.png"):
        compare(config(), root / "new", execute=execute)
    assert not (root / "new").exists()
    assert execute.names == []
    assert not any(cell["done"] for cell in plan(config(), root / "new"))


def test_folders_of_different_images_are_told_of(done, root, execute, tmp_path):
    change(root / "data" / SET / "labels" / "3.png")
    compare(config(), root / "out", execute=execute, overwrite=True)
    merged = merge([done / "out", root / "out"])
    assert merged["differing"] == [{"dataset": SET, "split": "test"}]
    write_report(merged, tmp_path / "report.html")
    assert f"of {SET} (test): their rows" in (tmp_path / "report.html").read_text()
    assert _differing(merged["differing"][0]) == f"{SET}, test: not the same in all folders"
