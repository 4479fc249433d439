"""Kernels compile for a GPU: the simulator would run what has no types at all."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


def compiler():
    """Where the CUDA compiler lies: the toolkit of the machine, or NVIDIA's package."""
    if "CUDA_HOME" in os.environ:
        return os.environ["CUDA_HOME"]
    found = importlib.util.find_spec("nvidia")
    for folder in found.submodule_search_locations if found else ():
        if (Path(folder) / "cuda_nvcc" / "nvvm").is_dir():
            return str(Path(folder) / "cuda_nvcc")
    return None


def test_every_kernel_compiles(repo_root):
    home = compiler()
    if home is None:
        pytest.skip("no CUDA compiler: install nvidia-cuda-nvcc-cu12, or set CUDA_HOME")
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "CUDA_HOME": home}
    env["PYTHONPATH"] = str(repo_root)
    script = Path(__file__).with_name("compile_all.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    sources = (repo_root / "kernels" / "cuda").glob("*.py")
    assert len(done.stdout.split()) == sum(s.read_text().count("@cuda.jit\n") for s in sources) > 20
