"""`suggest` on the folder of a dataset."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gnnseg
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError, StateError
from gnnseg.io import write_rgb_png
from gnnseg.pipeline import search


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


def test_a_folder_without_a_class_table_takes_the_models(model, folder, tmp_path):
    """Its labels lack the highest class."""

    def figures(out):
        found = gnnseg.suggest(folder, model, tmp_path / out, count=9)["suggestions"]
        measured = gnnseg.evaluate(folder, model, split="train")
        return found, measured["per_class_iou"], measured["ece"]

    told = figures("told.json")
    (folder / "classes.json").unlink()
    assert figures("inferred.json") == told
    write_labels(folder, 3)
    for run in (lambda: gnnseg.evaluate(folder, model), lambda: figures("other.json")):
        with pytest.raises(InputError, match=r"put the classes\.json"):
            run()


@pytest.mark.parametrize("part", ["images", "labels"])
def test_images_and_labels_are_not_replaced_by_pictures(model, folder, tmp_path, part):
    before = {path.name: path.read_bytes() for path in (folder / part).iterdir()}
    with pytest.raises(StateError, match=r"a\.png: exists and is no picture that gnnseg drew"):
        gnnseg.suggest(folder, model, tmp_path / "s.json", overlay=folder / part, overwrite=True)
    assert {path.name: path.read_bytes() for path in (folder / part).iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_label_that_is_no_class_is_told_before_any_work(model, folder, tmp_path):
    write_labels(folder, 7)
    with pytest.raises(InputError, match="holds the label 7"):
        gnnseg.suggest(folder, model, tmp_path / "s.json")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.fixture
def searched(monkeypatch):
    """The images that were searched; the one whose number is in `stop` is not finished."""
    searched, collect = [], search.Search._collect

    def counted(self, number, *rest):
        if number in stop:
            raise KeyboardInterrupt
        searched.append(number)
        collect(self, number, *rest)

    stop: set[int] = set()
    monkeypatch.setattr(search.Search, "_collect", counted)
    return searched, stop


def test_images_that_are_done_are_not_searched_again(model, folder, searched, tmp_path):
    numbers, stop = searched
    out, overlay = tmp_path / "s.json", tmp_path / "pictures"
    whole = gnnseg.suggest(folder, model, tmp_path / "whole.json", count=9, overlay=overlay)
    pictures = {path.name: path.read_bytes() for path in overlay.iterdir()}
    for overwrite in (False, True):  # the second time there is a list, until it is replaced
        numbers.clear()
        stop.add(1)
        with pytest.raises(KeyboardInterrupt):
            gnnseg.suggest(folder, model, out, count=9, overlay=overlay, overwrite=overwrite)
        with pytest.raises(StateError, match=r"other settings .*\(keep\)"):
            gnnseg.suggest(folder, model, out, count=9)
        stop.clear()
        found = gnnseg.suggest(folder, model, out, count=9, overlay=overlay)
        assert numbers == [0, 1]
        assert found["suggestions"] == whole["suggestions"]
        assert (found["regions"], found["num_images"]) == (whole["regions"], 2)
        assert json.loads(out.read_text())["suggestions"] == whole["suggestions"]
        assert pictures == {path.name: path.read_bytes() for path in overlay.iterdir()}
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"set", "s.json", "whole.json", "pictures"}
    with pytest.raises(StateError, match="--overwrite"):
        gnnseg.suggest(folder, model, out, count=9)


def test_a_search_goes_on_with_what_it_was_about_alone(model, folder, searched, tmp_path):
    _, stop = searched
    out = tmp_path / "s.json"
    candidates = tmp_path / "s.json.candidates"
    stop.add(1)
    with pytest.raises(KeyboardInterrupt):
        gnnseg.suggest(folder, model, out)
    write_labels(folder, 0)
    with pytest.raises(StateError, match=r"another input \(labels\)"):
        gnnseg.suggest(folder, model, out)
    (folder / "images" / "a.png").unlink()
    (folder / "labels" / "a.png").rename(folder / "labels" / "b.png")
    (folder / "train.txt").write_text("b\n")
    with pytest.raises(StateError, match=r"another input \(image, input, labels\)"):
        gnnseg.suggest(folder, model, out)
    candidates.write_bytes(candidates.read_bytes()[:-9])
    with pytest.raises(StateError, match="no search to go on with"):
        gnnseg.suggest(folder, model, out)
    stop.clear()
    found = gnnseg.suggest(folder, model, out, overwrite=True)
    assert {s["image"] for s in found["suggestions"]} == {"b"}
    assert not candidates.exists()
