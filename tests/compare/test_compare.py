"""A comparison end to end, its interruptions, and what comes to no end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pytest

from gnnseg.compare import cell, compare, make_config, merge
from gnnseg.compare.cells import list_cells
from gnnseg.compare.convergence import flattened
from gnnseg.compare.folder import Folder
from gnnseg.compare.merge import claim_merged, load
from gnnseg.compare.run import plan, run_process
from gnnseg.compare.sources import open_set
from gnnseg.compare.summary import accuracy_rows, summarise
from gnnseg.errors import DiskError, InputError, StateError, UsageError
from gnnseg.io import open_image, read_rgb, write_rgb_png
from gnnseg.machine import machine_name
from gnnseg.models import load_model
from gnnseg.models.layers import LANES, ROWS
from gnnseg.pipeline import evaluate
from gnnseg.pipeline import load_model as load_any
from gnnseg.plain import plain
from gnnseg.report import write_report

NAMES = [
    "train-made-perceptron-0", "evaluate-made-perceptron-0",
    "train-made-published-0", "evaluate-made-published-0",
    "image-made-128",
    "segment-made-perceptron-128-64MiB", "segment-made-published-128-64MiB",
    "segment-made-perceptron-128-3GiB", "segment-made-published-128-3GiB",
]  # fmt: skip


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the folder of the finished comparison."""
    return shutil.copytree(finished[0], tmp_path / "again")


def record(folder, name):
    return json.loads((folder / "cells" / f"{name}.json").read_text())


def test_every_cell_is_done_once_and_on_record(finished):
    folder, _, names = finished
    assert names == NAMES
    for name in NAMES:
        found = record(folder, name)
        assert found["status"] == ("refused" if "64MiB" in name else "done")
        assert found["machine"]["cores"] >= 1
        for package in ("torch", "monai"):
            assert found["machine"]["versions"][package] == version(package)
        if found["status"] == "done":
            assert 0 <= found["sampler"]["share"] < 1
    assert not any((folder / "work").iterdir())


def test_figures_are_those_of_the_models(finished):
    folder, summary, _ = finished
    about = record(folder, NAMES[0])["configuration"]["dataset"]
    data = open_set(about)
    for row in summary["accuracy"]:
        model = load_model(folder / "models" / f"made-{row['model']}-0.safetensors")
        expected = evaluate(data, model, split="test", refine=row["model"] == "published")
        assert row["boundary_f1"] == plain(expected.get("boundary_f1"))
        assert row["miou"] == expected["miou"]
        assert row["per_class_iou"] == plain(expected["per_class_iou"])
        assert row["parameters"] == model.num_parameters
        assert row["miou_spread"] is None
        assert row["training_peak_above_bytes"] > 0
        assert not row["converged"]
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


def test_large_images_have_their_stages_and_the_frontier_its_refusals(finished):
    _, summary, _ = finished
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
    assert all("64.0 MiB" in row["reason"] for row in refused)
    assert [row["cell"] for row in summary["failures"]] == NAMES[5:7]


def test_pictures_show_image_truth_and_labels(finished):
    folder, summary, _ = finished
    (row,) = summary["pictures"]
    assert set(row["labels"]) == {"perceptron", "published"}
    item = open_set(record(folder, NAMES[0])["configuration"]["dataset"]).split("test")[0]
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


def test_the_same_comparison_again_does_nothing(again, settings, execute):
    summary = compare(make_config(settings()), again, execute=execute)
    assert execute.names == []
    assert len(summary["accuracy"]) == 2
    assert all(cell["done"] for cell in plan(make_config(settings()), again))


def test_what_is_done_needs_no_machine_that_can_do_it(again, settings, execute, monkeypatch):
    def refuse(_settings):
        raise UsageError("this PyTorch sees no GPU")

    monkeypatch.setattr("gnnseg.compare.run.check_machine", refuse)
    compare(make_config(settings()), again, execute=execute)
    assert not execute.names
    (again / "cells" / f"{NAMES[2]}.json").unlink()
    with pytest.raises(UsageError, match="model published: this PyTorch sees no GPU"):
        compare(make_config(settings()), again, execute=execute)


def test_what_is_lost_or_cut_off_is_done_again(again, settings, execute):
    (again / "cells" / f"{NAMES[1]}.json").unlink()
    (again / "cells" / f"{NAMES[7]}.json").write_text('{"format_version": 1}')
    (again / "cells" / f"{NAMES[8]}.json").write_text('{"status": "do')
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [NAMES[1], *NAMES[7:]]


