"""The choice of a compactness before training."""

from __future__ import annotations

import numpy as np
import pytest

from gnnseg.datasets.scribbles import with_scribbles
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.pipeline import ceiling
from gnnseg.superpixels import SlicSettings, fit_scaling
from gnnseg.training import make_config, train
from gnnseg.training.compactness import CANDIDATES, choose_compactness


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(5, height=90, width=110, num_classes=4, seed=3, val=0.4)


def test_the_highest_ceiling_is_chosen(dataset):
    """The same ceilings as `ceiling` measures on pixels."""
    items = dataset.split("val")
    scaling = fit_scaling([item.open_image() for item in dataset.split("train")])
    config = make_config(step=12, compactness="auto")
    chosen = choose_compactness(config, items, scaling, 4)
    found = [
        ceiling(dataset, [12], settings=SlicSettings(compactness=value))["rows"][0]["ceiling_miou"]
        for value in CANDIDATES
    ]
    assert len(set(found)) > 1
    assert chosen.compactness == CANDIDATES[int(np.argmax(found))]
    assert choose_compactness(chosen, items, scaling, 4) is chosen


def test_sparse_labels_keep_the_default(dataset, caplog):
    items = with_scribbles(dataset, 0.05).split("train")
    scaling = fit_scaling([item.open_image() for item in items])
    chosen = choose_compactness(make_config(compactness="auto"), items, scaling, 4)
    assert chosen.compactness == SlicSettings.compactness
    assert "too sparse to choose a compactness" in caplog.text
    assert "it is 4" in caplog.text


def test_a_model_holds_what_was_chosen(dataset):
    model = train(dataset, preset="mlp", step=12, epochs=1, compactness="auto")
    assert model.settings.compactness in CANDIDATES
    assert model.training["config"]["compactness"] == model.settings.compactness


def test_other_words_and_too_much_are_refused():
    for wrong in ("automatic", -1, 1e6):
        with pytest.raises(UsageError, match="compactness"):
            make_config(compactness=wrong)
    with pytest.raises(UsageError, match="chosen by `train`"):
        assert make_config(compactness="auto").slic
