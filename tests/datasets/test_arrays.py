"""Sets in memory, and the split by names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.datasets import ArrayDataset, open_dataset
from gnnseg.datasets.splits import hash_split
from gnnseg.errors import InputError, UsageError
from gnnseg.io import ClassInfo

stems = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=30)


@given(stems, st.floats(0, 0.99), st.integers(0, 3))
def test_a_split_is_a_partition_in_order(names, val, seed):
    train, validation = hash_split(names, val, seed)
    assert sorted([*train, *validation]) == sorted(names)
    assert list(train) == [n for n in names if n in train]
    assert bool(train) == bool(names)
    assert bool(validation) == (len(names) > 1 and val > 0)


def test_a_split_keeps_its_sides_and_its_share():
    names = [f"image_{i}" for i in range(2000)]
    _, validation = hash_split(names, 0.25)
    assert 400 < len(validation) < 600
    assert set(hash_split(names[:1000], 0.25)[1]) == set(validation) & set(names[:1000])
    assert hash_split(names, 0.25, seed=1)[1] != validation


def test_arrays_have_the_interface_of_folders():
    images = [np.full((8, 9 + i, 3), i, np.uint8) for i in range(4)]
    labels = [np.ones(image.shape[:2], np.uint8) for image in images]
    classes = ClassInfo(("sea", "land"))
    dataset = ArrayDataset(images, labels, classes, 0.25, stems=list("abcd"))
    assert open_dataset(dataset) is dataset
    assert sorted(dataset.stems) == list("abcd")
    assert dataset.classes is classes
    for item in dataset.split("train"):
        image, found = item.load()
        assert image.width == found.shape[1] == 9 + "abcd".index(item.stem)


def test_axes_are_passed_on():
    dataset = ArrayDataset(np.zeros((2, 5, 8, 9)), np.zeros((2, 8, 9), int), 2, axes="CYX")
    image, _ = dataset.split("train")[0].load()
    assert image.num_channels == 5


def test_wrong_arrays():
    images, labels = np.zeros((2, 8, 9)), np.zeros((2, 8, 9), int)
    with pytest.raises(UsageError, match="every image needs"):
        ArrayDataset(images, labels[:1], 2)
    with pytest.raises(UsageError, match="must differ"):
        ArrayDataset(images, labels, 2, stems=["a", "a"])
    with pytest.raises(InputError, match="no labelled images"):
        ArrayDataset([], [], 2)
    with pytest.raises(InputError, match="class numbers"):
        ArrayDataset(images, labels.astype(float), 2).split("train")[0].read_labels()
    with pytest.raises(InputError, match="holds the label -1"):
        ArrayDataset(images, labels - 1, 2).split("train")[0].read_labels()