def test_results_of_other_settings_are_kept_unless_told_otherwise(again, settings, execute):
    changed = settings()
    changed["models"][0]["training"]["epochs"] = 1
    before = {path: path.read_bytes() for path in again.rglob("*.json")}
    for act in (compare, plan):
        with pytest.raises(StateError, match=f"has a result of {NAMES[0]} with other settings"):
            act(make_config(changed), again)
    planned = plan(make_config(changed), again, overwrite=True)
    assert [cell["cell"] for cell in planned if cell["done"]] == [
        name for name in NAMES if "perceptron" not in name
    ]
    assert {path: path.read_bytes() for path in again.rglob("*.json")} == before
    compare(make_config(changed), again, execute=execute, overwrite=True)
    assert execute.names == [name for name in NAMES if "perceptron" in name]


def test_a_comparison_may_grow(again, settings, execute):
    more = settings()
    more["models"].append({**more["models"][0], "name": "another"})
    compare(make_config(more), again, execute=execute)
    assert execute.names
    assert all("another" in name for name in execute.names)


def test_a_folder_of_another_format_is_left_alone(again, settings):
    (again / "comparison.json").write_text('{"kind": "comparison", "format_version": 99}')
    with pytest.raises(StateError, match="the format 99"):
        compare(make_config(settings()), again)


def test_a_measurement_without_its_training_has_no_row(again):
    (again / "cells" / f"{NAMES[0]}.json").unlink()
    assert len(summarise([load(again)], {})["accuracy"]) == 1


def test_what_another_model_gave_is_done_again(again, settings, execute):
    found = record(again, NAMES[0])
    Folder(again).write(NAMES[0], {**found, "model_id": "that of another training"})
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [NAMES[1], NAMES[7]]


def test_after_an_interruption_the_rest_is_done(settings, execute, tmp_path):
    def stop(cell, folder):
        if len(execute.names) == 3:
            raise KeyboardInterrupt
        return execute(cell, folder)

    config = make_config(settings(segment={}))
    with pytest.raises(KeyboardInterrupt):
        compare(config, tmp_path / "out", execute=stop)
    assert [cell["done"] for cell in plan(config, tmp_path / "out")] == [True] * 3 + [False]
    compare(config, tmp_path / "out", execute=execute)
    assert execute.names == NAMES[:4]


def test_what_was_killed_is_on_record_and_the_rest_goes_on(again, settings, execute):
    for name in (*NAMES[:2], NAMES[7]):
        (again / "cells" / f"{name}.json").unlink()

    def kill(cell, folder):
        return -signal.SIGKILL if cell.name == NAMES[7] else execute(cell, folder)

    config = make_config(settings())
    summary = compare(config, again, execute=kill)
    assert execute.names == NAMES[:2]
    (row,) = [row for row in summary["failures"] if row["status"] == "killed"]
    assert (row["cell"], "SIGKILL" in row["reason"]) == (NAMES[7], True)
    assert record(again, NAMES[7])["status"] == "killed"
    compare(config, again, execute=kill)
    assert execute.names == NAMES[:2]
    compare(config, again, execute=execute, retry=True)
    assert execute.names == [*NAMES[:2], NAMES[7]]


def test_a_training_that_fails_leaves_out_what_needs_its_model(again, settings):
    (again / "cells" / f"{NAMES[2]}.json").unlink()

    def fail(cell, folder):
        folder.log(cell).write_text("it was raining\n")
        return 1

    summary = compare(make_config(settings()), again, execute=fail)
    assert "it was raining" in record(again, NAMES[2])["reason"]
    assert [row["model"] for row in summary["accuracy"]] == ["perceptron"]
    assert [row["cell"] for row in summary["failures"]] == [NAMES[2], *NAMES[5:7]]


def test_errors_inside_a_cell_are_its_result(again, settings, execute):
    (again / "models" / "made-published-0.safetensors").write_bytes(b"broken")
    (again / "cells" / f"{NAMES[3]}.json").unlink()
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [NAMES[3]]
    assert record(again, NAMES[3])["status"] == "failed"
    assert "safetensors" in record(again, NAMES[3])["reason"]


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
    assert large["operations"] == large["stages"]["network"]["operations"] > 0
    assert list(large["stages"]["network"]["thread_seconds"]) == [
        "read",
        "network",
        "blend",
        "paint",
    ]
    assert list(summary["trainings"][0]["stages"]) == ["pictures", "updates", "validation"]
    assert list(summary["pictures"][0]["labels"]) == ["net"]


