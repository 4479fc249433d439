"""What a result was measured on: processor, memory, GPU and versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gnnseg.execution import default_workers

ROOT = Path(__file__).parents[1]
"""The folder that the package lies in."""
PACKAGES = (
    *("gnnseg", "numpy", "numba", "torch", "torch_geometric", "monai"),
    *("zarr", "tifffile", "scikit-image"),
)


def machine_record() -> dict[str, Any]:
    """Processor, cores, memory, GPU, Python, package versions, and the commit of this code.

    `commit` is None unless the package lies in a checkout of its own, as `git` sees it.

    >>> machine_record()["cores"] >= 1
    True
    """
    import psutil

    return {
        "processor": _processor(),
        "cores": default_workers(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": _gpu(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def machine_name(record: dict[str, Any]) -> str:
    """A machine in a few words.

    >>> machine_name({"processor": "AMD EPYC", "cores": 2, "gpu": None})
    'AMD EPYC, 2 cores'
    """
    cores = f"{record['cores']} core{'s' if record['cores'] > 1 else ''}"
    return ", ".join(filter(None, (record["processor"], cores, record["gpu"])))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit that is checked out where the package lies."""
    git, folder = shutil.which("git"), ROOT / ".git"  # one further up is of something else
    if git is None or not folder.exists():
        return None
    command = [git, f"--git-dir={folder}", "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
