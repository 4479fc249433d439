"""The public sets: their tables against the files, where these are at hand."""

from __future__ import annotations

import pytest

from gnnseg.datasets import find, open_dataset, public_names
from gnnseg.datasets.public import describe
from gnnseg.errors import InputError, MissingInputError, UsageError


@pytest.mark.parametrize("name", public_names())
def test_the_table_is_that_of_the_files(name, public_set):
    folder = public_set(name)
    dataset, facts = find(name, folder.parent), describe(name)
    assert dataset.classes == facts.classes
    assert tuple(len(dataset.split(s)) for s in ("train", "val", "test")) == facts.sizes
    assert dataset.pixel_size == facts.pixel_size


@pytest.mark.parametrize("name", ["camvid", "dsb2018", "sstem_vnc"])
def test_images_and_labels_load(name, public_set):
    image, labels = find(name, public_set(name).parent).split("test")[0].load()
    assert image.dtype == labels.dtype == "uint8"


@pytest.mark.parametrize("name", public_names())
def test_an_absent_set_says_where_to_get_it(name, monkeypatch, tmp_path):
    facts = describe(name)
    assert facts.name == name
    monkeypatch.delenv("GNNSEG_DATA", raising=False)
    with pytest.raises(MissingInputError, match="GNNSEG_DATA is not set") as caught:
        find(name)
    message = str(caught.value)
    for part in (facts.source, facts.licence, facts.conversion, "├── images/"):
        assert part in message
    monkeypatch.setenv("GNNSEG_DATA", str(tmp_path))
    with pytest.raises(MissingInputError, match="there is no folder"):
        open_dataset(name)


def test_a_folder_of_other_classes_is_refused(tmp_path, public_set):
    (tmp_path / "camvid").symlink_to(public_set("cfd_cracks"))
    with pytest.raises(InputError, match="the classes are pavement, crack"):
        find("camvid", tmp_path)


def test_an_unknown_name():
    with pytest.raises(UsageError, match=r"no public set.*camvid"):
        find("imagenet")
