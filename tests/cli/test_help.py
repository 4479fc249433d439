"""Help, version and doctor."""

from __future__ import annotations

import re

import pytest

from gnnseg import __version__
from gnnseg.models.presets import PRESETS

VERBS = [
    "demo", "train", "evaluate", "segment", "superpixels", "graph", "paint", "suggest", "info",
    "ceiling", "compare", "doctor",
]  # fmt: skip


def test_help_lists_every_verb(gnnseg):
    shown = gnnseg("--help").stdout
    assert all(f" {verb} " in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(gnnseg, verb):
    shown = gnnseg(verb, "--help").stdout
    assert f"Example: gnnseg {verb}" in " ".join(shown.split())
    assert "--json" in shown


def test_help_names_every_preset(gnnseg):
    shown = gnnseg("train", "--help").stdout
    (told,) = re.findall(r"Model of regions: ([^.]*)\.", re.sub(r"[\s\u2502]+", " ", shown))
    assert set(re.split(", | or ", told)) == set(PRESETS)


def test_version(gnnseg):
    assert gnnseg("--version").stdout == f"gnnseg {__version__}\n"


def test_no_arguments_show_the_help(gnnseg):
    done = gnnseg(code=2)
    assert "Usage" in done.stdout + done.stderr


def test_doctor(gnnseg_json):
    found = gnnseg_json("doctor")
    assert found["gnnseg"] == __version__
    assert found["ready"] is True
    assert found["packages"]["torch"]
    assert found["memory"]["default_budget_bytes"] <= found["memory"]["available_bytes"]
    assert {"python", "cuda", "threads", "disk"} <= set(found)
