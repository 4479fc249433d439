"""Region graphs on disk: made once, and never believed when something is wrong with them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gnnseg.datasets.synthetic import synthetic_dataset
from gnnseg.errors import DiskError, UsageError
from gnnseg.superpixels import fit_scaling
from gnnseg.training import cache as caching
from gnnseg.training import make_config, regions, train
from gnnseg.training.augment import MIRRORED, Variant
from gnnseg.training.cache import ArrayCache
from gnnseg.training.regions import RegionMaker


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(4, height=80, width=96, num_classes=3, val=0.3)


@pytest.fixture
def made(monkeypatch):
    """The images whose superpixels were computed."""
    seen = []
    load = regions.load_variant

    def counted(item, variant, scaling):
        seen.append((item.stem, variant))
        return load(item, variant, scaling)

    monkeypatch.setattr(regions, "load_variant", counted)
    return seen


def run(dataset, **more):
    given = {"epochs": 2, "n_iter": 1, "step": 8, "batch": 300, "options": {"hidden": 16}}
    return train(dataset, preset="mlp", **{**given, **more})


def assert_same(model, other):
    for (name, one), two in zip(
        model.network.state_dict().items(), other.network.state_dict().values(), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), two.numpy(), err_msg=name)
    np.testing.assert_array_equal(model.mean, other.mean)
    assert model.training["history"] == other.training["history"]


def test_a_second_training_computes_no_superpixels(dataset, tmp_path, made):
    plain = run(dataset)
    number = len(made)
    assert number == len(set(made)) > len(dataset.stems)
    made.clear()
    assert_same(run(dataset, cache=tmp_path), plain)
    assert len(made) == number
    made.clear()
    second = run(dataset, cache=tmp_path)
    assert_same(second, plain)
    assert made == []
    assert "cache" not in second.training["config"]
    run(dataset, cache=tmp_path, epochs=1, tile=64, seed=1, variants=0, learning_rate=0.1)
    assert made == [], "what is no setting of the regions needs no other ones"


@pytest.mark.parametrize(
    "settings",
    [{"step": 9}, {"compactness": 9.0}, {"n_iter": 2}, {"sigma": 1.0}],
    ids=lambda settings: next(iter(settings)),
)
def test_other_superpixels_are_others(dataset, tmp_path, made, settings):
    run(dataset, cache=tmp_path, epochs=1)
    number = len(made)
    model = run(dataset, cache=tmp_path, epochs=1, **settings)
    assert len(made) == 2 * number
    assert_same(model, run(dataset, epochs=1, **settings))


@pytest.fixture
def maker(dataset, tmp_path):
    items = dataset.split("train")
    scaling = fit_scaling(item.open_image() for item in items)
    config = make_config(step=8, n_iter=1, cache=tmp_path / "cache")
    return items, RegionMaker(scaling, config, 3)


def entries(folder):
    return sorted(folder.rglob("*.safetensors"))


def test_images_labels_variants_scaling_and_classes_all_count(maker, made):
    items, make = maker
    config, scaling = make.config, make.scaling
    first = items[0]
    make(first, Variant())
    make(first, Variant())
    assert len(made) == 1
    other_pixels = np.moveaxis(first.open_image().read(first.open_image().bounds), 0, -1).copy()
    other_pixels[70, 3, 1] ^= 1
    other_labels = first.label.copy()
    other_labels[70, 3] = 255
    make(replace(first, image=other_pixels), Variant())
    make(replace(first, label=other_labels), Variant())
    make(first, MIRRORED)
    RegionMaker(replace(scaling, high=(250.0, 255.0, 255.0)), config, 3)(first, Variant())
    RegionMaker(scaling, config, 4)(first, Variant())
    assert len(made) == 6
    RegionMaker(scaling, config, 3)(replace(first, stem="another"), Variant())
    assert len(made) == 6, "the same image by another name"


@pytest.mark.parametrize("pixels", [False, True])
def test_what_comes_from_disk_is_what_was_made(maker, made, pixels):
    items, make = maker
    make = replace(make, pixels=pixels)
    first, again = make(items[0], Variant()), make(items[0], Variant())
    assert len(made) == 1
    assert again.table.window == first.table.window
    assert again.table.cell == first.table.cell
    for array, found in zip(arrays_of(first), arrays_of(again), strict=True):
        assert found.dtype == array.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, array)


def arrays_of(regions):
    return [regions.counts, *(regions.pixels or ()), *regions.table.arrays().values()]


def test_pixels_are_kept_where_they_are_wanted(maker, made):
    items, make = maker
    assert make(items[0], Variant()).pixels is None
    regions = replace(make, pixels=True)(items[0], Variant())
    work, slots = regions.pixels
    assert work.dtype == np.int16
    assert slots.shape == work.shape[1:] == items[0].label.shape
    assert len(made) == 2


def spoil_a_bit(path, _other):
    data = bytearray(path.read_bytes())
    data[-40] ^= 4
    path.write_bytes(bytes(data))


def shorten(path, _other):
    path.write_bytes(path.read_bytes()[:-40])


def empty(path, _other):
    path.write_bytes(b"")


def write_nonsense(path, _other):
    path.write_bytes(b"\x80\x04\x95 this could be a pickle")


def take_another(path, other):
    shutil.copy(other, path)


def take_one_without_a_header(path, other):
    save_file(load_file(other), path)


@pytest.mark.parametrize(
    "spoil",
    [spoil_a_bit, shorten, empty, write_nonsense, take_another, take_one_without_a_header],
)
def test_a_damaged_or_foreign_entry_is_made_anew(maker, made, spoil):
    items, make = maker
    make(items[1], Variant())
    [other] = entries(make.config.cache)
    first = make(items[0], Variant())
    [path] = set(entries(make.config.cache)) - {other}
    whole = path.read_bytes()
    made.clear()
    spoil(path, other)
    again = make(items[0], Variant())
    assert made == [(items[0].stem, Variant())]
    np.testing.assert_array_equal(again.counts, first.counts)
    np.testing.assert_array_equal(again.table.x, first.table.x)
    assert path.read_bytes() == whole


def test_entries_of_another_format_or_other_code_are_not_used(maker, made, monkeypatch):
    items, make = maker
    make(items[0], Variant())
    with monkeypatch.context() as patch:
        patch.setattr(caching, "FORMAT_VERSION", 99)
        make(items[0], Variant())
    assert len(made) == 2
    with monkeypatch.context() as patch:
        patch.setattr(caching, "_made_by", lambda: "changed")
        make(items[0], Variant())
    assert len(made) == 3


def test_the_code_that_counts_is_there():
    root = caching.Path(caching.__file__).parents[1]
    for part in caching._MAKERS:
        assert any((root / part).glob("*.py")), part
    assert len(caching._made_by()) == 64


def test_all_that_makes_regions_counts():
    """What it imports, but for the parts whose results an entry is found by."""
    root = caching.Path(caching.__file__).parents[1]
    code = {path.relative_to(root).as_posix() for path in caching._code(root)}
    found_by = {"cache", "identity", "augmentation"}
    names = {"regions"}
    for name in sorted(code):
        if name.startswith("training/"):
            text = (root / name).read_text()
            names |= set(re.findall(r"^from gnnseg\.training\.(\w+) import", text, re.MULTILINE))
    assert {f"training/{name}.py" for name in names - found_by} <= code
    assert "blocks.py" in code
    assert "scikit-image" in caching._LIBRARIES


def test_nothing_half_written_is_left(maker, monkeypatch):
    items, make = maker

    def full(_self, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.Path, "replace", full)
    with pytest.raises(DiskError, match="No space left"):
        make(items[0], Variant())
    assert not [path for path in make.config.cache.rglob("*") if path.is_file()]


def test_a_cache_is_a_folder(dataset, tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(UsageError, match="is no folder"):
        run(dataset, cache=path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(60, dtype=np.int64).reshape(3, 4, 5),
        np.zeros((0, 4), np.float32),
        np.float32([[np.nan, np.inf], [-0.0, 1e-40]]),
        np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4)),
    ],
    ids=["integers", "empty", "floats", "fortran"],
)
def test_any_array_comes_back(tmp_path, array):
    cache = ArrayCache(tmp_path)
    cache.get({"a": 1}, lambda: {"x": array})
    found = cache.get({"a": 1}, lambda: pytest.fail("was made again"))["x"]
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
