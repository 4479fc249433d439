from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from gnnseg.blocks import Window
from gnnseg.errors import DiskError, InputError, StateError, UsageError
from gnnseg.io import (
    ClassInfo,
    create_label_zarr,
    downsample_labels,
    export_png,
    export_tiff,
    mark_complete,
    open_image,
    output_kind,
    read_labels,
    read_rgb,
    write_label_png,
    write_rgb_png,
)


def labelled(path, labels, chunk=48, classes=None, **options):
    """A finished label image."""
    classes = classes or ClassInfo(("a", "b", "c"), ((9, 8, 7), (10, 20, 30), (200, 100, 50)))
    output = create_label_zarr(
        path, shape=labels.shape, chunk=chunk, dtype=labels.dtype, classes=classes, **options
    )
    output.levels[0][...] = labels
    for src, dst in zip(output.levels, output.levels[1:], strict=False):
        for window in Window(0, dst.shape[-2], 0, dst.shape[-1]).split(chunk):
            downsample_labels(src, dst, window)
    mark_complete(path)
    return path


@pytest.fixture
def labels(rng):
    labels = rng.integers(0, 3, (150, 110), np.uint8)
    labels[:5] = 255
    return labels


@pytest.mark.parametrize("chunk", [48, 50])
def test_tiff_holds_the_labels_and_their_pyramid(tmp_path, labels, chunk):
    path = labelled(tmp_path / "l.zarr", labels, chunk, pixel_size=(0.5, 0.25), unit="micrometer")
    export_tiff(path, tmp_path / "l.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "l.tif"), labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "l.tif"), labels)
    for level in range(3):
        image = open_image(tmp_path / "l.tif", level=level, indices=True)
        step = 2**level
        np.testing.assert_array_equal(image.read(image.bounds)[0], labels[::step, ::step])
        assert (image.pixel_size, image.unit) == ((0.5 * step, 0.25 * step), "micrometer")
    colours = open_image(tmp_path / "l.tif")
    assert colours.is_rgb
    wanted = np.array([(9, 8, 7), (10, 20, 30), (200, 100, 50)])[labels[5:]]
    np.testing.assert_array_equal(np.moveaxis(colours.read(colours.bounds), 0, -1)[5:], wanted)


def test_tiff_of_a_stack(tmp_path, rng):
    labels = rng.integers(0, 3, (3, 150, 110), np.uint16)
    path = labelled(
        tmp_path / "l.zarr", labels, pixel_size=(1.0, 1.0), plane_spacing=4.0, unit="nanometer"
    )
    export_tiff(path, tmp_path / "l.ome.tif")
    for level in range(2):
        image = open_image(tmp_path / "l.ome.tif", level=level, indices=True)
        assert (image.num_planes, image.plane_spacing, image.unit) == (3, 4.0, "nanometer")
        for plane in range(3):
            wanted = labels[plane, :: 2**level, :: 2**level]
            np.testing.assert_array_equal(image.read(image.bounds, plane)[0], wanted)


def test_the_same_labels_give_the_same_bytes(tmp_path, labels):
    path = labelled(tmp_path / "l.zarr", labels)
    for name in ("a", "b"):
        export_tiff(path, tmp_path / f"{name}.tif")
        export_png(path, tmp_path / f"{name}.png")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_tiff_needs_a_few_tiles_of_memory(tmp_path, rng):
    labels = rng.integers(0, 3, (3000, 3000), np.uint8)
    path = labelled(tmp_path / "l.zarr", labels, chunk=256)
    export_tiff(path, tmp_path / "warm.tif")
    tracemalloc.start()
    export_tiff(path, tmp_path / "l.tif")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000


def test_png_is_a_palette_image(tmp_path, labels):
    export_png(labelled(tmp_path / "l.zarr", labels), tmp_path / "l.png")
    with Image.open(tmp_path / "l.png") as image:
        assert image.mode == "P"
        assert image.info["transparency"] in (255, bytes([255] * 255 + [0]))
        np.testing.assert_array_equal(np.asarray(image), labels)
        assert image.getpalette()[3:6] == [10, 20, 30]
    np.testing.assert_array_equal(read_labels(tmp_path / "l.png"), labels)


def test_png_of_many_classes(tmp_path, rng):
    labels = rng.integers(0, 300, (50, 40)).astype(np.uint16)
    classes = ClassInfo(tuple(map(str, range(300))), ignore_index=65_535)
    export_png(labelled(tmp_path / "l.zarr", labels, classes=classes), tmp_path / "l.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.png"), labels)


