"""From a folder of labelled images to labels in every format, through the program alone."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import zarr

from gnnseg.io import read_labels


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(300, 400)


@pytest.fixture(scope="module")
def segmented(gnnseg_json, image, model, tmp_path_factory):
    """What `segment` said, with a copy of everything it can write."""
    folder = tmp_path_factory.mktemp("out")
    options = ["--probabilities", "--uncertainty", "--keep", folder / "kept"]
    return gnnseg_json("segment", image, "-m", model, "-o", folder / "labels.zarr", *options)


def test_training_tells_what_it_did(trained, model):
    assert {"model", "plot", "preset", "num_parameters", "val_miou", "seconds"} <= set(trained)
    assert trained["epochs"] == 2
    assert trained["config"]["step"] == 17
    assert model.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_few_clicks_train_a_model(gnnseg, gnnseg_json, dataset, tmp_path):
    """Every eighth cell of the image is clicked."""
    folder = tmp_path / "clicked"
    folder.mkdir()
    (folder / "images").symlink_to(dataset / "images")
    (folder / "classes.json").symlink_to(dataset / "classes.json")
    rows = ["image,y,x,class"]
    for stem in "0134":
        labels = read_labels(dataset / "labels" / f"{stem}.png")
        places = [(y, x) for y in range(10, 200, 34) for x in range(10, 270, 34)]
        rows += [f"{stem},{y},{x},class_{labels[y, x]}" for y, x in places]
    (folder / "clicks.csv").write_text("\n".join(rows))
    about = gnnseg_json("info", folder)
    assert (sum(about["images"].values()), about["clicks"]) == (4, 4 * 6 * 8)
    config = tmp_path / "config.toml"
    config.write_text("step = 17\nn_iter = 1\npreset = 'mlp'\nlearning_rate = 0.02\n")
    out = tmp_path / "m.safetensors"
    found = gnnseg_json("train", folder, "-o", out, "--config", config, "--epochs", 30)
    assert found["val_miou"] > 0.4
    measured = gnnseg_json("evaluate", dataset, "-m", out)
    assert measured["miou"] > 0.4
    on_clicks = gnnseg_json("evaluate", folder, "-m", out, "--split", "train")
    assert on_clicks["ceiling_miou"] > measured["ceiling_miou"]
    arguments = ["ceiling", folder, "--steps", "17", "--split", "train", "--target", 0.8]
    assert "none: labels are too sparse" in gnnseg(*arguments).stdout
    assert gnnseg_json(*arguments)["suggestion"]["step"] is None


def test_suggestions_become_clicks(gnnseg, gnnseg_json, dataset, model, tmp_path):
    """Images without labels are ranked; with classes filled in the list is clicks.json."""
    folder, out = tmp_path / "set", tmp_path / "next.json"
    folder.mkdir()
    (folder / "images").symlink_to(dataset / "images")
    (folder / "classes.json").symlink_to(dataset / "classes.json")
    (folder / "test.txt").write_text("5\n")
    pictures = tmp_path / "pictures"
    arguments = ["suggest", folder, "-m", model, "--count", 40]
    found = gnnseg_json(*arguments, "-o", out, "--overlay", pictures)
    assert (found["num_images"], len(found["suggestions"])) == (5, 40)
    images = {s["image"] for s in found["suggestions"]}
    assert len(images) > 2
    assert {path.stem for path in pictures.iterdir()} == images <= set("01234")
    gnnseg("train", folder, "-o", tmp_path / "m.safetensors", code=3)
    content = json.loads(out.read_text())
    for s in content["suggestions"]:
        labels = read_labels(dataset / "labels" / f"{s['image']}.png")
        s["class"] = f"class_{labels[s['y'], s['x']]}"
    (folder / "clicks.json").write_text(json.dumps(content))
    (folder / "test.txt").unlink()
    assert gnnseg_json("info", folder)["clicks"] == 40
    config = tmp_path / "config.toml"
    config.write_text("step = 17\nn_iter = 1\npreset = 'mlp'\nlearning_rate = 0.02\n")
    trained = tmp_path / "m.safetensors"
    gnnseg("train", folder, "-o", trained, "--config", config, "--epochs", 5)
    again = gnnseg_json("suggest", folder, "-m", trained, "--count", 40, "-o", tmp_path / "2.json")
    assert again["num_images"] == 6
    places = {(s["image"], s["id"]) for s in found["suggestions"]}
    assert not places & {(s["image"], s["id"]) for s in again["suggestions"]}
    lines = gnnseg(*arguments, "-o", tmp_path / "3.json", "--quiet").stdout.splitlines()
    assert lines[1].split()[:2] == ["suggestions", "rank"]
    assert len(lines) == 45


def test_suggestions_for_one_image(gnnseg, gnnseg_json, image, model, tmp_path, segmented):
    out, picture = tmp_path / "next.json", tmp_path / "next.png"
    arguments = ["suggest", image, "-m", model, "-o", out]
    found = gnnseg_json(*arguments, "--count", 7, "--overlay", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [s["rank"] for s in found["suggestions"]] == [1, 2, 3, 4, 5, 6, 7]
    assert found["suggestions"] == json.loads(out.read_text())["suggestions"]
    gnnseg(*arguments, code=4)
    labels = ["--labels", segmented["output"], "--overwrite"]
    assert gnnseg_json(*arguments, *labels)["suggestions"] == []
    assert "suggestions  none" in gnnseg(*arguments, *labels).stdout
    gnnseg("suggest", tmp_path / "none.tif", *arguments[2:4], "-o", tmp_path / "a.json", code=3)
    gnnseg(*arguments[:4], "-o", tmp_path / "a.txt", code=2)


def test_evaluation(gnnseg_json, dataset, model):
    found = gnnseg_json("evaluate", dataset, "-m", model)
    assert found["num_images"] == 1
    assert 0 <= found["miou"] <= found["ceiling_miou"] <= 1
    assert set(found["per_class_iou"]) == {f"class_{i}" for i in range(4)}
    assert {"pixel_accuracy", "dice", "ece_uncalibrated", "seconds"} <= set(found)
    assert 0 <= found["ece"] <= 1
    assert 0 < found["error_auroc"] < 1


def test_evaluation_in_blocks(gnnseg, gnnseg_json, dataset, model, tmp_path):
    arguments = ["evaluate", dataset, "-m", model]
    whole = gnnseg_json(*arguments)
    blocks = gnnseg_json(*arguments, "--block", 512, "--workers", 1, "--scratch", tmp_path)
    assert blocks.pop("seconds") != whole.pop("seconds")
    assert blocks == whole
    refused = gnnseg(*arguments, "--memory", "50MiB", code=5)
    assert re.search(r"use --memory \d+MiB or more", refused.stderr)
    assert refused.stdout == ""


def test_evaluation_with_refined_borders(gnnseg, gnnseg_json, dataset, model):
    found = gnnseg_json("evaluate", dataset, "-m", model, "--refine")
    assert {"miou_unrefined", "boundary_f1", "boundary_f1_unrefined"} <= set(found)
    shown = gnnseg("evaluate", dataset, "-m", model, "--refine").stdout
    assert re.search(r"^boundary F1 +[\d.]+ %, [\d.]+ % unrefined$", shown, re.MULTILINE)


def test_a_different_pixel_size_is_a_warning(gnnseg, image, model, tmp_path):
    import safetensors
    import safetensors.numpy

    with safetensors.safe_open(model, framework="numpy") as file:
        header = json.loads(file.metadata()["gnnseg"])
    scaled = tmp_path / "scaled.safetensors"
    metadata = {"gnnseg": json.dumps({**header, "pixel_size": [0.25, 0.25]})}
    scaled.write_bytes(
        safetensors.numpy.save(safetensors.numpy.load_file(model), metadata=metadata)
    )
    small = tmp_path / "small.ome.tif"
    import tifffile

    sizes = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(small, np.zeros((64, 64, 3), np.uint8), photometric="rgb", metadata=sizes)
    arguments = ["segment", small, "-m", scaled, "-o", tmp_path / "o.zarr", "--dry-run"]
    assert "0.5 x 0.5 µm" in gnnseg(*arguments).stderr
    assert "warning" not in gnnseg("segment", image, *arguments[2:]).stderr


def test_segmentation_tells_what_it_did(segmented):
    assert segmented["pixels"] == 300 * 400
    assert sum(row["pixels"] for row in segmented["classes"]) == 300 * 400
    assert segmented["resumed"] is False
    assert segmented["stages"]["paint"]["seconds"] > 0
    assert {"nodes", "edges", "leftover_pixels", "seconds", "peak_rss_bytes"} <= set(segmented)


def test_tiff_and_png_hold_the_same_labels(
    gnnseg, image, model, segmented, tmp_path, read_labels_of
):
    expected = read_labels_of(segmented["output"])
    assert len(np.unique(expected)) > 1
    for name in ("labels.tif", "labels.png"):
        gnnseg("segment", image, "-m", model, "-o", tmp_path / name)
        np.testing.assert_array_equal(read_labels(tmp_path / name), expected)


def test_an_older_ome_zarr_holds_the_same_labels(
    gnnseg, gnnseg_json, image, model, segmented, tmp_path, read_labels_of
):
    from ome_zarr_models.v04.image import ImageAttrs

    out = tmp_path / "labels.zarr"
    arguments = ["segment", image, "-m", model, "-o", out, "--probabilities"]
    gnnseg(*arguments, "--ome-version", "0.4")
    assert (out / ".zattrs").is_file()
    for path in (out, tmp_path / "labels.zarr.probabilities.zarr"):
        group = zarr.open_group(path, mode="r")
        assert group.metadata.zarr_format == 2
        ImageAttrs.model_validate(group.attrs.asdict())
    np.testing.assert_array_equal(read_labels_of(out), read_labels_of(segmented["output"]))
    assert gnnseg_json("info", out)["complete"] is True
    assert "0.5" in gnnseg(*arguments, "--ome-version", "0.6", code=2).stderr
    assert "1 to 64" in gnnseg(*arguments, "--refine-width", "65", code=2).stderr


def test_the_scratch_is_moved_to_the_folder_that_keeps_it(segmented, gnnseg_json):
    kept = segmented["kept"]
    assert gnnseg_json("info", f"{kept}/graph_0")["kind"] == "region_graph"


def test_an_existing_output_is_kept_unless_told_otherwise(
    gnnseg, gnnseg_json, image, model, segmented
):
    out = segmented["output"]
    arguments = ["segment", image, "-m", model, "-o", out]
    assert "--overwrite" in gnnseg(*arguments, code=4).stderr
    maps = ["--probabilities", "--uncertainty"]
    assert gnnseg_json(*arguments, *maps, "--overwrite")["resumed"] is False


def test_a_dry_run_plans_and_writes_nothing(gnnseg_json, image, model, tmp_path):
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "o.zarr", "--memory", "2GiB"]
    plan = gnnseg_json(*arguments, "--dry-run")
    assert plan["pixels"] == 300 * 400
    assert plan["nodes"] == 18 * 24
    assert plan["blocks"] == 1
    assert plan["projected_bytes"] <= plan["memory_bytes"] == 2 * 2**30
    assert plan["scratch_bytes"] > 0
    assert 0 < plan["estimated_seconds"] < 100
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_is_modest_about_time(gnnseg, image, model, tmp_path):
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "o.zarr", "--dry-run"]
    shown = gnnseg(*arguments, "--probabilities", "--uncertainty").stdout
    assert re.search(
        r"^time +about [\d.]+ s, judged by one piece of the image$", shown, re.MULTILINE
    )


@pytest.mark.parametrize("verb", ["superpixels", "graph"])
def test_single_stages(gnnseg_json, image, verb, tmp_path):
    out = tmp_path / "stage.zarr"
    found = gnnseg_json(verb, image, "-o", out, "--step", 20)
    assert found["num_superpixels"] <= 15 * 20
    about = gnnseg_json("info", out)
    assert about["complete"] is True
    assert about["kind"] == {"superpixels": "slot_map", "graph": "region_graph"}[verb]


def test_painting(gnnseg, gnnseg_json, image, tmp_path):
    slots, values, out = (tmp_path / name for name in ("slots.zarr", "values.npy", "out.zarr"))
    found = gnnseg_json("superpixels", image, "-o", slots, "--n-segments", 300)
    lattice = found["lattice"]
    np.save(values, np.arange(lattice[0] * lattice[1], dtype=np.int32))
    assert gnnseg_json("paint", slots, values, "-o", out)["pixels"] == 300 * 400
    assert gnnseg_json("info", out)["kind"] == "painted"
    np.save(values, np.arange(5))
    gnnseg("paint", slots, values, "-o", tmp_path / "other.zarr", code=3)


def test_the_ceiling(gnnseg_json, dataset):
    found = gnnseg_json("ceiling", dataset, "--steps", "8,16", "--split", "val")
    assert [row["step"] for row in found["rows"]] == [8, 16]
    assert all(0 < row["ceiling_miou"] <= 1 for row in found["rows"])
    assert all(
        {"regions_per_image", "achievable_accuracy", "per_class_iou"} <= set(row)
        for row in found["rows"]
    )


def test_the_ceiling_suggests_a_step_and_draws(gnnseg, gnnseg_json, dataset, tmp_path):
    plot = tmp_path / "ceiling.png"
    arguments = ["ceiling", dataset, "--steps", "16,8,12", "--plot", plot]
    found = gnnseg_json(*arguments, "--target", 0.3)
    assert (found["suggestion"]["step"], found["suggestion"]["rule"]) == (16, "target")
    assert found["plot"] == str(plot)
    assert plot.read_bytes().startswith(b"\x89PNG")
    shown = gnnseg(*arguments, "--target", 0.999).stdout
    assert "none: no step tried reaches 0.999" in shown
    assert re.search(r"class_3 +[\d.]+ % +[\d.]+ % +[\d.]+ % +none", shown)
    assert gnnseg_json("ceiling", dataset, "--steps", "8,16")["suggestion"]["step"] is None
    assert "0.8" in gnnseg("ceiling", "--help").stdout
    for wrong in (["--target", 80], ["--plot", tmp_path / "a.jpg"]):
        gnnseg("ceiling", dataset, *wrong, code=2)


def test_the_ceiling_depends_on_compactness(gnnseg_json, dataset):
    loose, default, stiff = (
        gnnseg_json("ceiling", dataset, "--steps", "16", *option)["rows"][0]["ceiling_miou"]
        for option in (("--compactness", "1"), (), ("--compactness", "150"))
    )
    assert stiff < default != loose


def test_info(gnnseg_json, segmented, trained, dataset, image):
    out = segmented["output"]
    labels = gnnseg_json("info", out)
    assert labels["kind"] == "labels"
    assert labels["complete"] is True
    assert labels["classes"] == trained["classes"]
    for name in ("probabilities", "uncertainty"):
        assert gnnseg_json("info", f"{out}.{name}.zarr")["kind"] == name
    assert gnnseg_json("info", f"{out}.gnnseg")["complete"] is True
    assert gnnseg_json("info", trained["model"])["kind"] == "model"
    assert gnnseg_json("info", dataset)["images"] == {"train": 4, "val": 1, "test": 1}
    found = gnnseg_json("info", image)
    assert (found["height"], found["width"], found["channels"]) == (300, 400, 3)


def test_without_json_there_is_a_short_table(gnnseg, model):
    lines = gnnseg("info", model).stdout.splitlines()
    assert lines[1].split() == ["kind", "model"]
    assert len(lines) < 25


def test_borders_are_learnt_beside_a_model(gnnseg, gnnseg_json, dataset, model, tmp_path):
    out = tmp_path / "sharper.safetensors"
    arguments = ["borders", dataset, "-m", model, "-o", out]
    found = gnnseg_json(*arguments)
    assert found["kept"] == (found["val_miou"] > found["val_miou_mixed"])
    about = gnnseg_json("info", out)
    assert about["borders"] == ("learnt" if found["kept"] else None)
    measured = gnnseg_json("evaluate", dataset, "-m", out, "--split", "val", "--refine")
    best = max(found["val_miou"], found["val_miou_mixed"])
    assert abs(measured["miou"] - best) < 1e-9
    before = out.read_bytes()
    assert "--overwrite" in gnnseg(*arguments, code=4).stderr
    assert out.read_bytes() == before
    gnnseg(*arguments, "--overwrite")
    assert out.read_bytes()
    gnnseg(
        "borders", dataset, "-m", tmp_path / "none.safetensors", "-o", out, "--overwrite", code=3
    )