@pytest.mark.parametrize(("code", "kind"), [(6, DiskError), (4, StateError)])
def test_a_full_disk_and_a_wrong_state_stop_the_whole(settings, tmp_path, code, kind):
    with pytest.raises(kind, match=NAMES[0]):
        compare(make_config(settings()), tmp_path / "out", execute=lambda *_: code)
    assert not list((tmp_path / "out" / "cells").iterdir())


def test_a_folder_of_something_else_is_not_touched(settings, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for act in (compare, plan):
        with pytest.raises(StateError, match="no earlier comparison"):
            act(make_config(settings()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_machines_stand_side_by_side(finished, again, tmp_path):
    for path in (again / "cells").iterdir():
        found = json.loads(path.read_text())
        found["machine"]["processor"] = "Another"
        if "stages" in found and "segment" in found["stages"]:
            found["stages"]["segment"]["seconds"] = 1234.0
        path.write_text(json.dumps(found))
    shutil.rmtree(again / "models")
    merged = merge([finished[0], again])
    labels = [part["label"] for part in merged["machines"]]
    assert labels[1].startswith("Another, ")
    assert len(merged["accuracy"]) == 4
    work = {(row["work"], row["model"]): row["machines"] for row in merged["against"]}
    row = work["128 x 128 within 3GiB", "published"]
    first = record(finished[0], NAMES[8])["stages"]["segment"]["seconds"]
    assert [row[label]["seconds"] for label in labels] == [first, 1234.0]
    assert work["128 x 128 within 64MiB", "published"][labels[0]]["status"] == "refused"
    with pytest.raises(UsageError, match="two folders"):
        merge([finished[0]])
    with pytest.raises(InputError, match="no folder of a comparison"):
        merge([finished[0], tmp_path])


def test_machines_of_one_name_are_told_apart_by_their_folders(finished, again):
    labels = [part["label"] for part in merge([finished[0], again])["machines"]]
    assert labels[0].endswith("(all)")
    assert labels[1].endswith("(again)")


def test_folders_of_one_name_are_told_apart_by_those_above(finished, tmp_path):
    parts = ("comparison.json", "cells", "pictures")
    for owner in ("laptop", "server"):
        for part in parts:  # what the guide says to bring along
            source, target = finished[0] / part, tmp_path / owner / "run" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    merged = merge([tmp_path / owner / "run" for owner in ("laptop", "server")])
    labels = [part["label"] for part in merged["machines"]]
    assert [label.partition(" (")[2] for label in labels] == ["laptop/run)", "server/run)"]
    assert {tuple(row["machines"]) for row in merged["against"]} == {tuple(labels)}
    assert len(merged["against"]) == 2 * 2 + 2 * 2
    with pytest.raises(UsageError, match="laptop/run twice"):
        merge([tmp_path / "laptop" / "run", tmp_path / "laptop" / ".." / "laptop" / "run"])


def test_a_folder_that_went_on_elsewhere_names_both_machines(again):
    found = record(again, NAMES[8])
    found["machine"]["processor"] = "Another"
    Folder(again).write(NAMES[8], found)
    (row,) = summarise([load(again)], {})["machines"]
    first, second = row["label"].split("; ")
    assert second.startswith("Another, ")
    assert first == machine_name(record(again, NAMES[0])["machine"])


def test_a_merged_report_replaces_an_earlier_one_only(finished, tmp_path):
    for _ in range(2):
        claim_merged(tmp_path / "merged", [finished[0], finished[0]])
    with pytest.raises(StateError, match="no earlier merge"):
        claim_merged(finished[0], [finished[0]])


def test_spreads_and_means_are_those_of_the_seeds(finished, tmp_path):
    folder = Folder(shutil.copytree(finished[0], tmp_path / "seeds"))
    about = folder.configuration()
    folder.claim()
    folder.keep({**about, "seeds": [0, 1]})
    for name in NAMES[:4]:
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


def test_a_public_set_is_mirrored_to_the_size(tmp_path, settings, execute):
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (tmp_path / "own" / part).mkdir(parents=True)
    pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
    for name in "ab":
        write_rgb_png(tmp_path / "own" / "images" / f"{name}.png", pixels)
        write_rgb_png(tmp_path / "own" / "labels" / f"{name}.png", pixels[..., 0] // 128)
    (tmp_path / "own" / "train.txt").write_text("a\n")
    (tmp_path / "own" / "test.txt").write_text("b\n")
    sets = [{"name": "own", "path": str(tmp_path / "own")}]
    config = make_config(settings(datasets=sets, segment={"sizes": [128]}))
    (cell,) = [cell for cell in list_cells(config) if cell.kind == "image"]
    folder = Folder(tmp_path / "out")
    folder.claim()
    execute(cell, folder)
    image = open_image(folder.image(cell))
    found = np.moveaxis(image.read(image.bounds), 0, -1)
    tiles = np.pad(pixels, ((0, 88), (0, 78), (0, 0)), mode="symmetric")
    assert (found == tiles).all()


def test_the_load_of_the_machine_is_looked_at_before_the_work(monkeypatch, tmp_path):
    order = []

    def work(*_):
        order.append("work")
        raise UsageError("no work today")

    monkeypatch.setattr(cell, "machine_record", lambda: order.append("machine") or {"cores": 1})
    monkeypatch.setattr("gnnseg.compare.work.do_cell", work)
    folder = Folder(tmp_path / "out")
    folder.claim()
    cell.run_cell(cell.Cell("image-x-64", "image", {}), folder)
    assert order == ["machine", "work"]
    assert folder.read("image-x-64")["machine"] == {"cores": 1}


def test_a_cell_runs_in_a_process_of_its_own(settings, tmp_path):
    """Its memory is not that of the tests."""
    config = make_config(settings(segment={"sizes": [64]}))
    (cell,) = [cell for cell in list_cells(config) if cell.kind == "image"]
    folder = Folder(tmp_path / "out")
    folder.claim()
    block = np.ones(2**30, np.uint8)
    assert run_process(cell, folder) == 0
    found = record(folder.path, cell.name)
    assert 50e6 < found["base_rss_bytes"] < block.nbytes
    assert found["stages"]["image"]["peak_above_bytes"] < 2**28


def test_a_cell_stops_when_nobody_waits_for_it(settings, tmp_path):
    """Even where Ctrl-C is ignored, as in what a script starts in the background.

    And only then: what a scheduler sends to all processes is for the one that waits.
    """
    changed = settings()
    changed["models"][0]["training"] |= {"epochs": 100_000, "patience": 100_000}
    cell = list_cells(make_config(changed))[0]
    folder = Folder(tmp_path / "out")
    folder.claim()
    module = ["-m", "gnnseg.compare.cell"]
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, *module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        task = plain({"cell": asdict(cell), "folder": str(folder.path)})
        child.stdin.write(f"{json.dumps(task)}\n".encode())
        child.stdin.flush()
        end = time.monotonic() + 200
        while not folder.checkpoint(cell).exists() and time.monotonic() < end:
            time.sleep(0.1)
        child.terminate()
        child.stdin.close()
        assert child.wait(60) == 128 + signal.SIGINT
    assert folder.checkpoint(cell).exists()
    assert not (folder.path / "cells" / f"{cell.name}.json").exists()


@pytest.mark.parametrize(
    ("curve", "patience", "expected"),
    [
        ([], 20, False),
        ([0.5] * 7, 20, False),
        ([0.5] * 8, 20, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.602, 0.604], 20, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.602, 0.606], 20, False),
        ([0.6, 0.1, 0.1, 0.1], 3, True),
        ([0.6, 0.1, 0.1, 0.1], 4, False),
        ([float("nan"), 0.6, float("nan"), 0.1, 0.1], 3, True),
        ([0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5], 20, True),
    ],
)
def test_when_a_training_has_flattened(curve, patience, expected):
    assert flattened(curve, patience)[0] is expected


def test_one_training_may_be_measured_without_and_with_refined_borders(settings, execute, tmp_path):
    (model, _) = settings()["models"]
    config = make_config(settings(models=[{**model, "refine": "both"}], segment={}))
    summary = compare(config, tmp_path / "out", execute=execute)
    shown = ["perceptron", "perceptron-refined"]
    assert execute.names == [NAMES[0], *(f"evaluate-made-{name}-0" for name in shown)]
    assert [row["model"] for row in summary["accuracy"]] == shown
    assert [row["boundary_f1"] is not None for row in summary["accuracy"]] == [False, True]
    assert list(summary["pictures"][0]["labels"]) == shown
    data = open_set(config.datasets[0].model_dump())
    trained = load_model(tmp_path / "out" / "models" / "made-perceptron-0.safetensors")
    for row, refine in zip(summary["accuracy"], (False, True), strict=True):
        assert row["miou"] == evaluate(data, trained, split="test", refine=refine)["miou"]
    write_report(summary, tmp_path / "report.html")
    assert "perceptron-refined" in (tmp_path / "report.html").read_text()
