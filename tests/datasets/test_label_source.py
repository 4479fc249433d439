"""Labels by windows: the very part of the whole, wherever they come from."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

from gnnseg.blocks import Window
from gnnseg.datasets.item import Item
from gnnseg.errors import InputError
from gnnseg.io import ClassInfo

CLASSES = ClassInfo(("a", "b", "c"))
IMAGE = np.zeros((40, 60), np.uint8)


@pytest.fixture
def labels():
    found = np.random.default_rng(0).integers(0, 4, (40, 60)).astype(np.uint8)
    found[found == 3] = 255
    return found


@pytest.fixture(params=["array", "zarr", "tif", "int64 tif"])
def label(request, labels, tmp_path):
    """The same labels in another form."""
    path = tmp_path / f"labels.{request.param[-3:]}"
    if request.param == "array":
        return labels
    if request.param == "zarr":
        zarr.create_array(str(path), data=labels, chunks=(16, 16))
    elif request.param == "tif":
        tifffile.imwrite(path, labels, tile=(16, 16))
    else:
        tifffile.imwrite(path, labels.astype(np.int64))
    return path


def test_windows_are_parts_of_the_whole(label, labels):
    clicks = ((5, 20, 2), (39, 59, 1), (40, 0, 1))  # the last lies outside
    item = Item("one", IMAGE, label, CLASSES, clicks=clicks)
    expected = labels.copy()
    expected[5, 20], expected[39, 59] = 2, 1
    image, source = item.open_pair()
    assert source.shape == (image.height, image.width)
    for window in source.bounds.split((17, 23)):
        np.testing.assert_array_equal(source.read(window), expected[window.slices])
    np.testing.assert_array_equal(item.read_labels(), expected)


@pytest.mark.parametrize(("dtype", "ignore"), [(np.int8, 255), (np.uint8, 300)])
def test_labels_come_in_a_type_that_holds_the_ignored_one(dtype, ignore):
    classes = ClassInfo(tuple(f"class_{n}" for n in range(200)), ignore_index=ignore)
    stored = np.arange(2400).reshape(40, 60) % 100
    clicks = ((0, 0, 199),)
    found = Item("one", IMAGE, stored.astype(dtype), classes, clicks=clicks).read_labels()
    assert found[0, 0] == 199
    np.testing.assert_array_equal(found.ravel()[1:], stored.ravel()[1:])
    assert np.can_cast(np.min_scalar_type(ignore), found.dtype)


def test_clicks_alone_label_nothing_else():
    source = Item("one", IMAGE, None, CLASSES, clicks=((5, 20, 2),)).open_labels()
    found = source.read(Window(4, 8, 20, 22))
    assert found[1, 0] == 2
    assert (found != 255).sum() == 1


def test_a_wrong_label_is_found_in_its_window(labels):
    labels[30, 30] = 9
    source = Item("one", IMAGE, labels, CLASSES).open_labels()
    source.read(Window(0, 30, 0, 60))
    with pytest.raises(InputError, match="labels of one: holds the label 9"):
        source.read(Window(30, 40, 0, 60))
