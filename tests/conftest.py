"""Fixtures and settings that every test shares."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Threads of small networks wait for each other: beside other tests, for long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without a GPU, CUDA kernels run on Numba's simulator, which is chosen before Numba is loaded.
if not Path("/dev/nvidiactl").exists():
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

# A shell that starts tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no bug; the same examples on every run make a failure repeatable.
settings.register_profile("gnnseg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gnnseg")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of public test data; the test is skipped where there is none."""
    folder = Path(os.environ.get("GNNSEG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no public data: set GNNSEG_DATA to the folder that holds the sets")
    return folder


@pytest.fixture(scope="session")
def public_set(data_root: Path) -> Callable[[str], Path]:
    """`public_set("camvid")`: the folder of one public set; skips where it is absent."""

    def folder(name: str) -> Path:
        if not (data_root / name).is_dir():
            pytest.skip(f"the public set {name} is not in {data_root}")
        return data_root / name

    return folder
