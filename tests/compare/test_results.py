"""What a comparison gives: figures, stages and pictures, each against where it comes from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from gnnseg.compare import compare, make_config
from gnnseg.compare.folder import Folder
from gnnseg.compare.merge import load
from gnnseg.compare.sources import open_set
from gnnseg.compare.summary import Results, _samplers, accuracy_rows, summarise
from gnnseg.io import read_rgb
from gnnseg.models import load_model
from gnnseg.models.layers import LANES, ROWS
from gnnseg.pipeline import evaluate
from gnnseg.pipeline import load_model as load_any
from gnnseg.plain import plain
from gnnseg.report import write_report


def test_every_cell_is_done_once_and_on_record(finished, names, record):
    folder, _, done = finished
    assert done == names
    for name in names:
        found = record(folder, name)
        assert found["status"] == ("refused" if "64MiB" in name else "done")
        assert found["machine"]["cores"] >= 1
        for package in ("torch", "monai"):
            assert found["machine"]["versions"][package] == version(package)
        if found["status"] == "done":
            assert 0 <= found["sampler"]["share"] < 1
    assert not any((folder / "work").iterdir())


def test_figures_are_those_of_the_models(finished, names, record):
    folder, summary, _ = finished
    about = record(folder, names[0])["configuration"]["dataset"]
    data = open_set(about)
    for row in summary["accuracy"]:
        model = load_model(folder / "models" / f"made-{row['model']}-0.safetensors")
        expected = evaluate(data, model, split="test", refine=row["model"] == "published")
        assert row["boundary_f1"] == plain(expected.get("boundary_f1"))
        assert row["miou"] == expected["miou"]
        assert row["per_class_iou"] == plain(expected["per_class_iou"])
        assert row["parameters"] == model.num_parameters
        assert row["miou_spread"] is None
        # In this process memory may be there from before: how large a peak is, is told elsewhere.
        trained = record(folder, f"train-made-{row['model']}-0")["stages"]["train"]
        assert row["training_peak_above_bytes"] == trained["peak_above_bytes"] >= 0
        assert not row["converged"]
        parts = record(folder, f"train-made-{row['model']}-0")["stages"]
        for part in ("updates", "validation"):
            assert parts[part]["parameters"] == model.num_parameters
        learnt = parts["updates"]["operations"] + parts["validation"]["operations"]
        assert trained["operations"] == learnt > 0
        stage = record(folder, f"evaluate-made-{row['model']}-0")["stages"]["evaluate"]
        assert (stage["pixels"], stage["parameters"]) == (2 * 64 * 96, model.num_parameters)
        assert stage["operations"] == round(row["operations_per_pixel"] * stage["pixels"])


def test_operations_are_those_of_the_layers(finished):
    """A perceptron multiplies each region's features by its matrices, padded as they are."""
    folder, summary, _ = finished
    model = load_model(folder / "models" / "made-perceptron-0.safetensors")
    padded = [
        (-(-rows // LANES) * LANES) * (-(-columns // LANES) * LANES)
        for rows, columns in (p.shape for p in model.network.parameters() if p.ndim == 2)
    ]
    cells = -(-64 // model.settings.step) * -(-96 // model.settings.step)
    (row,) = [row for row in summary["accuracy"] if row["model"] == "perceptron"]
    operations = 2 * sum(padded) * (-(-cells // ROWS) * ROWS)
    assert row["operations_per_pixel"] == pytest.approx(operations / (64 * 96))


def test_trainings_have_their_stages(finished):
    _, summary, _ = finished
    for row in summary["trainings"]:
        assert list(row["stages"]) == ["regions", "updates", "validation"]
        assert 0 < sum(stage["seconds"] for stage in row["stages"].values()) < row["seconds"]
        assert (
            row["stages"]["updates"]["operations"] > row["stages"]["validation"]["operations"] > 0
        )


def test_large_images_have_their_stages_and_the_frontier_its_refusals(finished, names):
    folder, summary, _ = finished
    done = [row for row in summary["large"] if row["status"] == "done"]
    refused = [row for row in summary["large"] if row["status"] == "refused"]
    assert len(done) == len(refused) == 2
    for row in done:
        assert {"regions", "paint", "pyramid"} <= set(row["stages"])
        assert row["pixels"] == 128 * 128
        assert row["kept_promise"]
        assert 0 < row["peak_above_bytes"] < row["peak_rss_bytes"] < row["memory_bytes"]
        assert row["written_bytes"] is None or row["written_bytes"] > 1000
        told = {name: s["operations"] for name, s in row["stages"].items() if s["operations"]}
        assert set(told) == {name for name in row["stages"] if name.startswith("network")}
        assert row["operations"] == sum(told.values()) > 0
        trained = load_model(folder / "models" / f"made-{row['model']}-0.safetensors")
        assert row["parameters"] == trained.num_parameters
    assert all("64.0 MiB" in row["reason"] for row in refused)
    assert [row["cell"] for row in summary["failures"]] == names[5:7]


def test_pictures_show_image_truth_and_labels(finished, names, record):
    folder, summary, _ = finished
    (row,) = summary["pictures"]
    assert set(row["labels"]) == {"perceptron", "published"}
    item = open_set(record(folder, names[0])["configuration"]["dataset"]).split("test")[0]
    colors = np.array(item.classes.colors)
    assert (read_rgb(row["truth"]) == colors[item.read_labels()]).all()
    assert read_rgb(row["labels"]["published"]).shape == read_rgb(row["image"]).shape == (64, 96, 3)


def test_pictures_that_did_not_come_along_are_left_out(again):
    for path in (again / "pictures").glob("made-published-*"):
        path.unlink()
    for path in (again / "cells").glob("evaluate-made-perceptron*"):
        found = json.loads(path.read_text())
        found["result"]["pictures"][0]["labels"] = "../comparison.json"
        path.write_text(json.dumps(found))
    assert summarise([load(again)], {})["pictures"] == []


def test_a_measurement_without_its_training_has_no_row(again, names):
    (again / "cells" / f"{names[0]}.json").unlink()
    assert len(summarise([load(again)], {})["accuracy"]) == 1


def test_a_network_on_pixels_has_the_same_figures(settings, execute, tmp_path):
    network = {"name": "net", "model": "enet"}
    training = {"epochs": 1, "crop": 64, "batch": 4, "tile": 64, "overlap": 16}
    segment = {"sizes": [96], "memory": ["3GiB"]}
    config = make_config(settings(models=[{**network, "training": training}], segment=segment))
    summary = compare(config, tmp_path / "out", execute=execute)
    assert summary["failures"] == []
    (row,), (large,) = summary["accuracy"], summary["large"]
    assert row["ceiling_miou"] is None
    model = load_any(tmp_path / "out" / "models" / "made-net-0.safetensors")
    assert row["parameters"] == model.num_parameters
    assert row["miou"] == evaluate(open_set(config.datasets[0].model_dump()), model)["miou"]
    # Every pixel of a map passes at least the last convolution.
    assert row["operations_per_pixel"] > 2 * model.classes.num_classes
    assert large["pixels"] == 96 * 96
    assert large["parameters"] == large["stages"]["network"]["parameters"] == model.num_parameters
    assert large["operations"] == large["stages"]["network"]["operations"] > 0
    assert list(large["stages"]["network"]["thread_seconds"]) == [
        "read",
        "network",
        "blend",
        "paint",
    ]
    assert list(summary["trainings"][0]["stages"]) == ["pictures", "updates", "validation"]
    assert list(summary["pictures"][0]["labels"]) == ["net"]


def test_one_training_may_be_measured_without_and_with_refined_borders(
    settings, execute, tmp_path, names
):
    (model, _) = settings()["models"]
    config = make_config(settings(models=[{**model, "refine": "both"}], segment={}))
    summary = compare(config, tmp_path / "out", execute=execute)
    shown = ["perceptron", "perceptron-refined"]
    assert execute.names == [names[0], *(f"evaluate-made-{name}-0" for name in shown)]
    assert [row["model"] for row in summary["accuracy"]] == shown
    assert [row["boundary_f1"] is not None for row in summary["accuracy"]] == [False, True]
    assert list(summary["pictures"][0]["labels"]) == shown
    data = open_set(config.datasets[0].model_dump())
    trained = load_model(tmp_path / "out" / "models" / "made-perceptron-0.safetensors")
    for row, refine in zip(summary["accuracy"], (False, True), strict=True):
        assert row["miou"] == evaluate(data, trained, split="test", refine=refine)["miou"]
    write_report(summary, tmp_path / "report.html")
    assert "perceptron-refined" in (tmp_path / "report.html").read_text()


def test_a_model_may_learn_borders_after_its_training(settings, execute, tmp_path):
    (model, _) = settings()["models"]
    models = [{**model, "borders": True, "refine": "both"}]
    summary = compare(
        make_config(settings(models=models, segment={}, pictures=0)),
        tmp_path / "out",
        execute=execute,
    )
    trained = load_model(tmp_path / "out" / "models" / "made-perceptron-0.safetensors")
    learnt = trained.training["borders"]
    assert (trained.borders is not None) == learnt["kept"]
    (training,) = summary["trainings"]
    assert list(training["stages"])[-1] == "borders"
    (row, _) = summary["accuracy"]
    seconds = trained.training["seconds"] + learnt["seconds"]
    assert row["training_minutes"] == pytest.approx(seconds / 60)


def test_spreads_and_means_are_those_of_the_seeds(finished, tmp_path, names, record):
    folder = Folder(shutil.copytree(finished[0], tmp_path / "seeds"))
    about = folder.configuration()
    folder.claim()
    folder.keep({**about, "seeds": [0, 1]}, {})
    for name in names[:4]:
        found = record(folder.path, name)
        found["configuration"]["seed"] = 1
        if "miou" in found["result"]:
            found["configuration"]["pictures"] = 0
            found["result"]["miou"] += 0.02
        folder.write(f"{name[:-1]}1", found)
    results = load(folder.path)
    before = {row["model"]: row["miou"] for row in finished[1]["accuracy"]}
    for row in accuracy_rows(results):
        assert row["seeds"] == [0, 1]
        assert row["miou"] == pytest.approx(before[row["model"]] + 0.01)
        assert row["miou_spread"] == pytest.approx(0.02 / np.sqrt(2))
        assert row["missing_seeds"] == []
    (folder.path / "cells" / f"{names[1][:-1]}1.json").unlink()
    rows = {row["model"]: row for row in accuracy_rows(load(folder.path))}
    assert (rows["perceptron"]["seeds"], rows["perceptron"]["missing_seeds"]) == ([0], [1])
    assert rows["published"]["missing_seeds"] == []


def test_the_cost_of_sampling_is_that_of_work_that_was_sampled():
    shares = [0.0, 0.0, 0.0, 0.02, 0.04]
    records = tuple({"status": "done", "sampler": {"share": share}} for share in shares)
    results = Results("machine", Folder(Path()), records, (0,))
    assert _samplers([results]) == {"median": pytest.approx(0.03), "most": 0.04}
    assert _samplers([replace(results, records=records[:3])]) == {}
