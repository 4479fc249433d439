"""What commands print."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gnnseg.cli.output import emit, plain


def test_nan_becomes_null(capsys):
    emit({"miou": float("nan"), "classes": {"a": np.float64("inf")}}, [], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"miou": None, "classes": {"a": None}}


def test_plain_values():
    value = {"a": np.arange(2), 3: (Path("x"), True, None), "n": np.int64(4)}
    assert plain(value) == {"a": [0, 1], "3": ["x", True, None], "n": 4}


def test_rows_are_aligned_and_empty_ones_left_out(capsys):
    emit({}, [("a", "1"), ("long", "2\n3"), ("gone", "")], as_json=False)
    assert capsys.readouterr().out == "a     1\nlong  2\n      3\n"
