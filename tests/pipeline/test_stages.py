"""Evaluation, ceilings, and single stages from file to file."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.cli.options import STAGE_OPTIONS, Compactness
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models.stem_window import plane_logits
from gnnseg.pipeline import ceiling, paint_file, stages, write_graph, write_superpixels
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.stages import StageOptions
from gnnseg.superpixels import PixelReader
from gnnseg.superpixels.settings import MOST_COMPACT


def test_evaluate_counts_painted_pixels(dataset, model):
    figures = gnnseg.evaluate(dataset, model, split="val")
    total = ConfusionMatrix.zeros(3)
    for item in dataset.split("val"):
        image, truth = item.load()
        reader = PixelReader(image, model.scaling, model.settings)
        slots, table = whole_table(reader)
        labels = plane_logits(model, reader, slots, table).argmax(axis=1)
        total += ConfusionMatrix.of(truth, gnnseg.paint(slots, labels, step=8), 3)
    assert figures["miou"] == total.miou
    assert figures["num_images"] == len(dataset.split("val"))
    assert figures["miou"] <= figures["ceiling_miou"] <= 1


def test_evaluate_measures_how_sure_painted_pixels_are(dataset, model):
    model = replace(model, temperature=0.5)
    figures = gnnseg.evaluate(dataset, model, split="val")
    right, sure = [], {0.5: [], 1.0: []}
    for item in dataset.split("val"):
        image, truth = item.load()
        slots, table = whole_table(PixelReader(image, model.scaling, model.settings))
        logits = model.logits(table).astype(float)
        labels = gnnseg.paint(slots, logits.argmax(axis=1), step=8)
        right.append((labels == truth)[truth != 255])
        for temperature, found in sure.items():
            chances = np.exp(logits / temperature)
            chances /= chances.sum(axis=1, keepdims=True)
            found.append(gnnseg.paint(slots, chances.max(axis=1), step=8)[truth != 255])
    right = np.concatenate(right)
    for name, temperature in (("ece", 0.5), ("ece_uncalibrated", 1.0)):
        confidence = np.concatenate(sure[temperature])
        bins = np.ceil(confidence * 15)
        gaps = [abs((right - 1.0 * confidence)[bins == k].sum()) for k in range(16)]
        assert figures[name] == pytest.approx(sum(gaps) / right.size, abs=1e-5)
    assert figures["ece"] != figures["ece_uncalibrated"]
    assert 0 < figures["error_auroc"] < 1


def test_evaluate_refuses_other_classes_and_empty_splits(dataset, model):
    with pytest.raises(UsageError, match="test"):
        gnnseg.evaluate(dataset, model)
    images = [item.image for item in dataset.split("val")]
    with pytest.raises(InputError):
        gnnseg.evaluate(images, model, [np.full((192, 200), 7)] * len(images))


def test_a_finer_step_has_a_higher_ceiling(dataset):
    rows = ceiling(dataset, (4, 16), split="train")["rows"]
    assert rows[0]["ceiling_miou"] > rows[1]["ceiling_miou"]
    assert rows[0]["regions_per_image"] > 8 * rows[1]["regions_per_image"]
    assert set(rows[0]["per_class_iou"]) == set(dataset.classes.names)


@pytest.mark.parametrize("block", [1, 300])
def test_files_equal_the_functions(tmp_path, block):
    """At step 3 a chunk is 256 cells: an image of 800 pixels has several, also in a block."""
    rng = np.random.default_rng(0)
    image = open_image(rng.integers(0, 256, (800, 830)).astype(np.uint8))
    made = write_superpixels(image, tmp_path / "slots.zarr", step=3, n_iter=1, block=block)
    assert made["plan"]["region_chunks"] == 1
    write_graph(image, tmp_path / "graph.zarr", step=3, n_iter=1, block=block)
    regions = gnnseg.superpixels(image, step=3, n_iter=1)
    np.testing.assert_array_equal(
        zarr.open_group(tmp_path / "slots.zarr")["slots"][0], regions.slots
    )
    graph = gnnseg.RegionGraph.open(tmp_path / "graph.zarr")
    whole = gnnseg.region_graph(image, settings=regions.settings)
    np.testing.assert_array_equal(graph.x, whole.x)
    np.testing.assert_array_equal(graph.edge_index, whole.edge_index)
    np.testing.assert_array_equal(graph.edge_attr, whole.edge_attr)
    np.save(tmp_path / "ids.npy", np.arange(graph.num_nodes, dtype=np.int64))
    paint_file(tmp_path / "slots.zarr", tmp_path / "ids.npy", tmp_path / "ids.zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "ids.zarr")[0], regions.ids())


def test_stages_refuse_what_does_not_fit(pixels, tmp_path):
    image = open_image(pixels[0], axes="CYX")
    write_superpixels(image, tmp_path / "slots.zarr", step=8)
    with pytest.raises(StateError, match="exists"):
        write_superpixels(image, tmp_path / "slots.zarr", step=8)
    with pytest.raises(UsageError, match="not both"):
        write_superpixels(image, tmp_path / "other.zarr", step=8, n_segments=10)
    np.save(tmp_path / "few.npy", np.zeros(3))
    with pytest.raises(InputError, match="600 superpixels"):
        paint_file(tmp_path / "slots.zarr", tmp_path / "few.npy", tmp_path / "out.zarr")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"objects\.npy"):
        paint_file(tmp_path / "slots.zarr", tmp_path / "objects.npy", tmp_path / "out.zarr")
    with pytest.raises(InputError):
        paint_file(tmp_path / "few.npy", tmp_path / "few.npy", tmp_path / "out.zarr")


class StoppedError(Exception):
    """Stands for a kill."""


def stop(*_args, **_kwargs):
    raise StoppedError


@pytest.mark.parametrize("write", [write_superpixels, write_graph])
@pytest.mark.parametrize("where", ["regions", "moved", "published"])
def test_a_stage_stopped_near_its_end_goes_on(pixels, tmp_path, monkeypatch, write, where):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "out.zarr"
    expected = write(image, tmp_path / "whole.zarr", step=8)
    owner, name = {
        "regions": (stages, "_publish"),
        "moved": (Path, "rename"),
        "published": (Run, "tidy"),
    }[where]
    with monkeypatch.context() as patch:
        if where == "moved":
            rename = Path.rename

            def until_published(path, target):
                if Path(target) == out:
                    raise StoppedError
                return rename(path, target)

            patch.setattr(owner, name, until_published)
        else:
            patch.setattr(owner, name, stop)
        with pytest.raises(StoppedError):
            write(image, out, step=8)
    assert out.exists() == (where == "published")
    monkeypatch.setattr(stages, "regions_phase", stop)
    found = write(image, out, step=8)
    assert found["resumed"]
    assert found["num_edges"] == expected["num_edges"]
    files = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    whole = tmp_path / "whole.zarr"
    assert files == {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    with pytest.raises(StateError, match="exists"):
        write(image, out, step=8)


def test_the_program_has_the_options_of_the_stages():
    named = {name: default for name, _, default in STAGE_OPTIONS}
    assert named == {field.name: field.default for field in fields(StageOptions)}
    assert get_args(Compactness)[1].max == MOST_COMPACT
