"""`gnnseg compare` that is stopped at a terminal and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import psutil
import pytest
from safetensors import safe_open

MINUTES = 0.06
SETTINGS = f"""
pictures = 0
datasets = [{{ name = "made", synthetic = {{ images = 4, height = 64, width = 96 }} }}]

[[models]]
name = "tiny"
preset = "mlp"

[models.training]
step = 17
n_iter = 1
variants = 0
epochs = 1_000_000
patience = 1_000_000
max_minutes = {MINUTES}
"""


@pytest.mark.slow
def test_ctrl_c_leaves_the_checkpoint_and_the_same_command_goes_on(
    gnnseg, program, tmp_path, wait_for
):
    settings, out = tmp_path / "settings.toml", tmp_path / "out"
    settings.write_text(SETTINGS)
    command, env = program
    arguments = ["compare", settings, "--out", out, "--json"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], env=env, cwd=tmp_path, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    checkpoints = out / "models"
    wait_for(lambda: any(checkpoints.glob("made-tiny-0.*.checkpoint")), process)
    children = psutil.Process(process.pid).children()
    assert len(children) == 1
    time.sleep(1.5)  # minutes that the second part must know of
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted: the same command goes on from here"
    log = (out / "logs" / "train-made-tiny-0.log").read_text()
    assert "Traceback" not in stderr + log
    assert stdout == ""
    assert psutil.wait_procs(children, timeout=0)[1] == []
    assert not any((out / "cells").iterdir())
    (checkpoint,) = checkpoints.iterdir()
    with safe_open(checkpoint, "pt") as file:
        first = json.loads(file.metadata()["gnnseg.checkpoint"])

    summary = json.loads(gnnseg(*arguments).stdout)
    (row,) = summary["trainings"]
    assert row["resumed"]
    assert first["seconds"] < 60 * row["minutes"] < first["seconds"] + 60 * MINUTES
    assert len(row["val_miou"]) >= first["place"]["epoch"] > 0
    assert row["val_miou"][: first["place"]["epoch"]] == first["history"]["val_miou"]
    assert len(summary["accuracy"]) == 1
    assert [path.name for path in checkpoints.iterdir()] == ["made-tiny-0.safetensors"]
