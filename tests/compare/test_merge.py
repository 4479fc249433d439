"""Results of several machines side by side."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from gnnseg.cli.compare import _machines
from gnnseg.compare import merge
from gnnseg.compare.cells import settings_mark
from gnnseg.compare.folder import Folder
from gnnseg.compare.merge import claim_merged, load
from gnnseg.compare.summary import summarise
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.machine import machine_name
from gnnseg.report import write_report


def test_two_machines_stand_side_by_side(finished, again, tmp_path, names, record):
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
    first = record(finished[0], names[8])["stages"]["segment"]["seconds"]
    assert [row[label]["seconds"] for label in labels] == [first, 1234.0]
    assert work["128 x 128 within 64MiB", "published"][labels[0]]["status"] == "refused"
    folders = ("--merge", finished[0], "--merge", again, "--out", tmp_path / "out")
    command = [sys.executable, "-m", "gnnseg", "compare", *map(str, folders)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "128 x 128 within 3GiB" in told
    assert "Machine against machine" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(UsageError, match="two folders"):
        merge([finished[0]])
    with pytest.raises(InputError, match="no folder of a comparison"):
        merge([finished[0], tmp_path])


def test_work_of_other_settings_is_marked(finished, again, tmp_path):
    """Both folders are whole, each with its own configuration."""
    for path in (again / "comparison.json", *(again / "cells").iterdir()):
        found = json.loads(path.read_text())
        about = found["configuration"]
        for model in (*about.get("models", ()), about.get("model", {})):
            if model.get("name") == "perceptron":
                model["training"]["epochs"] = 3
        path.write_text(json.dumps(found))
    merged = merge([finished[0], again])
    alike = {(row["model"], row["alike"]) for row in merged["against"]}
    assert alike == {("perceptron", False), ("published", True)}
    assert len(merged["against"]) == 2 * 2 + 2 * 2
    assert "made, perceptron, training (other settings)" in _machines(merged["against"])
    write_report(merged, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.count('<span class="mark">other settings</span>') == 4


def test_where_a_set_lies_and_what_is_shown_are_no_other_settings():
    def mark(path, pictures, seed):
        return settings_mark(
            [{"dataset": {"name": "own", "path": path}, "pictures": pictures, "seed": seed}]
        )

    assert mark("/a", 3, 0) == mark("/b", 0, 0) != mark("/a", 3, 1)


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


def test_a_folder_that_went_on_elsewhere_names_both_machines(again, names, record):
    found = record(again, names[8])
    found["machine"]["processor"] = "Another"
    Folder(again).write(names[8], found)
    (row,) = summarise([load(again)], {})["machines"]
    first, second = row["label"].split("; ")
    assert second.startswith("Another, ")
    assert first == machine_name(record(again, names[0])["machine"])


def test_a_merged_report_replaces_an_earlier_one_only(finished, tmp_path):
    for _ in range(2):
        claim_merged(tmp_path / "merged", [finished[0], finished[0]])
    with pytest.raises(StateError, match="no earlier merge"):
        claim_merged(finished[0], [finished[0]])
