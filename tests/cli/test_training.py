"""`gnnseg train` that is stopped and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import psutil
import pytest
from safetensors import safe_open

LONG = (
    'preset = "mlp"\nstep = 17\nn_iter = 1\nbatch = 200\nepochs = 1_000_000\npatience = 1_000_000\n'
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text(LONG)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_goes_on(gnnseg, program, dataset, config, tmp_path, wait_for, number):
    command, env = program
    out = tmp_path / "m.safetensors"
    checkpoint = tmp_path / "m.safetensors.checkpoint"
    arguments = ["train", dataset, "-o", out, "--config", config, "--max-minutes", 0.2]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], env=env, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(checkpoint.exists, process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on" in stderr
    assert not out.exists()
    with safe_open(checkpoint, "pt") as file:
        about = json.loads(file.metadata()["gnnseg.checkpoint"])
    refused = gnnseg("train", dataset, "-o", out, "--config", config, "--epochs", 3, code=4)
    assert "epochs 1000000, now 3" in refused.stderr
    found = json.loads(gnnseg(*arguments, "--json").stdout)
    assert found["epochs"] >= about["place"]["epoch"] > 0
    assert about["seconds"] < found["seconds"] < about["seconds"] + 60 * 0.2
    assert out.exists()
    assert not checkpoint.exists()


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_ends_all_processes(program, dataset, config, tmp_path, wait_for):
    command, env = program
    out, checkpoint = tmp_path / "m.safetensors", tmp_path / "m.safetensors.checkpoint"
    arguments = ["train", dataset, "-o", out, "--config", config, "--devices", 2, "--device", "cpu"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], env=env, cwd=tmp_path, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(checkpoint.exists, process)
    children = psutil.Process(process.pid).children()
    assert len(children) >= 2
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on" in stderr
    assert "Traceback" not in stderr
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert checkpoint.exists()


def test_overwrite_starts_anew(gnnseg, gnnseg_json, dataset, config, tmp_path):
    out = tmp_path / "m.safetensors"
    checkpoint = tmp_path / "m.safetensors.checkpoint"
    checkpoint.write_text("precious")
    arguments = ["train", dataset, "-o", out, "--config", config, "--epochs", 2]
    message = gnnseg(*arguments, code=4).stderr
    assert "no training to go on with" in message
    assert "Traceback" not in message
    assert checkpoint.read_text() == "precious"
    assert gnnseg_json(*arguments, "--overwrite")["epochs"] == 2
    assert not checkpoint.exists()


def test_an_image_in_the_place_of_a_plot_is_refused_before_any_work(gnnseg, dataset, tmp_path):
    out, image = tmp_path / "slide.safetensors", tmp_path / "slide.png"
    shutil.copy(dataset / "images" / "0.png", image)
    before = image.read_bytes()
    for arguments in (
        ["train", tmp_path / "no-set", "-o", out, "--overwrite"],
        ["train", tmp_path / "no-set", "-o", out],
        ["ceiling", tmp_path / "no-set", "--plot", image],
    ):
        message = gnnseg(*arguments, code=4).stderr
        assert "slide.png: exists and is no picture that gnnseg drew" in message
    assert image.read_bytes() == before


@pytest.mark.parametrize("name", ["m.safetensors", "m.png", "m.safetensors.checkpoint"])
def test_a_link_in_the_place_of_an_output_is_refused_before_any_work(gnnseg, tmp_path, name):
    out, link = tmp_path / "m.safetensors", tmp_path / name
    link.symlink_to(tmp_path / "elsewhere")
    message = gnnseg("train", tmp_path / "no-set", "-o", out, "--overwrite", code=4).stderr
    assert f"{name}: exists and is no regular file" in message
    assert link.is_symlink()
