"""What scripts of experiments compute themselves."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from gnnseg.metrics import ConfusionMatrix


@pytest.fixture
def crossval(repo_root, monkeypatch):
    monkeypatch.syspath_prepend(repo_root / "experiments")
    return importlib.import_module("crossval")


def test_folds_keep_images_of_one_animal_together_and_are_about_equal(crossval):
    names = ["a_1", "a_2", "a_3", "b_1", "b_2", "c_1", "d_1", "e"]
    folds = crossval.split([SimpleNamespace(stem=name) for name in names], 3)
    found = [sorted(item.stem for item in fold) for fold in folds]
    assert sorted(name for fold in found for name in fold) == names
    assert [{name[0] for name in fold} for fold in found] == [{"a"}, {"b", "e"}, {"c", "d"}]


def test_the_interval_is_that_of_groups_drawn_again(crossval):
    good, bad = (
        ConfusionMatrix(np.array(m)) for m in ([[9, 0, 0], [0, 9, 0]], [[5, 4, 0], [4, 5, 0]])
    )
    low, high = crossval.interval([good, bad])
    assert (low, high) == pytest.approx((bad.miou, good.miou))
    assert crossval.interval([good, good]) == pytest.approx((1, 1))
