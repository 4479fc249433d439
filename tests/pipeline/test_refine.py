"""Refined borders: the same for any tiling, changed near borders only, and resumed."""

from __future__ import annotations

import inspect
from typing import get_args

import numpy as np
import pytest
import typer
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

import gnnseg
from gnnseg.blocks import Lattice, Window
from gnnseg.cli.segment import RefineWidth
from gnnseg.cli.segment import segment as command
from gnnseg.errors import UsageError
from gnnseg.features import feature_names
from gnnseg.graph import RegionTable, whole_table
from gnnseg.io import open_image
from gnnseg.metrics import ConfusionMatrix, boundary_f1
from gnnseg.paint import homes_around
from gnnseg.pipeline.refine import WIDEST, WIDTH, Mixture, refine
from gnnseg.superpixels import PixelReader, Scaling
from gnnseg.superpixels.reader import MARGIN


def labels_of(path):
    return zarr.open_group(path, mode="r")["0"][:]


def map_of(path, name):
    return labels_of(path.with_name(f"{path.name}.{name}.zarr"))


def segmented(image, model, path, **options):
    gnnseg.segment(open_image(image, axes="CYX"), model, path, **options)
    return labels_of(path)


def draw_regions(rng, lattice, scaling, classes):
    """A table and logits over a whole lattice."""
    features = len(feature_names(scaling.num_channels, rgb=scaling.rgb))
    table = RegionTable.empty(lattice.cells, lattice.step, features, 1)
    table.area[:] = rng.integers(1, 30, lattice.shape)
    table.moment[:] = table.area[..., None] * rng.random((*lattice.shape, 2)) * lattice.step
    table.x[:] = rng.random(table.x.shape) ** 2
    return table, rng.normal(0, 3, (lattice.num_cells, classes)).astype(np.float32)


def refine_part(pixels, width, lattice, scaling, *, table, logits, labels, slots, work):
    """Refined labels of a window, from what lies around it alone."""
    cells, homes, first = homes_around(lattice, pixels.grow(width).clip(lattice.bounds))
    covered = lattice.pixels(cells)
    near = logits.reshape(*lattice.shape, -1)[homes.slices].reshape(homes.size, -1)
    inside = pixels.relative_to(covered)

    def load():
        frame = (
            slice(covered.y0, covered.y1 + 2 * MARGIN),
            slice(covered.x0, covered.x1 + 2 * MARGIN),
        )
        mixture = Mixture.of(table.crop(homes), near, scaling, first)
        return mixture, np.ascontiguousarray(work[(slice(None), *frame)])

    part, out = labels[covered.slices], labels[pixels.slices].copy()
    here = np.ascontiguousarray(slots[covered.slices])
    for places, mixed in refine(part, here, inside, width=width, unlabelled=255, load=load):
        out[places] = mixed.argmax(axis=1)
    return out


