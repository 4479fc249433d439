"""`segment` from Python: stacks, probabilities, masks, parts, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

import gnnseg
from gnnseg.errors import InputError, MemoryBudgetError, StateError, UsageError
from gnnseg.graph import RegionGraph, whole_table
from gnnseg.io import open_image
from gnnseg.models.stem_window import plane_logits
from gnnseg.superpixels import PixelReader


def labels_of(path):
    return zarr.open_group(path, mode="r")["0"][:]


def whole_labels(image, model):
    """Labels by the in-memory functions, without blocks, files or streaming."""
    reader = PixelReader(open_image(image, axes="CYX"), model.scaling, model.settings)
    slots, table = whole_table(reader, block=10**6)
    node_labels = plane_logits(model, reader, slots, table).argmax(axis=1).astype(np.uint8)
    return gnnseg.paint(slots, node_labels, step=model.settings.step)


def test_it_equals_the_stages_one_after_the_other(model, pixels, tmp_path):
    image = open_image(pixels[0], axes="CYX")
    result = gnnseg.segment(image, model, tmp_path / "labels.zarr")
    np.testing.assert_array_equal(
        labels_of(tmp_path / "labels.zarr"), whole_labels(pixels[0], model)
    )
    assert result["pixels"] == 192 * 200
    assert result["leftover_pixels"] >= 0
    assert set(result["stages"]) >= {"regions", "network_down_0", "paint", "finish"}


def test_a_stack_is_its_planes(model, pixels, tmp_path):
    stack = open_image(np.stack(pixels), axes="ZCYX")
    gnnseg.segment(stack, model, tmp_path / "stack.zarr", probabilities=True)
    labels = labels_of(tmp_path / "stack.zarr")
    for plane, image in enumerate(pixels):
        np.testing.assert_array_equal(labels[plane], whole_labels(image, model))
    chances = labels_of(tmp_path / "stack.zarr.probabilities.zarr")
    assert chances.shape == (3, 2, 192, 200)
    best = np.take_along_axis(chances, labels[None].astype(int), axis=0)[0]
    assert (best == chances.max(axis=0)).all()


def map_of(path, name):
    return labels_of(path.with_name(f"{path.name}.{name}.zarr"))


def whole_chances(image, model, *, step=8):
    """Probabilities (Y, X, classes) and normalised entropy (Y, X), by their definitions."""
    reader = PixelReader(open_image(image, axes="CYX"), model.scaling, model.settings)
    slots, table = whole_table(reader)
    exponents = np.exp(model.logits(table).astype(float) / model.temperature)
    chances = exponents / exponents.sum(axis=1, keepdims=True)
    doubt = -(chances * np.log(chances)).sum(axis=1) / np.log(chances.shape[1])
    painted = [gnnseg.paint(slots, values, step=step) for values in (*chances.T, doubt)]
    return np.stack(painted[:-1]), painted[-1]


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_temperature_changes_probabilities_and_uncertainty_but_no_label(
    model, pixels, tmp_path, temperature
):
    other, out = replace(model, temperature=temperature), tmp_path / "labels.zarr"
    image = open_image(pixels[0], axes="CYX")
    gnnseg.segment(image, other, out, probabilities=True, uncertainty=True)
    np.testing.assert_array_equal(labels_of(out), whole_labels(pixels[0], model))
    chances, doubt = whole_chances(pixels[0], other)
    assert np.abs(map_of(out, "probabilities") / 255 - chances).max() < 0.51 / 255
    assert map_of(out, "uncertainty").shape == (1, 192, 200)
    assert np.abs(map_of(out, "uncertainty")[0] / 255 - doubt).max() < 0.51 / 255


@pytest.mark.parametrize("name", ["labels.tif", "labels.png", "labels.zarr"])
def test_uncertainty_of_a_part_is_the_crop_of_the_whole(model, pixels, tmp_path, name):
    image = open_image(pixels[0], axes="CYX")
    whole, part = tmp_path / "whole.zarr", tmp_path / name
    gnnseg.segment(image, model, whole, uncertainty=True)
    gnnseg.segment(image, model, part, uncertainty=True, roi=((13, 161), (95, 200)))
    expected = map_of(whole, "uncertainty")[:, 13:161, 95:200]
    assert len(np.unique(expected)) > 4
    np.testing.assert_array_equal(map_of(part, "uncertainty"), expected)
    about = zarr.open_group(part.with_name(f"{name}.uncertainty.zarr"), mode="r").attrs["gnnseg"]
    assert (about["kind"], about["complete"]) == ("uncertainty", True)


def test_masked_pixels_have_no_uncertainty(model, pixels, tmp_path):
    mask = np.ones((192, 200), np.uint8)
    mask[40:90] = 0
    image = open_image(pixels[0], axes="CYX")
    gnnseg.segment(image, model, tmp_path / "labels.zarr", mask=mask, uncertainty=True)
    doubt = map_of(tmp_path / "labels.zarr", "uncertainty")[0]
    assert (doubt[mask == 0] == 0).all()
    assert doubt.any()


def test_a_mask_leaves_pixels_unlabelled_and_counts_them(model, pixels, tmp_path):
    mask = np.ones((192, 200), np.uint8)
    mask[40:90, :] = 0
    image = open_image(pixels[0], axes="CYX")
    result = gnnseg.segment(image, model, tmp_path / "labels.zarr", mask=mask)
    labels = labels_of(tmp_path / "labels.zarr")
    np.testing.assert_array_equal(labels == 255, mask == 0)
    table = json.loads((tmp_path / "labels.zarr.classes.json").read_text())
    assert table == result["classes"]
    assert table[-1]["pixels"] == 50 * 200
    counts = np.bincount(labels.ravel(), minlength=3)[:3].tolist()
    assert [row["pixels"] for row in table[:-1]] == counts


@pytest.mark.parametrize("roi", [((0, 192), (0, 200)), ((13, 61), (95, 200)), ((190, 192), (0, 3))])
def test_a_part_is_the_crop_of_the_whole(model, pixels, tmp_path, roi):
    image = open_image(pixels[0], axes="CYX")
    gnnseg.segment(image, model, tmp_path / "part.zarr", roi=roi)
    (y0, y1), (x0, x1) = roi
    whole = whole_labels(pixels[0], model)
    np.testing.assert_array_equal(labels_of(tmp_path / "part.zarr"), whole[y0:y1, x0:x1])


def test_what_is_kept_opens_as_a_graph(model, pixels, tmp_path):
    image = open_image(pixels[0], axes="CYX")
    gnnseg.segment(image, model, tmp_path / "labels.zarr", keep=True)
    scratch = tmp_path / "labels.zarr.gnnseg" / "scratch.zarr"
    about = zarr.open_group(scratch / "graph_0", mode="r").attrs["gnnseg"]
    graph = RegionGraph.open(scratch / "graph_0")
    assert graph.num_nodes == 24 * 25
    assert list(graph.feature_names) == about["feature_names"]


def test_refusals_touch_nothing(model, pixels, tmp_path):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "labels.zarr"
    with pytest.raises(MemoryBudgetError, match="use --memory"):
        gnnseg.segment(image, model, out, memory="100MiB")
    with pytest.raises(UsageError, match="roi"):
        gnnseg.segment(image, model, out, roi=((0, 500), (0, 10)))
    with pytest.raises(InputError, match="channel"):
        gnnseg.segment(np.zeros((2, 64, 64), np.uint8), model, out)
    with pytest.raises(UsageError):
        gnnseg.segment(image, model, tmp_path / "labels.jpg")
    with pytest.raises(UsageError, match=r"0\.4 or 0\.5"):
        gnnseg.segment(image, model, out, ome_version="0.3")
    assert not list(tmp_path.iterdir())


def test_other_settings_need_overwrite(model, pixels, tmp_path):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "labels.zarr"
    gnnseg.segment(image, model, out)
    with pytest.raises(StateError, match="overwrite"):
        gnnseg.segment(image, model, out)
    other = open_image(pixels[1], axes="CYX")
    gnnseg.segment(other, model, out, overwrite=True)
    np.testing.assert_array_equal(labels_of(out), whole_labels(pixels[1], model))


def test_an_unfinished_run_of_another_image_is_refused(model, pixels, tmp_path):
    image, out = open_image(pixels[0], axes="CYX"), tmp_path / "labels.zarr"
    gnnseg.segment(image, model, out)
    meta = out / "zarr.json"
    meta.write_text(meta.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(StateError, match="input"):
        gnnseg.segment(open_image(pixels[1], axes="CYX"), model, out)


def test_a_folder_that_is_no_run_is_left_alone(model, pixels, tmp_path):
    folder = tmp_path / "labels.zarr.gnnseg"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(StateError):
            gnnseg.segment(
                open_image(pixels[0], axes="CYX"),
                model,
                tmp_path / "labels.zarr",
                overwrite=overwrite,
            )
    assert (folder / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize("shape", [(3, 192, 200), (192, 200, 3), (192, 201)])
def test_a_mask_that_does_not_fit_is_refused(model, pixels, tmp_path, shape):
    mask = open_image(np.ones(shape, np.uint8), axes={2: "YX", 3: "ZYX"}[len(shape)])
    if shape[-1] == 3:
        mask = open_image(np.ones(shape, np.uint8), axes="YXC")
    with pytest.raises(InputError, match="mask"):
        gnnseg.segment(open_image(pixels[0], axes="CYX"), model, tmp_path / "a.zarr", mask=mask)
    assert not list(tmp_path.iterdir())
