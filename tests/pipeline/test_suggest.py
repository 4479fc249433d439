"""`suggest`: the same list for any tiling, what it leaves out, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import gnnseg
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.errors import InputError, MemoryBudgetError, StateError, UsageError
from gnnseg.graph import whole_table
from gnnseg.io import open_image, read_rgb, write_rgb_png
from gnnseg.pipeline.candidates import FAR, Pool, choose, entropy
from gnnseg.pipeline.probability import softmax
from gnnseg.pipeline.suggest import _check_list
from gnnseg.superpixels import PixelReader


def pool_of(rng, n, images=1, size=30, classes=3, features=4):
    """Regions at different places, in a few degrees of uncertainty, so that there are ties."""
    places = rng.choice(images * size * size, n, replace=False)
    image, cell = np.divmod(places, size * size)
    return Pool(
        image=image,
        plane=np.zeros(n, np.int64),
        row=cell // size,
        column=cell % size,
        area=np.ones(n, np.int64),
        entropy=rng.integers(0, 5, n) / 4,
        chances=rng.random((n, classes)),
        x=rng.normal(0, 2, (n, features)).astype(np.float32),
    )


@given(seed=st.integers(0, 10**6), parts=st.integers(1, 6), most=st.integers(1, 80))
def test_pools_merge_to_the_same_in_any_order(seed, parts, most):
    rng = np.random.default_rng(seed)
    whole = pool_of(rng, 60, images=3)
    cuts = np.array_split(rng.permutation(60), parts)
    merged = Pool.empty(3, 4)
    for rows in cuts:
        merged = merged.merge(whole.take(rows), most)
    keys = zip(-whole.entropy, *whole.place, range(60), strict=True)
    expected = whole.take(np.array([key[-1] for key in sorted(keys)][:most]))
    for name, array in vars(expected).items():
        np.testing.assert_array_equal(getattr(merged, name), array)


def greedy(pool, count):
    """The rule of `choose`, region by region."""
    regions = sorted(range(len(pool)), key=lambda i: tuple(int(v[i]) for v in pool.place))
    x = np.clip(pool.x, -FAR, FAR).astype(np.float64)
    chosen = []

    def is_near(i, j):
        same = pool.image[i] == pool.image[j] and pool.plane[i] == pool.plane[j]
        away = abs(pool.row[i] - pool.row[j]), abs(pool.column[i] - pool.column[j])
        return same and max(away) <= 2

    def score(i):
        if not chosen:
            return pool.entropy[i]
        return pool.entropy[i] * min(np.sqrt(((x[i] - x[j]) ** 2).mean()) for j in chosen)

    while len(chosen) < count:
        free = [i for i in regions if not any(is_near(i, j) for j in chosen)]
        if not free:
            break
        chosen.append(max(free, key=score))
    return chosen


@given(seed=st.integers(0, 10**6), n=st.integers(0, 40), count=st.integers(1, 45))
def test_the_choice_is_greedy_in_uncertainty_times_distance(seed, n, count):
    pool = pool_of(np.random.default_rng(seed), n, images=2, size=12)
    chosen, distances = choose(pool, count)
    assert chosen.tolist() == greedy(pool, count)
    assert np.isnan(distances[:1]).all()
    assert (distances[1:] >= 0).all()


@pytest.fixture(scope="module")
def image():
    """Three chunks of 1024 pixels and a rest, at step 8."""
    return SyntheticSource(1300, 1500, 11, 3)


@pytest.fixture(scope="module")
def whole(image, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "s.json"
    gnnseg.suggest(image, model, out, count=30, block=4096, workers=1)
    return json.loads(out.read_text())


@pytest.mark.parametrize(("block", "workers"), [(1024, 1), (1024, 3), (2048, 2)])
def test_the_list_is_the_same_for_any_tiling(image, model, whole, tmp_path, block, workers):
    out = tmp_path / "s.json"
    gnnseg.suggest(image, model, out, count=30, block=block, workers=workers)
    assert json.loads(out.read_text()) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_it_is_what_the_whole_image_says(image, model, whole):
    """Against the functions in memory, without blocks, pools and files."""
    reader = PixelReader(open_image(image), model.scaling, model.settings)
    slots, table = whole_table(reader)
    chances = softmax(model.logits(table), model.temperature)
    area, width = table.area.ravel(), table.window.shape[1]
    uncertain = np.where(area >= 16, entropy(chances), -1)
    best = np.lexsort((np.arange(len(area)), -uncertain))[:1000]
    none = np.zeros(len(best), np.int64)
    x = model.standardise(table.x.reshape(len(area), -1)).numpy()[best]
    pool = Pool(
        none, none, best // width, best % width, area[best], uncertain[best], chances[best], x
    )
    rows, distances = choose(pool, 30)
    found = whole["suggestions"]
    assert [s["id"] for s in found] == best[rows].tolist()
    assert [s["rank"] for s in found] == list(range(1, 31))
    np.testing.assert_allclose([s["entropy"] for s in found], pool.entropy[rows], atol=1e-6)
    np.testing.assert_allclose([s["distance"] for s in found[1:]], distances[1:], atol=1e-6)
    y, x = np.indices(slots.shape)
    ids = (y // 8 + slots // 5 - 2) * width + x // 8 + slots % 5 - 2
    for s in found:
        assert ids[s["y"], s["x"]] == s["id"]
        assert s["area"] == (ids == s["id"]).sum()
        shown = [c["probability"] for c in s["classes"]]
        assert shown == sorted(shown, reverse=True)
        assert np.isclose(sum(shown), 1, atol=1e-5)
        assert s["class"] is None


@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_probabilities_are_those_of_segment(model, pixels, tmp_path, temperature):
    image = open_image(pixels[0], axes="CYX")
    other, out = replace(model, temperature=temperature), tmp_path / "labels.zarr"
    gnnseg.segment(image, other, out, probabilities=True)
    maps = zarr.open_array(f"{out}.probabilities.zarr/0", mode="r")[:] / 255
    found = gnnseg.suggest(image, other, tmp_path / "s.json")
    for row in found["suggestions"]:
        shown = [c["probability"] for c in row["classes"]]
        here = sorted(maps[:, row["y"], row["x"]], reverse=True)
        assert shown == pytest.approx(here, abs=0.51 / 255)
        assert row["entropy"] == pytest.approx(entropy(np.array([shown]))[0], abs=1e-4)


def test_labelled_regions_are_left_out(image, model, whole, tmp_path):
    labels = np.full((1300, 1500), 255, np.uint8)
    labels[:, 700:] = 7  # no class of the model
    for s in whole["suggestions"][::2]:
        labels[s["y"], s["x"]] = 1
    found = gnnseg.suggest(image, model, tmp_path / "s.json", count=30, labels=labels)
    ids = {s["id"] for s in found["suggestions"]}
    assert not ids & {s["id"] for s in whole["suggestions"][::2]}
    assert len(ids & {s["id"] for s in whole["suggestions"][1::2]}) > 3
    everything = np.zeros((1300, 1500), np.uint8)
    found = gnnseg.suggest(image, model, tmp_path / "none.json", labels=everything)
    assert found["suggestions"] == []


def test_labels_leave_out_exactly_the_regions_that_they_touch(image, model, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((1300, 1500)) < 0.03, 0, 255).astype(np.uint8)
    reader = PixelReader(open_image(image), model.scaling, model.settings)
    slots, table = whole_table(reader)
    width = table.window.shape[1]
    y, x = np.nonzero(labels == 0)
    code = slots[y, x].astype(int)
    touched = set(((y // 8 + code // 5 - 2) * width + x // 8 + code % 5 - 2).tolist())
    free = [n for n in np.flatnonzero(table.area.ravel() >= 16).tolist() if n not in touched]
    assert 1000 < len(free) < table.area.size / 2
    found = gnnseg.suggest(image, model, tmp_path / "s.json", count=1000, labels=labels, block=1024)
    assert not touched & {s["id"] for s in found["suggestions"]}
    uncertain = entropy(softmax(model.logits(table), model.temperature))
    best = max(free, key=lambda n: (uncertain[n], -n))
    assert found["suggestions"][0]["id"] == best


def test_planes_of_a_stack_are_ranked_together(model, pixels, tmp_path):
    stack = open_image(np.stack(pixels), axes="ZCYX")
    found = gnnseg.suggest(stack, model, tmp_path / "s.json", count=40)
    assert {s["plane"] for s in found["suggestions"]} == {0, 1}
    with pytest.raises(UsageError, match="one plane"):
        gnnseg.suggest(stack, model, tmp_path / "t.json", overlay=tmp_path / "t.png")


def test_the_picture_shows_a_ring_around_every_region(model, pixels, tmp_path):
    image = open_image(pixels[0], axes="CYX")
    found = gnnseg.suggest(image, model, tmp_path / "s.json", count=5, overlay=tmp_path / "s.png")
    picture = read_rgb(tmp_path / "s.png")
    assert picture.shape == (960, 1000, 3)
    bright = (picture == (255, 221, 0)).all(axis=-1)
    for s in found["suggestions"]:
        y, x = 5 * s["y"], 5 * s["x"]
        assert bright[max(0, y - 80) : y + 80, max(0, x - 80) : x + 80].sum() > 100
    assert bright.mean() < 0.1


def test_the_picture_of_a_large_image_is_a_small_one(image, model, monkeypatch, tmp_path):
    from gnnseg.pipeline import overlay

    monkeypatch.setattr(overlay, "MOST", 400)
    out = tmp_path / "s.png"
    gnnseg.suggest(image, model, tmp_path / "s.json", count=3, overlay=out)
    shrunk = overlay.overview(image, model.scaling, 4)
    assert shrunk.shape == (325, 375, 3)
    assert max(read_rgb(out).shape) == 3 * 375
    pixels = np.moveaxis(image.read(image.bounds), 0, -1).astype(float)
    low, high = (np.array(v) for v in (model.scaling.low, model.scaling.high))
    scaled = np.clip((pixels - low) / (high - low), 0, 1)[:1300, :1500]
    mean = scaled.reshape(325, 4, 375, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk, 255 * mean, atol=0.6)


def test_refusals_touch_nothing(model, pixels, tmp_path):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "s.json"
    labels = np.zeros((192, 200), np.uint8)
    cases = [
        (UsageError, "count", {"count": 0}),
        (MemoryBudgetError, "use --memory", {"memory": "100MiB"}),
        (InputError, "same pixels", {"labels": labels[:100]}),
        (InputError, "whole number", {"labels": labels.astype(float)}),
        (UsageError, "png", {"overlay": tmp_path / "s.jpg"}),
    ]
    for error, words, given_ in cases:
        with pytest.raises(error, match=words):
            gnnseg.suggest(image, model, out, **given_)
    with pytest.raises(UsageError, match="json"):
        gnnseg.suggest(image, model, tmp_path / "s.txt")
    with pytest.raises(InputError, match="channel"):
        gnnseg.suggest(np.zeros((2, 64, 64), np.uint8), model, out)
    assert not list(tmp_path.iterdir())


def test_only_lists_that_nobody_filled_in_are_replaced(model, pixels, tmp_path):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "s.json"
    gnnseg.suggest(image, model, out, count=3)
    before = out.read_text()
    with pytest.raises(StateError, match="--overwrite"):
        gnnseg.suggest(image, model, out, count=3)
    gnnseg.suggest(image, model, out, count=3, overwrite=True)
    assert out.read_text() == before
    filled = json.loads(before)
    filled["suggestions"][1]["class"] = "class_1"
    for content, words in ((json.dumps(filled), "filled in"), ("{}", "no list of suggestions")):
        out.write_text(content)
        with pytest.raises(StateError, match=words):
            gnnseg.suggest(image, model, out, overwrite=True)
        assert out.read_text() == content


def test_only_pictures_that_gnnseg_drew_are_replaced(model, pixels, tmp_path):
    image, out, picture = open_image(pixels[0], axes="CYX"), tmp_path / "s.json", tmp_path / "s.png"
    gnnseg.suggest(image, model, out, count=3, overlay=picture)
    gnnseg.suggest(image, model, out, count=3, overlay=picture, overwrite=True)
    write_rgb_png(picture, np.zeros((9, 9), np.uint8))
    before = picture.read_bytes()
    with pytest.raises(StateError, match="no picture that gnnseg drew"):
        gnnseg.suggest(image, model, out, count=3, overlay=picture, overwrite=True)
    assert picture.read_bytes() == before


def test_an_interrupted_search_goes_on(image, model, whole, monkeypatch, tmp_path):
    from gnnseg.pipeline import search

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search.Search, "_collect", fail)
        with pytest.raises(KeyboardInterrupt):
            gnnseg.suggest(image, model, tmp_path / "s.json", count=30)
    assert (tmp_path / "s.json.gnnseg" / "done").is_dir()
    other = replace(model, mean=model.mean + 1)
    with pytest.raises(StateError, match="other settings"):
        gnnseg.suggest(image, other, tmp_path / "s.json", count=30)
    gnnseg.suggest(image, model, tmp_path / "s.json", count=30)
    assert json.loads((tmp_path / "s.json").read_text()) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_a_link_in_place_of_the_list_is_found_before_any_work(tmp_path):
    (tmp_path / "next.json").symlink_to("nowhere")
    with pytest.raises(StateError, match="no regular file"):
        _check_list(tmp_path / "next.json", overwrite=True)