@settings(max_examples=15)
@given(st.data())
def test_any_tiling_gives_the_same_labels(data):
    """Slots are noise, so homes lie up to two cells away; blocks are cut anywhere."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step, width = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 9))
    lattice = Lattice(data.draw(st.integers(40, 70)), data.draw(st.integers(40, 70)), step)
    scaling = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)
    table, logits = draw_regions(rng, lattice, scaling, 3)
    slots = rng.integers(0, 25, (lattice.height, lattice.width)).astype(np.uint8)
    y, x = np.indices(slots.shape)
    home_y, home_x = y // step + slots // 5 - 2, x // step + slots % 5 - 2
    outside = (home_y < 0) | (home_x < 0)
    outside |= (home_y >= lattice.shape[0]) | (home_x >= lattice.shape[1])
    slots[outside] = 12
    best = logits.argmax(axis=1).astype(np.uint8)
    given = {
        "table": table,
        "logits": logits,
        "slots": slots,
        "labels": gnnseg.paint(slots, best, step=step),
        "work": rng.integers(
            0, 1021, (3, lattice.height + 2 * MARGIN, lattice.width + 2 * MARGIN)
        ).astype(np.int16),
    }
    whole = refine_part(lattice.bounds, width, lattice, scaling, **given)
    assert (whole != given["labels"]).any()
    size = data.draw(st.tuples(st.integers(3, 30), st.integers(3, 30)))
    tiled = np.empty_like(whole)
    for window in lattice.bounds.split(size):
        tiled[window.slices] = refine_part(window, width, lattice, scaling, **given)
    np.testing.assert_array_equal(tiled, whole)


def test_few_pixels_at_a_time_change_nothing(model, pixels, tmp_path, monkeypatch):
    whole = segmented(pixels[0], model, tmp_path / "a.zarr", refine=True)
    monkeypatch.setattr(gnnseg.pipeline.refine, "AT_ONCE", 200)
    np.testing.assert_array_equal(
        segmented(pixels[0], model, tmp_path / "b.zarr", refine=True), whole
    )


@pytest.mark.parametrize("width", [1, 2, 5])
def test_only_what_lies_near_a_border_changes(model, pixels, tmp_path, width):
    plain = segmented(pixels[0], model, tmp_path / "plain.zarr")
    refined = segmented(
        pixels[0], model, tmp_path / "refined.zarr", refine=True, refine_width=width
    )
    near = np.zeros(plain.shape, bool)
    for axis in (0, 1):
        differ = np.diff(plain.astype(int), axis=axis) != 0
        near |= np.pad(differ, [(0, axis == 0), (0, axis == 1)])
        near |= np.pad(differ, [(axis == 0, 0), (axis == 1, 0)])
    near = binary_dilation(near, np.ones((2 * width - 1,) * 2))
    assert (plain != refined).any()
    assert not (plain != refined)[~near].any()


@pytest.mark.parametrize("roi", [((13, 161), (95, 200)), ((0, 41), (7, 99))])
def test_a_part_is_the_crop_of_the_whole(model, pixels, tmp_path, roi):
    given = {"refine": True, "refine_width": 7, "probabilities": True, "uncertainty": True}
    whole = segmented(pixels[0], model, tmp_path / "whole.zarr", **given)
    part = segmented(pixels[0], model, tmp_path / "part.zarr", roi=roi, **given)
    crop = tuple(slice(*bounds) for bounds in roi)
    np.testing.assert_array_equal(part, whole[crop])
    for name in ("probabilities", "uncertainty"):
        expected = map_of(tmp_path / "whole.zarr", name)[(slice(None), *crop)]
        np.testing.assert_array_equal(map_of(tmp_path / "part.zarr", name), expected)


def test_labels_and_maps_agree_and_planes_are_those_of_images(model, pixels, tmp_path):
    stack, out = open_image(np.stack(pixels), axes="ZCYX"), tmp_path / "stack.zarr"
    gnnseg.segment(stack, model, out, refine=True, probabilities=True, uncertainty=True)
    labels, chances = labels_of(out), map_of(out, "probabilities")
    best = np.take_along_axis(chances, labels[None].astype(int), axis=0)[0]
    assert (best == chances.max(axis=0)).all()
    for plane, image in enumerate(pixels):
        one = segmented(image, model, tmp_path / f"{plane}.zarr", refine=True)
        np.testing.assert_array_equal(labels[plane], one)


def test_masked_pixels_stay_unlabelled(model, pixels, tmp_path):
    mask = np.ones((192, 200), np.uint8)
    mask[40:90, 20:] = 0
    labels = segmented(pixels[0], model, tmp_path / "labels.zarr", refine=True, mask=mask)
    np.testing.assert_array_equal(labels == 255, mask == 0)


def test_evaluation_refines_what_segmentation_does(model, dataset, tmp_path):
    figures = gnnseg.evaluate(dataset, model, split="val", refine=True)
    plain = gnnseg.evaluate(dataset, model, split="val")
    total, scores = ConfusionMatrix.zeros(3), []
    for number, item in enumerate(dataset.split("val")):
        image, truth = item.load()
        gnnseg.segment(image, model, tmp_path / f"{number}.zarr", refine=True)
        labels = labels_of(tmp_path / f"{number}.zarr")
        total += ConfusionMatrix.of(truth, labels, 3)
        scores.append(boundary_f1(truth, labels))
    assert figures["miou"] == total.miou
    assert figures["miou_unrefined"] == plain["miou"]
    assert figures["boundary_f1"] == pytest.approx(np.mean(scores))
    assert figures["boundary_f1"] != figures["boundary_f1_unrefined"]
    assert "boundary_f1" not in plain
    assert figures["ece"] != plain["ece"]


def test_the_command_line_has_the_same_default_and_limit():
    width = inspect.signature(command).parameters["refine_width"]
    option = get_args(RefineWidth)[1]
    assert width.default == WIDTH
    assert option.parser(WIDEST) == WIDEST
    with pytest.raises(typer.BadParameter):
        option.parser(WIDEST + 1)


def test_a_wrong_width_is_refused(model, pixels, tmp_path):
    for width in (0, 65):
        with pytest.raises(UsageError, match="between 1 and 64"):
            segmented(pixels[0], model, tmp_path / "labels.zarr", refine=True, refine_width=width)


def test_colours_pull_pixels_over_a_border_that_superpixels_missed(model):
    """Two regions, one dark and one light: each pixel joins that of its colour."""
    image = np.zeros((1, 8, 16), np.uint8)
    image[:, :, 9:] = 200
    scaling = Scaling((0.0,), (255.0,), rgb=False)
    reader = PixelReader(open_image(image, axes="CYX"), scaling, model.settings)
    table = whole_table(reader)[1]
    slots = np.full((8, 16), 12, np.uint8)
    table.x[0, :, 0] = 0.0, 200 / 255
    table.moment[:] = 4 * table.area[..., None]
    mixture = Mixture.of(table, np.array([[5, 0], [0, 5.0]], np.float32), scaling, (0, 0))
    labels = np.repeat([[0, 1]], 8, axis=1).repeat(8, axis=0).astype(np.uint8)
    refined = labels.copy()
    work = reader.read(Window(0, 8, 0, 16)).work
    for places, logits in refine(
        labels, slots, Window(0, 8, 0, 16), width=2, unlabelled=255, load=lambda: (mixture, work)
    ):
        refined[places] = logits.argmax(axis=1)
    np.testing.assert_array_equal(refined, image[0] > 100)
