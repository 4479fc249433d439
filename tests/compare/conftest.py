"""A comparison of two networks on a few small images, carried out once in this process."""

from __future__ import annotations

import json
import shutil

import pytest

from gnnseg.compare import compare, make_config
from gnnseg.compare.cell import run_cell

SIZE, MEMORY, TOO_LITTLE = 128, "3GiB", "64MiB"
NAMES = [
    "train-made-perceptron-0", "evaluate-made-perceptron-0",
    "train-made-published-0", "evaluate-made-published-0",
    "image-made-128",
    "segment-made-perceptron-128-64MiB", "segment-made-published-128-64MiB",
    "segment-made-perceptron-128-3GiB", "segment-made-published-128-3GiB",
]  # fmt: skip


def _settings(**changes):
    return {
        "datasets": [{"name": "made", "synthetic": {"images": 4, "height": 64, "width": 96}}],
        "models": [
            {"name": "perceptron", "preset": "mlp", "training": {"epochs": 2, "variants": 0}},
            {
                "name": "published",
                "preset": "jain2023",
                "training": {"epochs": 1, "variants": 0},
                "refine": True,
            },
        ],
        "pictures": 1,
        "workers": 1,
        "segment": {"sizes": [SIZE], "memory": [TOO_LITTLE, MEMORY]},
        **changes,
    }


@pytest.fixture(scope="session")
def settings():
    """`settings(seeds=[1])`: those of the small comparison, with changes."""
    return _settings


class InProcess:
    """Carries out cells here; remembers which."""

    def __init__(self):
        self.names = []

    def __call__(self, cell, folder):
        self.names.append(cell.name)
        run_cell(cell, folder)
        return 0


@pytest.fixture
def execute():
    return InProcess()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """`(folder, summary, names of the cells)` of a whole comparison; it stays as it is."""
    folder, execute = tmp_path_factory.mktemp("compare") / "all", InProcess()
    summary = compare(make_config(_settings()), folder, execute=execute)
    return folder, summary, execute.names


@pytest.fixture(scope="session")
def names():
    """Names of the cells of the small comparison, in order."""
    return NAMES


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the folder of the finished comparison."""
    return shutil.copytree(finished[0], tmp_path / "again")


@pytest.fixture(scope="session")
def record():
    """`record(folder, name)`: the result of a cell."""

    def read(folder, name):
        return json.loads((folder / "cells" / f"{name}.json").read_text())

    return read
