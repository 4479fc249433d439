from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseg.blocks import Window
from gnnseg.errors import InputError, StateError, UsageError
from gnnseg.io import (
    ClassInfo,
    create_label_zarr,
    create_map_zarr,
    downsample_labels,
    is_complete,
    label_dtype,
    label_table,
    mark_complete,
    open_image,
    open_output,
    quantise,
    remove_output,
)
from gnnseg.io.zarr_output import pyramid_shapes


@pytest.fixture
def create(tmp_path, classes):
    def make(name="labels.zarr", **changes):
        options = {"shape": (150, 110), "chunk": 32, "dtype": np.uint8, "classes": classes}
        return create_label_zarr(tmp_path / name, **{**options, **changes})

    return make


def windows(level):
    height, width = level.shape[-2:]
    return Window(0, height, 0, width).split(level.chunks[-1])


def fill(output, labels):
    output.levels[0][...] = labels
    for src, dst in zip(output.levels, output.levels[1:], strict=False):
        for window in reversed(list(windows(dst))):
            downsample_labels(src, dst, window)


def test_metadata_follow_ome_zarr_0_5(create):
    models = pytest.importorskip("ome_zarr_models.v05")
    output = create(pixel_size=(0.5, 0.25), unit="micrometer")
    group = models.ImageLabel.from_zarr(zarr.open_group(str(output.path), mode="r"))
    ome = group.attributes.ome
    assert ome.version == "0.5"
    scale = ome.multiscales[0].datasets[1].coordinateTransformations[0].scale
    assert list(scale) == [1.0, 0.5]
    assert [axis.unit for axis in ome.multiscales[0].axes] == ["micrometer"] * 2
    colors = {c.label_value: tuple(c.rgba) for c in ome.image_label.colors}
    assert colors[0] == (0, 114, 178, 255)
    assert colors[255] == (0, 0, 0, 0)
    assert [p.label_value for p in ome.image_label.properties] == [0, 1, 2, 255]


def test_ome_zarr_reads_the_pyramid(create, rng):
    reader = pytest.importorskip("ome_zarr.reader")
    from ome_zarr.io import parse_url

    output = create()
    labels = rng.integers(0, 3, (150, 110), np.uint8)
    fill(output, labels)
    node = next(iter(reader.Reader(parse_url(str(output.path)))()))
    assert [level.shape for level in node.data] == [(150, 110), (75, 55), (38, 28), (19, 14)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), labels)


@pytest.mark.parametrize("shape", [(150, 110), (3, 150, 110)])
def test_every_level_samples_the_first(create, rng, shape):
    output = create(shape=shape)
    labels = rng.integers(0, 3, shape, np.uint8)
    fill(output, labels)
    for k, level in enumerate(output.levels):
        np.testing.assert_array_equal(level[...], labels[..., :: 2**k, :: 2**k])


