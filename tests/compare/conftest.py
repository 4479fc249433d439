"""A comparison of two networks on a few small images, carried out once in this process."""

from __future__ import annotations

import pytest

from gnnseg.compare import compare, make_config
from gnnseg.compare.cell import run_cell

SIZE, MEMORY, TOO_LITTLE = 128, "3GiB", "64MiB"


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
