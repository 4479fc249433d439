"""Folders of labelled images: what is found, and what is said when something is missing."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gnnseg.datasets import FolderDataset, open_dataset
from gnnseg.datasets.folder import fit_classes
from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io import ClassInfo
from gnnseg.pipeline import ceiling


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def add(folder, stem, *, labels=None, images="images", ending=".jpg"):
    rng = np.random.default_rng(len(stem))
    write(folder / images / (stem + ending), rng.integers(0, 255, (20, 30, 3)))
    labels = rng.integers(0, 3, (20, 30)) if labels is None else np.asarray(labels)
    write(folder / images.replace("images", "labels") / f"{stem}.png", labels)


@pytest.fixture
def folder(tmp_path):
    for stem in "abcdefgh":
        add(tmp_path, stem)
    return tmp_path


def test_a_plain_folder_is_split_by_names(folder):
    dataset = open_dataset(folder, val=0.4)
    assert isinstance(dataset, FolderDataset)
    assert sorted(dataset.stems) == list("abcdefgh")
    assert dataset.split("train")
    assert dataset.split("val")
    assert dataset.split("test") == []
    assert open_dataset(str(folder), val=0.4).stems == dataset.stems
    assert dataset.classes.names == ("class_0", "class_1", "class_2")


def test_a_pair_of_folders(folder):
    (folder / "labels").rename(folder / "masks")
    dataset = open_dataset((folder / "images", folder / "masks"))
    assert sorted(dataset.stems) == list("abcdefgh")


def test_lists_and_class_table_are_read(folder):
    (folder / "train.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n\r\n")
    (folder / "val.txt").write_text("c\n")
    (folder / "test.txt").write_text("")
    table = {"classes": [{"id": i, "name": n} for i, n in enumerate("xyz")], "pixel_size": [1, 2]}
    (folder / "classes.json").write_text(json.dumps(table))
    dataset = open_dataset(folder)
    assert [[i.stem for i in dataset.split(s)] for s in ("train", "val", "test")] == [
        ["a", "b"],
        ["c"],
        [],
    ]
    assert dataset.classes.names == ("x", "y", "z")
    assert dataset.pixel_size == (1, 2)


def test_without_a_val_list_some_of_the_training_images_validate(folder):
    (folder / "train.txt").write_text("\n".join("abcdef"))
    (folder / "test.txt").write_text("g")
    dataset = open_dataset(folder, val=0.3)
    assert {i.stem for i in dataset.split("train") + dataset.split("val")} == set("abcdef")
    assert dataset.split("val")


def test_items_load(folder):
    item = open_dataset(folder).split("train")[0]
    image, labels = item.load()
    assert (image.height, image.width) == labels.shape == (20, 30)
    assert image.is_rgb


def test_double_endings_and_other_files(folder):
    (folder / "images" / "a.jpg").rename(folder / "images" / "a.ome.jpg")
    (folder / "labels" / "a.png").rename(folder / "labels" / "a.ome.png")
    (folder / "images" / "Thumbs.db").write_text("no image")
    (folder / "images" / ".hidden.png").write_text("no image")
    assert "a.ome" in open_dataset(folder).stems


def test_a_split_without_images_names_those_with_some(folder, tmp_path_factory):
    dataset = open_dataset(folder, val=0.4)
    train, val = (len(dataset.split(split)) for split in ("train", "val"))
    counts = rf"'test', but in train \({train}\), val \({val}\): use --split train or val$"
    with pytest.raises(UsageError, match=counts):
        dataset.filled_split("test")
    assert dataset.filled_split("val") == dataset.split("val")
    single = tmp_path_factory.mktemp("single")
    add(single, "a")
    with pytest.raises(UsageError, match=r"'val', but in train \(1\): use --split train$"):
        ceiling(single)


def test_a_dataset_is_given_back(folder):
    dataset = open_dataset(folder)
    assert open_dataset(dataset) is dataset
    with pytest.raises(AttributeError):
        dataset.name = "other"


@pytest.mark.parametrize("missing", ["images", "labels"])
def test_a_missing_folder_is_named_and_the_layout_shown(folder, missing):
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(MissingInputError) as caught:
        open_dataset(folder)
    message = str(caught.value)
    assert str(folder / missing) in message
    assert "elsewhere/" in message
    assert "├── images/" in message


def test_no_folder_at_all(tmp_path):
    with pytest.raises(MissingInputError, match=r"(?s)nowhere.*├── labels/"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(MissingInputError, match="it is missing"):
        open_dataset((tmp_path / "nowhere" / "a", tmp_path / "nowhere" / "b"))


def test_an_empty_folder(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("alone", ["images/h.jpg", "labels/h.png"])
def test_an_image_or_label_alone_is_named(folder, alone):
    (folder / alone).unlink()
    with pytest.raises(InputError, match=r"1 of 8 (images|labels) have no .*: h\."):
        open_dataset(folder)


def test_two_images_of_one_name(folder):
    add(folder, "a", ending=".png")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png are both named 'a'"):
        open_dataset(folder)


@pytest.mark.parametrize("stem", ["../a", "/etc/passwd", "sub/a", "..", "..\\a", "a\0"])
def test_listed_paths_are_refused(folder, stem):
    (folder / "train.txt").write_text(f"b\n{stem}\n")
    with pytest.raises(InputError, match="is a path"):
        open_dataset(folder)


@pytest.mark.parametrize("stem", ["z", "a.jpg"])
def test_listed_names_without_a_file(folder, stem):
    (folder / "train.txt").write_text(f"b\n{stem}\n")
    with pytest.raises(MissingInputError, match="lacks 1 listed images"):
        open_dataset(folder)


@pytest.mark.parametrize(("train", "val"), [("a\nb", "b"), ("a\na", "c")])
def test_no_image_is_in_two_splits(folder, train, val):
    (folder / "train.txt").write_text(train)
    (folder / "val.txt").write_text(val)
    with pytest.raises(InputError, match="in one split, once"):
        open_dataset(folder)


def test_empty_lists(folder):
    (folder / "train.txt").write_text("\n")
    with pytest.raises(InputError, match=r"train.txt list no image"):
        open_dataset(folder)


def test_a_list_that_is_no_text(folder):
    (folder / "train.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match="readable text"):
        open_dataset(folder)


def test_a_pipe_as_list_does_not_hang(folder):
    os.mkfifo(folder / "train.txt")
    with pytest.raises(InputError, match="no regular file"):
        open_dataset(folder)


def test_a_mask_of_0_and_255(tmp_path):
    add(tmp_path, "a", labels=np.where(np.eye(20, 30), 255, 0))
    with pytest.raises(InputError, match="stored as 0 and 1"):
        open_dataset(tmp_path)


def test_object_numbers_are_no_classes(tmp_path):
    add(tmp_path, "a", labels=np.arange(600).reshape(20, 30) % 200)
    with pytest.raises(InputError, match="look like object numbers"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("size", [[1], [1, 0], [1, True], "1 um"])
def test_a_wrong_pixel_size(folder, size):
    table = {"classes": [{"name": n} for n in "xyz"], "pixel_size": size}
    (folder / "classes.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match="pixel_size must be"):
        open_dataset(folder)


def test_a_label_outside_the_class_table(folder):
    table = {"classes": [{"name": "only"}, {"name": "two"}]}
    (folder / "classes.json").write_text(json.dumps(table))
    item = open_dataset(folder).split("train")[0]
    with pytest.raises(InputError, match=rf"{item.stem}\.png: holds the label 2"):
        item.read_labels()


def test_inferred_classes_give_way_to_a_models(folder):
    classes = ClassInfo(("sky", "road", "car", "pole"))
    fitted = fit_classes(open_dataset(folder), classes)
    assert fitted.classes == classes
    assert {item.classes for items in fitted.items.values() for item in items} == {classes}
    again = fit_classes(open_dataset(folder), replace(classes, ignore_index=9))
    assert again.classes == classes
    many = ClassInfo(tuple(map(str, range(256))), ignore_index=256)
    for other in (ClassInfo(("sky", "road")), many):
        with pytest.raises(InputError, match=r"put the classes\.json that it was trained with"):
            fit_classes(open_dataset(folder), other)


def test_a_class_table_does_not_give_way(folder):
    ClassInfo(("x", "y", "z")).save(folder / "classes.json")
    with pytest.raises(InputError, match="has the classes x, y, z and the model sky, road, car"):
        fit_classes(open_dataset(folder), ClassInfo(("sky", "road", "car")))
    classes = ClassInfo(("x", "y", "z"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    dataset = open_dataset(folder)
    assert fit_classes(dataset, classes) is dataset


def test_labels_of_another_size(folder):
    write(folder / "labels" / "a.png", np.zeros((20, 31)))
    dataset = open_dataset(folder)
    item = next(i for s in ("train", "val") for i in dataset.split(s) if i.stem == "a")
    with pytest.raises(InputError, match=r"20 x 30 pixels and its labels 20 x 31"):
        item.load()


@pytest.mark.parametrize("source", [3, None, ("a", "b", "c")])
def test_what_is_no_dataset(source):
    with pytest.raises(UsageError, match="pair"):
        open_dataset(source)


def test_wrong_arguments(folder):
    with pytest.raises(UsageError, match="val is a share"):
        open_dataset(folder, val=1)
    with pytest.raises(UsageError, match="a split is one of"):
        open_dataset(folder).split("training")
