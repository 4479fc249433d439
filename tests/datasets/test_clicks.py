"""Clicks as labels of a folder: what is read, and what is said of a wrong line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from gnnseg.datasets import open_dataset
from gnnseg.errors import InputError, MissingInputError

HEADER = "image,y,x,class\n"


@pytest.fixture
def folder(tmp_path):
    """Four images of 20 x 30 pixels, of which `a` has labels in a file, and two named classes."""
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for stem in "abcd":
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images" / f"{stem}.png")
    labels = np.full((20, 30), 255, np.uint8)
    labels[:5] = 1
    Image.fromarray(labels).save(tmp_path / "labels" / "a.png")
    table = {"classes": [{"name": "ground"}, {"name": "cell"}]}
    (tmp_path / "classes.json").write_text(json.dumps(table))
    return tmp_path


def items_of(folder):
    dataset = open_dataset(folder)
    return {item.stem: item for split in ("train", "val") for item in dataset.split(split)}


def test_clicks_stand_beside_and_in_place_of_label_images(folder):
    text = "\ufeffclass, x, y, image, note\ncell, 7, 19, b, hello\n0,0,0,a,\n1,29.9,3,b,x\n"
    (folder / "clicks.csv").write_text(text)
    items = items_of(folder)
    assert set(items) == {"a", "b"}
    assert items["b"].clicks == ((19, 7, 1), (3, 29, 1))
    found = items["b"].read_labels()
    assert (found.shape, (found != 255).sum()) == ((20, 30), 2)
    assert found[19, 7] == found[3, 29] == 1
    beside = items["a"].read_labels()
    assert beside[0, 0] == 0
    assert (beside[:5].ravel()[1:] == 1).all()


def test_json_and_what_suggest_wrote(folder):
    rows = [
        {"image": "b", "y": 2, "x": 3, "class": "ground"},
        {"image": "c", "y": 4, "x": 5, "class": None},
        {"image": "d", "y": 6, "x": 7, "class": 1, "rank": 3},
    ]
    for content in (rows, {"suggestions": rows, "model": "m"}):
        (folder / "clicks.json").write_text(json.dumps(content))
        found = {stem: item.clicks for stem, item in items_of(folder).items()}
        assert found == {"a": (), "b": ((2, 3, 0),), "d": ((6, 7, 1),)}


def test_no_label_images_are_needed_and_lists_may_name_images_that_wait(folder):
    (folder / "labels" / "a.png").unlink()
    (folder / "clicks.csv").write_text(HEADER + "b,1,2,0\nc,3,4,cell\n")
    (folder / "train.txt").write_text("a\nb\nd\n")
    (folder / "val.txt").write_text("c\n")
    dataset = open_dataset(folder)
    assert [[i.stem for i in dataset.split(s)] for s in ("train", "val")] == [["b"], ["c"]]
    (folder / "labels").rmdir()
    assert open_dataset(folder).stems == ("b", "c")


def test_without_a_table_the_classes_are_numbers(folder):
    (folder / "classes.json").unlink()
    (folder / "clicks.csv").write_text(HEADER + "b,1,2,0\nc,3,4,4\n")
    assert open_dataset(folder).num_classes == 5
    (folder / "clicks.csv").write_text(HEADER + "b,1,2,0\nc,3,4,cell\n")
    with pytest.raises(InputError, match=r"clicks\.csv, line 3: .*'cell'.*classes\.json"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("b,20,0,1", "y 20, x 0 lies outside b, which has 20 rows and 30 columns"),
        ("b,0,30,1", "outside"),
        ("b,-1,0,1", "outside"),
        ("b,0,0,tumour", "'tumour' is no class; the classes are ground, cell"),
        ("b,0,0,2", "'2' is no class"),
        ("z,0,0,1", "images/ holds no 'z'"),
        ("b.png,0,0,1", "without its ending, such as a, b"),
        ("b,top,0,1", "y must be a number of pixels, got 'top'"),
        ("b,0,nan,1", "x must be a number"),
        ("b,0,0", "must have 4 values"),
        ("b,0,0,1,9", "must have 4 values"),
    ],
)
def test_a_wrong_line_is_named(folder, line, words):
    (folder / "clicks.csv").write_text(HEADER + "b,1,1,1\n\n" + line + "\nb,2,2,1\n")
    with pytest.raises(InputError) as caught:
        open_dataset(folder)
    assert str(caught.value).startswith(f"{folder}/clicks.csv, line 4: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["image,row,col,class\nb,1,1,1\n", "b,1,1,1\n", ""])
def test_wrong_columns(folder, text):
    (folder / "clicks.csv").write_text(text)
    with pytest.raises(InputError, match=r"line 1: lacks the column .*image, y, x, class"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{", "line 1 column 3"),
        ('{"clicks": []}', "must be a list"),
        ('[{"image": "b", "y": 1, "x": 1, "class": 1}, 3]', "entry 2: must be an object"),
        ('[{"image": "b", "y": 1, "class": 1}]', "entry 1: lacks x"),
        ('[{"image": "b", "y": true, "x": 1, "class": 1}]', "entry 1: y must be a number"),
        ('[{"image": "b", "y": 1, "x": 1, "class": 7}]', "entry 1: '7' is no class"),
    ],
)
def test_a_wrong_entry_is_named(folder, text, words):
    (folder / "clicks.json").write_text(text)
    with pytest.raises(InputError) as caught:
        open_dataset(folder)
    assert words in str(caught.value)


def test_two_lists_are_one_too_many(folder):
    for name in ("clicks.csv", "clicks.json"):
        (folder / name).write_text("")
    with pytest.raises(InputError, match="keep one"):
        open_dataset(folder)


def test_what_is_no_text(folder):
    (folder / "clicks.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match="no readable list"):
        open_dataset(folder)


def test_a_listed_image_must_exist_and_labels_need_their_image(folder):
    (folder / "clicks.csv").write_text(HEADER + "b,1,1,1\n")
    (folder / "train.txt").write_text("b\nz\n")
    with pytest.raises(MissingInputError, match="lacks 1 listed"):
        open_dataset(folder)
    (folder / "train.txt").unlink()
    (folder / "images" / "a.png").unlink()
    with pytest.raises(InputError, match="labels have no images"):
        open_dataset(folder)