@given(
    height=st.integers(1, 300), width=st.integers(1, 300), chunk=st.integers(1, 64),
)  # fmt: skip
def test_pyramids_end_in_one_chunk(height, width, chunk):
    shapes = pyramid_shapes((height, width), chunk, None)
    assert max(shapes[-1]) <= chunk or chunk < 1
    for k, shape in enumerate(shapes):
        assert shape == (-(-height // 2**k), -(-width // 2**k))


@settings(max_examples=10)
@given(seed=st.integers(0, 99))
def test_a_level_does_not_depend_on_the_order_of_its_windows(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("order")
    src = zarr.create_array(str(folder / "s"), shape=(90, 70), chunks=(16, 16), dtype="u1")
    src[...] = labels = rng.integers(0, 9, (90, 70), np.uint8)
    dst = zarr.create_array(str(folder / "d"), shape=(45, 35), chunks=(16, 16), dtype="u1")
    order = list(windows(dst))
    for i in rng.permutation(len(order)):
        downsample_labels(src, dst, order[i])
    np.testing.assert_array_equal(dst[...], labels[::2, ::2])


def test_windows_that_share_a_chunk_are_refused(create):
    output = create()
    for window in (Window(0, 31, 0, 32), Window(1, 32, 0, 32), Window(0, 96, 0, 32)):
        with pytest.raises(UsageError, match="whole chunks"):
            downsample_labels(output.levels[0], output.levels[1], window)


def test_every_written_chunk_exists(create):
    output = create()
    output.levels[0][0:32, 0:32] = 255
    assert (output.path / "0/c/0/0").is_file()
    reopened = open_output(output.path)
    reopened.levels[0][32:64, 0:32] = 255
    assert (output.path / "0/c/1/0").is_file()
    assert not (output.path / "0/c/2/0").exists()


def test_checksums_notice_flipped_bits(create, rng):
    output = create(n_levels=1)
    output.levels[0][...] = rng.integers(0, 3, (150, 110), np.uint8)
    mark_complete(output.path)
    chunk = output.path / "0/c/0/0"
    data = bytearray(chunk.read_bytes())
    noticed = 0
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 4
        chunk.write_bytes(changed)
        try:
            open_image(output.path).read(Window(0, 32, 0, 32))
        except InputError:
            noticed += 1
    assert noticed >= len(range(0, len(data), 7)) - 1


def test_unfinished_outputs_are_not_images(create):
    output = create()
    assert not is_complete(output.path)
    for path in (output.path, output.path / "0"):
        with pytest.raises(StateError, match="unfinished"):
            open_image(path)
    mark_complete(output.path)
    assert is_complete(output.path)
    assert open_image(output.path).height == 150
    assert open_image(output.path / "1").height == 75


def test_completing_keeps_the_other_attributes(create, classes):
    output = create(label_offset=1)
    before = json.loads((output.path / "zarr.json").read_text())
    mark_complete(output.path)
    after = json.loads((output.path / "zarr.json").read_text())
    assert after["attributes"]["ome"] == before["attributes"]["ome"]
    assert label_table(output.path) == (classes, 1, 255)


def test_pixel_sizes_come_back(create):
    output = create(
        shape=(2, 150, 110), pixel_size=(0.5, 0.25), plane_spacing=3.0, unit="nanometer"
    )
    mark_complete(output.path)
    image = open_image(output.path, level=1)
    assert (image.pixel_size, image.plane_spacing, image.unit) == ((1.0, 0.5), 3.0, "nanometer")
    assert image.num_planes == 2


def test_an_existing_path_is_left_alone(create, tmp_path):
    output = create()
    output.levels[0][0:32, 0:32] = 1
    with pytest.raises(StateError, match="exists"):
        create()
    assert open_output(output.path).levels[0][0, 0] == 1
    assert create(overwrite=True).levels[0][0, 0] == 255
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.zarr"]


def test_what_is_not_ours_is_never_deleted(create, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    (tmp_path / "notes.zarr").write_bytes(b"x")
    (tmp_path / "link.zarr").symlink_to(create("mine.zarr").path)
    zarr.create_group(str(tmp_path / "other.zarr"))
    for name in ("photos", "notes.zarr", "link.zarr", "other.zarr"):
        with pytest.raises(StateError, match="not replaced"):
            create(name, overwrite=True)
        with pytest.raises(StateError, match="not replaced"):
            remove_output(tmp_path / name)
    assert (folder / "a.jpg").is_file()
    assert (tmp_path / "mine.zarr/zarr.json").is_file()


def test_a_creation_cut_short_leaves_nothing(create, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Group, "create_array", fail)
    with pytest.raises(OSError, match="No space left"):
        create()
    assert list(tmp_path.iterdir()) == []


def test_removal(create):
    output = create()
    remove_output(output.path)
    assert not output.path.exists()
    remove_output(output.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (5,)},
        {"shape": (0, 5)},
        {"chunk": 0},
        {"dtype": np.int32},
        {"n_levels": 0},
        {"label_offset": -1},
        {"label_offset": 253},
    ],
)
def test_wrong_arguments(create, changes, tmp_path):
    with pytest.raises(UsageError):
        create(**changes)
    assert list(tmp_path.iterdir()) == []


def test_many_classes_need_16_bits(create):
    many = ClassInfo(tuple(map(str, range(300))), ignore_index=65_535)
    assert label_dtype(many.num_classes) == np.uint16
    with pytest.raises(UsageError, match="do not fit"):
        create(classes=many)
    output = create(classes=many, dtype=np.uint16)
    assert output.levels[0][0, 0] == 65_535


def test_outputs_are_told_from_other_stores(tmp_path):
    zarr.create_group(str(tmp_path / "a.zarr"))
    assert not is_complete(tmp_path / "a.zarr")
    assert not is_complete(tmp_path / "none.zarr")
    with pytest.raises(InputError, match="no Zarr output"):
        open_output(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="no Zarr output"):
        mark_complete(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="no label output"):
        label_table(tmp_path / "a.zarr")


@pytest.mark.parametrize(("kind", "channels"), [("probabilities", 3), ("uncertainty", 1)])
@pytest.mark.parametrize("shape", [(50, 40), (2, 50, 40)])
def test_maps(tmp_path, classes, rng, shape, kind, channels):
    models = pytest.importorskip("ome_zarr_models.v05")
    output = create_map_zarr(
        tmp_path / "p.zarr",
        kind=kind,
        shape=shape,
        chunk=16,
        classes=classes,
        pixel_size=(1.0, 1.0),
        unit="micrometer",
    )
    fractions = rng.random(output.shape)
    output.levels[0][...] = quantise(fractions)
    mark_complete(output.path)
    models.Image.from_zarr(zarr.open_group(str(output.path), mode="r"))
    image = open_image(output.path)
    assert (image.num_channels, image.num_planes) == (channels, len(shape) - 1)
    read = image.read(image.bounds, image.num_planes - 1)
    wanted = fractions if len(shape) == 2 else fractions[:, -1]
    assert np.abs(read / 255 - wanted).max() <= 0.5 / 255 + 1e-12


def test_quantise_is_bounded():
    values = np.array([-1.0, 0.0, 0.4999 / 255, 1.0, 2.0, np.nan], np.float32)
    assert quantise(values).tolist() == [0, 0, 0, 255, 255, 0]


def test_a_moved_output_stays_valid(create, tmp_path):
    output = create()
    mark_complete(output.path)
    shutil.move(output.path, tmp_path / "moved.zarr")
    assert open_image(tmp_path / "moved.zarr").width == 110


def test_ome_zarr_0_4_for_older_programs(create, rng):
    models = pytest.importorskip("ome_zarr_models.v04.image_label")
    output = create(ome_version="0.4", pixel_size=(0.5, 0.25), unit="micrometer")
    labels = rng.integers(0, 3, (150, 110), np.uint8)
    fill(output, labels)
    attributes = zarr.open_group(str(output.path), mode="r").attrs.asdict()
    assert models.ImageLabelAttrs.model_validate(attributes).image_label.version == "0.4"
    with pytest.raises(StateError, match="unfinished"):
        open_image(output.path)
    mark_complete(output.path)
    assert is_complete(output.path)
    image = open_image(output.path, level=1)
    assert (image.pixel_size, image.unit) == ((1.0, 0.5), "micrometer")
    np.testing.assert_array_equal(image.read(image.bounds)[0], labels[::2, ::2])
    with pytest.raises(UsageError, match=r"0\.4 or 0\.5"):
        create("other.zarr", ome_version="0.3")


def test_outputs_travel_to_other_processes(create):
    output = pickle.loads(pickle.dumps(create()))
    output.levels[0][0:32, 0:32] = 255
    assert (output.path / "0/c/0/0").is_file()
