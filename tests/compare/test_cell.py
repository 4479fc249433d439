"""Single pieces of work, most of them in a process of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from gnnseg.compare import cell, make_config
from gnnseg.compare.cells import list_cells
from gnnseg.compare.folder import Folder
from gnnseg.compare.run import run_process
from gnnseg.errors import DiskError, KilledError, MemoryBudgetError, UsageError
from gnnseg.io import open_image, write_rgb_png
from gnnseg.plain import plain


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


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryBudgetError("1 GiB would do"), "refused"),
        (KilledError("process 1 of 2 was ended by SIGKILL"), "killed"),
        (RuntimeError("CUDA error: out of memory"), "out of memory"),
        (UsageError("no such setting"), "failed"),
    ],
)
def test_the_reason_of_an_end_decides_what_counts_as_not_fitting(error, status):
    assert cell._explain(error) == (status, str(error))


def test_a_checkpoint_goes_when_the_result_is_on_record(settings, tmp_path, monkeypatch):
    cell_, *_ = list_cells(make_config(settings()))
    folder = Folder(tmp_path / "out")
    folder.claim()
    history = {"val_miou": [0.5]}
    figures = dict.fromkeys(("seconds", "epochs", "best_epoch", "val_miou", "epoch_seconds"), 0)
    training = {**figures, "history": history, "config": {"patience": 1}}

    def train(*_, checkpoint, out, **_more):
        checkpoint.touch()
        out.touch()
        return SimpleNamespace(num_parameters=1, training=training)

    def refuse(*_):
        raise DiskError("the disk is full")

    monkeypatch.setattr("gnnseg.compare.work.train_model", train)
    with monkeypatch.context() as full:
        full.setattr(Folder, "write", refuse)
        with pytest.raises(DiskError):
            cell.run_cell(cell_, folder)
    assert folder.checkpoint(cell_).exists()
    cell.run_cell(cell_, folder)
    assert not folder.checkpoint(cell_).exists()
    assert folder.read(cell_.name)["status"] == "done"


def test_a_cell_runs_in_a_process_of_its_own(settings, tmp_path, record):
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
    """Even where it was started by a script with &, and so with Ctrl-C ignored.

    And only then: what a scheduler sends to all processes is for the one that waits.
    """
    changed = settings()
    changed["models"][0]["training"] |= {"epochs": 100_000, "patience": 100_000}
    cell = list_cells(make_config(changed))[0]
    folder = Folder(tmp_path / "out")
    folder.claim()
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [*ignoring, sys.executable, "-m", "gnnseg.compare.cell"]
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
