"""What superpixels of some steps allow, by class, and the step that is suggested."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from gnnseg.datasets import ArrayDataset
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.scribbles import with_scribbles
from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import InputError, UsageError
from gnnseg.metrics import ConfusionMatrix, boundary_recall, ceiling_labels
from gnnseg.pipeline import ceiling
from gnnseg.pipeline.ceiling_plot import save_ceiling_plot
from gnnseg.pipeline.step import suggest_step
from gnnseg.superpixels import SlicSettings, fit_scaling, make_reader, superpixel_map

ceiling_module = sys.modules["gnnseg.pipeline.ceiling"]
"""Whose name in the package is the function's."""


def rows(*steps, **per_class):
    """Rows of (step, ceiling), with as many regions as there are cells in 480 x 480 pixels."""
    return [
        {
            "step": step,
            "regions_per_image": (480 / step) ** 2,
            "ceiling_miou": miou,
            "per_class_iou": {name: values[number] for name, values in per_class.items()},
        }
        for number, (step, miou) in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "knee"),
    [
        ([(6, 0.90), (8, 0.89), (12, 0.88), (16, 0.60)], 12),
        ([(6, 0.90), (8, 0.89), (12, 0.50), (16, 0.40)], 8),
        ([(6, 0.90), (8, 0.50), (12, 0.45), (16, 0.44)], 16),
        ([(6, 0.901), (8, 0.900), (12, 0.899), (16, 0.898)], 16),
    ],
)
def test_the_knee(steps, knee):
    assert suggest_step(rows(*steps))["step"] == knee


def test_a_target_takes_the_largest_step_that_reaches_it():
    table = rows((6, 0.9), (8, 0.8), (12, 0.7), thin=[0.8, 0.5, 0.1], wide=[1, 1, 0.9], none=[
        float("nan")
    ] * 3)  # fmt: skip
    found = suggest_step(table, 0.8)
    assert (found["step"], found["rule"]) == (8, "target")
    assert found["largest_step_by_class"] == {"thin": 6, "wide": 12, "none": None}
    missed = suggest_step(table, 0.95)
    assert missed["step"] is None
    assert "the best is 6 with 0.900" in missed["reason"]


def test_two_steps_have_no_knee():
    found = suggest_step(rows((6, 0.9), (8, 0.2)))
    assert found["step"] is None
    assert "--target" in found["reason"]


def test_small_steps_allow_more_and_cost_more():
    found = ceiling(synthetic_dataset(4, height=96, width=96), (12, 4, 8, 8), split="train")
    assert [row["step"] for row in found["rows"]] == [4, 8, 12]
    mious = [row["ceiling_miou"] for row in found["rows"]]
    assert mious == sorted(mious, reverse=True)
    for row in found["rows"]:
        assert np.isclose(np.mean(list(row["per_class_iou"].values())), row["ceiling_miou"])
    assert found["suggestion"]["step"] in (4, 8, 12)


def test_sparse_labels_tell_no_step():
    steps = [(6, 1.0), (8, 1.0), (12, 0.999), (16, 0.999)]
    for labelled, step in ((0.49, None), (0.51, 16)):
        assert suggest_step(rows(*steps), labelled=labelled)["step"] == step
        assert suggest_step(rows(*steps), 0.9, labelled)["step"] == step
    assert "too sparse" in suggest_step(rows(*steps), labelled=0.49)["reason"]
    assert suggest_step(rows(*steps), 0.9, 0.49)["rule"] == "target"


@pytest.mark.parametrize("target", [None, 0.8])
def test_the_ceiling_of_scribbles_suggests_no_step_and_is_drawn(target, tmp_path):
    full = synthetic_dataset(2, height=96, width=96)
    sparse = with_scribbles(full, 0.05)
    found = ceiling(sparse, (6, 8, 12, 16), split="train", target=target)
    assert ceiling(full, (6,), split="train")["labelled_share"] == 1
    assert 0 < found["labelled_share"] < 0.06
    assert min(row["ceiling_miou"] for row in found["rows"]) > 0.9
    assert found["suggestion"]["step"] is None
    share = f"{100 * found['labelled_share']:.2g} % of the pixels"
    assert share in found["suggestion"]["reason"]
    save_ceiling_plot(found, tmp_path / "c.png")
    assert (tmp_path / "c.png").exists()


def test_scribbles_count_on_their_pixels_alone():
    full = synthetic_dataset(2, height=96, width=96)
    item = full.split("train")[0]
    labels = np.full((96, 96), 255, np.uint8)
    labels[10:12, 10:50] = 1
    sparse = ArrayDataset([item.image], [labels], full.classes, 0.0)
    found = ceiling(sparse, (8,), split="train")["rows"][0]
    assert found["per_class_iou"]["class_1"] == found["ceiling_miou"] == 1
    assert np.isnan(found["per_class_iou"]["class_0"])
    blank = replace(item, label=np.full((96, 96), 255, np.uint8))
    with pytest.raises(InputError, match="no pixel of the split"):
        ceiling(Dataset("blank", full.classes, {"train": (blank,)}), (8,), split="train")


def test_windows_count_what_the_whole_image_does(monkeypatch):
    """With pixels that have no value: they are in no region, and wrong."""
    item = synthetic_dataset(1, height=150, width=170, val=0.0).split("train")[0]
    image = item.open_image()
    pixels = image.read(image.bounds).astype(np.float32)
    pixels[:, 40:60, 90:140] = np.nan
    labels = item.read_labels().copy()
    labels[100:, :30] = 255
    data = ArrayDataset([pixels], [labels], item.classes, 0.0, axes="CYX")
    found = []
    for side in (2000, 50):
        monkeypatch.setattr(ceiling_module, "_SIDE", side)
        found += ceiling(data, (7,), split="train")["rows"]
    row, other = found
    assert row == other
    one = data.split("train")[0].open_image()
    settings = SlicSettings(step=7)
    ids = superpixel_map(make_reader(one, settings=settings, scaling=fit_scaling([one]))).ids()
    best = np.where(ids < 0, 255, ceiling_labels(labels, ids))
    matrix = ConfusionMatrix.of(labels, best, item.classes.num_classes)
    assert (ids < 0).sum() == 20 * 50
    assert row["ceiling_miou"] == matrix.miou
    assert row["achievable_accuracy"] == matrix.pixel_accuracy < 0.99
    assert row["boundary_recall"] == boundary_recall(labels, ids)
    assert row["regions_per_image"] == len(np.unique(ids[ids >= 0]))


@pytest.mark.parametrize("target", [0, -1, 1.5, float("nan")])
def test_a_target_that_is_no_miou(target):
    with pytest.raises(UsageError, match="target"):
        ceiling(synthetic_dataset(2, height=32, width=32), target=target)
