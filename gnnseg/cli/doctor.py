"""`gnnseg doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gnnseg.cli.options import AsJson
from gnnseg.cli.output import emit

_PACKAGES = ("numpy", "numba", "zarr", "torch", "torch_geometric", "tifffile", "imagecodecs")
_OPTIONAL = ("dask",)


def doctor(*, as_json: AsJson = False) -> None:
    """Show versions, devices, threads, and limits of memory and disk."""
    from gnnseg.memory import format_size

    result = examine()
    devices = ", ".join(result["cuda"]["devices"]) or "none"
    packages = "\n".join(f"{name} {found or '-'}" for name, found in result["packages"].items())
    disk = result["disk"]
    free, budget = (format_size(size) for size in result["memory"].values())
    rows = [
        ("gnnseg", result["gnnseg"]),
        ("Python", f"{result['python']} ({result['executable']})"),
        ("platform", result["platform"]),
        ("packages", packages),
        ("CUDA devices", devices),
        ("threads", f"{result['threads']} of {result['processors']} processors"),
        ("memory", f"{free} available, {budget} are used without --memory"),
        ("disk", f"{format_size(disk['free_bytes'])} free in {disk['folder']}"),
        ("ready", "yes" if result["ready"] else "no: install what is missing above"),
    ]
    emit(result, rows, as_json=as_json)


def examine() -> dict[str, Any]:
    """What the doctor finds."""
    from gnnseg import __version__
    from gnnseg.execution import default_workers
    from gnnseg.memory import available_memory, default_budget

    packages = {name: _version(name) for name in (*_PACKAGES, *_OPTIONAL)}
    return {
        "gnnseg": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "cuda": _cuda(),
        "threads": default_workers(),
        "processors": os.cpu_count(),
        "memory": {
            "available_bytes": available_memory(),
            "default_budget_bytes": default_budget(),
        },
        "disk": {"folder": str(Path.cwd()), "free_bytes": shutil.disk_usage(Path.cwd()).free},
        "ready": all(packages[name] for name in _PACKAGES),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cuda() -> dict[str, Any]:
    """The devices that PyTorch sees."""
    if importlib.util.find_spec("torch") is None:
        return {"available": False, "version": None, "devices": []}
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "available": count > 0,
        "version": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(count)],
    }
