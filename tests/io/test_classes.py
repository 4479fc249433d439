from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io import ClassInfo, default_colors

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique=True)


@given(names=names, ignore=st.integers(20, 65_535))
def test_a_table_survives_its_file_form(names, ignore):
    classes = ClassInfo(tuple(names), ignore_index=ignore)
    assert ClassInfo.from_dict(classes.to_dict()) == classes


def test_save_and_load(tmp_path):
    classes = ClassInfo(("sky", "Straße"), ((1, 2, 3), (4, 5, 6)))
    classes.save(tmp_path / "classes.json")
    assert ClassInfo.load(tmp_path / "classes.json") == classes
    assert [p.name for p in tmp_path.iterdir()] == ["classes.json"]


def test_public_tables_load(public_set):
    classes = ClassInfo.load(public_set("camvid") / "classes.json")
    assert classes.num_classes == 11
    assert (classes.names[0], classes.colors[0], classes.ignore_index) == ("sky", (128,) * 3, 255)


def test_entries_come_in_the_order_of_their_ids():
    data = {"classes": [{"id": 1, "name": "b"}, {"id": 0, "name": "a"}]}
    assert ClassInfo.from_dict(data).names == ("a", "b")


def test_colours_differ():
    assert len(set(default_colors(60))) == 60
    assert default_colors(60)[:5] == default_colors(5)


@pytest.mark.parametrize(
    "arguments",
    [
        ((),),
        (("a", "a"),),
        (("a", ""),),
        (("a",), ((1, 2),)),
        (("a",), ((1, 2, 256),)),
        (("a", "b"), ((1, 2, 3),)),
        (("a", "b"), (), 1),
        (("a", "b"), (), -1),
        (tuple(map(str, range(256))),),
    ],
)
def test_wrong_tables_are_refused(arguments):
    with pytest.raises(UsageError):
        ClassInfo(*arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"classes": []}',
        '{"classes": 3}',
        '{"classes": [3]}',
        '{"classes": [{"id": 0}]}',
        '{"classes": [{"id": 1, "name": "a"}]}',
        '{"classes": [{"id": "x", "name": "a"}]}',
        '{"classes": [{"name": "a", "color": "red"}]}',
        '{"classes": [{"name": "a", "color": 3}]}',
        '{"classes": [{"name": "a"}], "ignore_index": "x"}',
    ],
)
def test_wrong_files_are_named(tmp_path, text):
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"classes\.json"):
        ClassInfo.load(path)


def test_an_absent_file(tmp_path):
    with pytest.raises(MissingInputError):
        ClassInfo.load(tmp_path / "classes.json")
