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
    error = result["cuda"]["error"]
    devices = ", ".join(result["cuda"]["devices"]) or "none"
    packages = "\n".join(f"{name} {found or '-'}" for name, found in result["packages"].items())
    disk = result["disk"]
    free, budget = (format_size(size) for size in result["memory"].values())
    rows = [
        ("gnnseg", result["gnnseg"]),
        ("Python", f"{result['python']} ({result['executable']})"),
        ("platform", result["platform"]),
        ("packages", packages),
        ("PyTorch", "" if error is None else f"cannot be loaded: {error}"),
        ("CUDA devices", devices),
        ("threads", f"{result['threads']} of {result['processors']} processors"),
        ("memory", f"{free} available, {budget} are used without --memory"),
        ("disk", f"{format_size(disk['free_bytes'])} free in {disk['folder']}"),
        ("ready", "yes" if result["ready"] else "no: install what is missing or broken above"),
    ]
    emit(result, rows, as_json=as_json)


def examine() -> dict[str, Any]:
    """What the doctor finds."""
    from gnnseg import __version__
    from gnnseg.execution import default_workers
    from gnnseg.memory import available_memory, default_budget

    packages = {name: _version(name) for name in (*_PACKAGES, *_OPTIONAL)}
    cuda = _cuda()
    return {
        "gnnseg": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "cuda": cuda,
        "threads": default_workers(),
        "processors": os.cpu_count(),
        "memory": {
            "available_bytes": available_memory(),
            "default_budget_bytes": default_budget(),
        },
        "disk": {"folder": str(Path.cwd()), "free_bytes": shutil.disk_usage(Path.cwd()).free},
        "ready": cuda["error"] is None and all(packages[name] for name in _PACKAGES),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cuda() -> dict[str, Any]:
    """The devices that PyTorch sees; `error` says why it cannot be loaded, if it cannot."""
    found: dict[str, Any] = {"available": False, "version": None, "devices": [], "error": None}
    if importlib.util.find_spec("torch") is None:
        return found
    from gnnseg.io.guard import reason

    try:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        names = [torch.cuda.get_device_name(index) for index in range(count)]
    except Exception as error:  # noqa: BLE001 - libraries that are missing raise anything
        return {**found, "error": reason(error)}
    return {**found, "available": count > 0, "version": torch.version.cuda, "devices": names}
