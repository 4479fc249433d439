"""`suggest` on the folder of a dataset."""

from __future__ import annotations

import numpy as np
import pytest

import gnnseg
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError
from gnnseg.io import write_rgb_png


@pytest.fixture
def folder(model, pixels, tmp_path):
    """Two images, of which the right half of the first is labelled."""
    folder = tmp_path / "set"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for name, image in zip("ab", pixels, strict=True):
        write_rgb_png(folder / "images" / f"{name}.png", np.moveaxis(image, 0, -1))
    write_labels(folder, 1)
    (folder / "train.txt").write_text("a\n")
    model.classes.save(folder / "classes.json")
    return folder


def write_labels(folder, value):
    labels = np.full((192, 200), 255, np.uint8)
    labels[:, 100:] = value
    write_rgb_png(folder / "labels" / "a.png", labels)


def test_labels_of_a_folder_are_read_in_windows(model, folder, monkeypatch, tmp_path):
    def refuse(_):
        raise AssertionError("all labels at once")

    monkeypatch.setattr(Item, "load", refuse)
    found = gnnseg.suggest(folder, model, tmp_path / "s.json", count=50)["suggestions"]
    assert {s["image"] for s in found} == {"a", "b"}
    assert max(s["x"] for s in found if s["image"] == "a") < 100
    clicked = next(s for s in found if s["image"] == "b")
    (folder / "clicks.csv").write_text(f"image,y,x,class\nb,{clicked['y']},{clicked['x']},1\n")
    (folder / "train.txt").write_text("a\nb\n")
    again = gnnseg.suggest(folder, model, tmp_path / "again.json", count=50)["suggestions"]
    assert ("b", clicked["id"]) not in {(s["image"], s["id"]) for s in again}


def test_a_label_that_is_no_class_is_told_before_any_work(model, folder, tmp_path):
    write_labels(folder, 7)
    with pytest.raises(InputError, match="holds the label 7"):
        gnnseg.suggest(folder, model, tmp_path / "s.json")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
