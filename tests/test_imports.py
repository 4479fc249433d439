"""Importing costs nothing, and the public names are what they say."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import gnnseg

HEAVY = ["torch", "torch_geometric", "zarr", "numba", "skimage", "scipy", "PIL", "tifffile", "dask"]


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import gnnseg; dir(gnnseg); gnnseg.__version__",
        "import gnnseg.datasets, gnnseg.metrics, gnnseg.ledger, gnnseg.memory",
        "import gnnseg.cli",
        "from gnnseg.cli.app import app\ntry: app(['segment', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_loaded(statement):
    assert modules_after(statement).isdisjoint(HEAVY)


def test_segmenting_needs_no_pytorch_geometric():
    network = 'build_network(get_preset("default"), 9, 3, Scaling((0.0,), (1.0,), False), {})'
    code = (
        "from gnnseg.models.presets import build_network, get_preset\n"
        f"from gnnseg.superpixels import Scaling\n{network}"
    )
    loaded = modules_after(f"import gnnseg.pipeline.segment; {code}")
    assert "torch" in loaded
    assert "torch_geometric" not in loaded


def test_the_names_are_listed():
    assert set(gnnseg.__all__) <= set(dir(gnnseg))
    assert set(gnnseg._MODULES) == set(gnnseg.__all__) - {"__version__"}


@pytest.mark.parametrize("name", sorted(gnnseg._MODULES))
def test_every_name_is_there(name):
    value = getattr(gnnseg, name)
    assert callable(value)
    assert not isinstance(value, ModuleType)


@pytest.mark.parametrize("name", ["superpixels", "paint"])
def test_a_function_stays_one_when_its_module_is_imported(name):
    module = importlib.import_module(f"gnnseg.{name}")
    assert isinstance(module, ModuleType)
    assert callable(getattr(module, name))
    assert callable(getattr(gnnseg, name))
    code = f"import gnnseg.{name}, gnnseg; assert callable(gnnseg.{name})"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_submodules_are_bound_as_usual():
    importlib.import_module("gnnseg.errors")
    assert isinstance(gnnseg.errors, ModuleType)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = gnnseg.nonsense