def test_what_a_png_cannot_hold(tmp_path, rng, labels):
    path = labelled(tmp_path / "l.zarr", labels)
    with pytest.raises(UsageError, match="more than the 100"):
        export_png(path, tmp_path / "l.png", max_pixels=100)
    stack = labelled(tmp_path / "s.zarr", rng.integers(0, 3, (2, 50, 40), np.uint8))
    with pytest.raises(UsageError, match="one plane"):
        export_png(stack, tmp_path / "s.png")
    assert not list(tmp_path.glob("*.png*"))


@pytest.mark.parametrize(("export", "name"), [(export_tiff, "l.tif"), (export_png, "l.png")])
def test_exports_are_whole_or_absent(tmp_path, labels, export, name):
    path = labelled(tmp_path / "l.zarr", labels)
    chunk = path / "0/c/2/1"
    data = chunk.read_bytes()
    chunk.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"l\.zarr"):
        export(path, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.zarr"]
    chunk.write_bytes(data)
    export(path, tmp_path / name)
    with pytest.raises(StateError, match="exists"):
        export(path, tmp_path / name)
    export(path, tmp_path / name, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, "l.zarr"]


def test_only_finished_labels_are_exported(tmp_path, classes):
    create_label_zarr(
        tmp_path / "l.zarr", shape=(50, 40), chunk=16, dtype=np.uint8, classes=classes
    )
    with pytest.raises(StateError, match="unfinished"):
        export_tiff(tmp_path / "l.zarr", tmp_path / "l.tif")
    with pytest.raises(InputError, match="no label output"):
        export_png(tmp_path, tmp_path / "l.png")


def test_suffixes():
    assert output_kind("a.zarr") == output_kind("a.ome.ZARR") == "zarr"
    assert output_kind("a.ome.tif") == output_kind("a.TIFF") == "tiff"
    assert output_kind("a.png") == "png"
    for name in ("a", "a.jpg", "zarr"):
        with pytest.raises(UsageError, match="ends in"):
            output_kind(name)


def test_label_files_hold_indices(tmp_path, labels):
    write_label_png(tmp_path / "p.png", labels, ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    Image.fromarray(labels).save(tmp_path / "g.png")
    tifffile.imwrite(tmp_path / "t.tif", labels.astype(np.uint16))
    tifffile.imwrite(tmp_path / "i.tif", labels.astype(np.int32))
    for name in ("p.png", "g.png", "t.tif", "i.tif"):
        read = read_labels(tmp_path / name)
        np.testing.assert_array_equal(read, labels)
        assert read.dtype in (np.uint8, np.uint16)
    Image.fromarray(labels > 0).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), labels > 0)


def test_what_is_no_label_file(tmp_path, rng):
    Image.new("RGB", (30, 20)).save(tmp_path / "rgb.png")
    tifffile.imwrite(tmp_path / "f.tif", rng.random((20, 30)))
    tifffile.imwrite(tmp_path / "n.tif", np.full((20, 30), -1, np.int16))
    for name in ("rgb.png", "f.tif", "n.tif"):
        with pytest.raises(InputError, match=name):
            read_labels(tmp_path / name)


def test_small_images_there_and_back(tmp_path, rng):
    rgb = rng.integers(0, 255, (20, 30, 3), np.uint8)
    write_rgb_png(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgb)
    write_rgb_png(tmp_path / "a.png", rgb[..., 0])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgb[..., [0, 0, 0]])
    for wrong in (rgb.astype(float), rgb[None], rgb[..., :2]):
        with pytest.raises(UsageError):
            write_rgb_png(tmp_path / "b.png", wrong)
    with pytest.raises(DiskError, match="does not exist"):
        write_rgb_png(tmp_path / "none/b.png", rgb)
    (tmp_path / "c.png").mkdir()
    with pytest.raises(StateError, match="no regular file"):
        write_rgb_png(tmp_path / "c.png", rgb)
