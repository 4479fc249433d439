from __future__ import annotations

import gzip
import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io import open_image, zarr_source
from gnnseg.io.zarr_guard import inflate, zstd_size

BOMB = 300 * 2**20


def write(path, array, **options):
    stored = zarr.create_array(str(path), shape=array.shape, dtype=array.dtype, **options)
    stored[...] = array
    return stored


def write_ome(path, array, axes, *, version="0.5", scale=1.0, unit="micrometer", **extra):
    """An OME-Zarr image with two levels."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    datasets = []
    for k in range(2):
        group.create_array(
            str(k), data=array[..., :: 2**k, :: 2**k], chunks=(1,) * (array.ndim - 2) + (16, 16)
        )
        sizes = [scale * 2**k if axis in "yx" else 2.0 for axis in axes]
        datasets.append(
            {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": sizes}]}
        )
    kinds = {"c": "channel", "t": "time"}
    described = [
        {"name": axis, "type": kinds.get(axis, "space")} | ({"unit": unit} if axis in "zyx" else {})
        for axis in axes
    ]
    scales = [{"axes": described, "datasets": datasets, "version": version}]
    about = {"multiscales": scales, "version": version, **extra}
    group.attrs.update({"ome": about} if version == "0.5" else about)
    return path


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("micrometer", 2.0), ("nanometer", 0.002), ("furlong", None), (None, None), (["nm"], None)],
)
def test_a_plane_spacing_of_another_unit_is_converted(tmp_path, rng, unit, expected):
    path = write_ome(tmp_path / "a.zarr", rng.integers(0, 9, (2, 40, 50), np.uint8), "zyx")
    group = zarr.open_group(path)
    about = group.attrs["ome"]
    about["multiscales"][0]["axes"][0]["unit"] = unit
    group.attrs["ome"] = about
    image = open_image(path)
    assert (image.pixel_size, image.unit) == ((1.0, 1.0), "micrometer")
    assert image.plane_spacing == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_images_give_axes_levels_and_sizes(tmp_path, rng, version):
    array = rng.integers(0, 999, (1, 2, 3, 40, 50), np.uint16)
    path = write_ome(tmp_path / "a.zarr", array, "tczyx", version=version, scale=0.25)
    image = open_image(path)
    assert (image.num_channels, image.num_planes, image.dtype) == (2, 3, np.uint16)
    assert (image.pixel_size, image.plane_spacing, image.unit) == ((0.25, 0.25), 2.0, "micrometer")
    np.testing.assert_array_equal(image.read(Window(5, 31, 7, 50), 2), array[0, :, 2, 5:31, 7:])
    coarse = open_image(path, level=1)
    assert coarse.pixel_size == (0.5, 0.5)
    np.testing.assert_array_equal(coarse.read(coarse.bounds, 1), array[0, :, 1, ::2, ::2])
    with pytest.raises(UsageError, match="levels 0 to 1"):
        open_image(path, level=2)


def test_three_channels_are_colours_unless_the_metadata_say_otherwise(tmp_path, rng):
    array = rng.integers(0, 255, (3, 40, 50), np.uint8)
    dyes = {"channels": [{"color": c} for c in ("0000FF", "00FF00", "FF00FF")]}
    pure = {"channels": [{"color": c} for c in ("FF0000", "00FF00", "0000FF")]}
    assert open_image(write_ome(tmp_path / "a.zarr", array, "cyx")).is_rgb
    assert not open_image(write_ome(tmp_path / "b.zarr", array, "cyx", omero=dyes)).is_rgb
    assert open_image(write_ome(tmp_path / "c.zarr", array, "cyx", omero=pure)).is_rgb
    assert not open_image(tmp_path / "a.zarr", rgb=False).is_rgb


def test_dimension_names_are_axes(tmp_path, rng):
    array = rng.integers(0, 255, (5, 40, 50), np.uint8)
    write(tmp_path / "a.zarr", array, dimension_names=["z", "y", "x"])
    assert open_image(tmp_path / "a.zarr").num_planes == 5
    opened = zarr.open_array(str(tmp_path / "a.zarr"))
    image = open_image(opened)
    np.testing.assert_array_equal(image.read(image.bounds, 3)[0], array[3])


def test_absent_chunks_are_the_fill_value(tmp_path):
    stored = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(40, 40), chunks=(20, 20), dtype="u1", fill_value=7
    )
    stored[:20, :20] = 3
    image = open_image(tmp_path / "a.zarr")
    pixels = image.read(image.bounds)[0]
    assert (pixels[:20, :20] == 3).all()
    assert (pixels[20:] == 7).all()


def test_a_crop_reads_only_its_chunks(tmp_path, rng):
    array = rng.integers(0, 255, (300, 300), np.uint8)
    write(tmp_path / "a.zarr", array, chunks=(50, 50))
    for chunk in (tmp_path / "a.zarr").rglob("c/*/*"):
        row, col = int(chunk.parent.name), int(chunk.name)
        if not (row in (1, 2) and col == 3):
            chunk.write_bytes(b"garbage")
    image = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read(Window(60, 140, 155, 199))[0], array[60:140, 155:199])
    with pytest.raises(InputError, match=r"a\.zarr"):
        image.read(Window(0, 60, 155, 199))


def first_chunk(path, marker="c/0/0"):
    return path / marker


@pytest.mark.parametrize("kind", ["zstd", "gzip", "blosc", "zlib v2", "zstd v2"])
def test_chunks_that_unpack_to_far_more_are_refused(tmp_path, kind):
    import numcodecs

    path, array = tmp_path / "a.zarr", np.zeros((64, 64), np.uint8)
    codecs = {"zstd": ZstdCodec(), "gzip": GzipCodec(), "blosc": BloscCodec()}
    if kind in codecs:
        write(path, array + 1, chunks=(64, 64), compressors=codecs[kind])
        chunk = first_chunk(path)
    else:
        codec = numcodecs.Zlib() if kind == "zlib v2" else numcodecs.Zstd()
        write(path, array + 1, chunks=(64, 64), compressors=codec, zarr_format=2)
        chunk = first_chunk(path, "0.0")
    bombs = {
        "zstd": lambda: numcodecs.Zstd().encode(bytes(BOMB)),
        "gzip": lambda: gzip.compress(bytes(BOMB), 9),
        "blosc": lambda: numcodecs.Blosc().encode(bytes(BOMB)),
        "zlib v2": lambda: numcodecs.Zlib().encode(bytes(BOMB)),
        "zstd v2": lambda: numcodecs.Zstd().encode(bytes(BOMB)),
    }
    chunk.write_bytes(bombs[kind]())
    tracemalloc.start()
    image = open_image(path)
    with pytest.raises(InputError, match="unpacks to"):
        image.read(image.bounds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20


def test_a_bomb_in_a_shard_is_refused(tmp_path):
    import numcodecs

    path = tmp_path / "a.zarr"
    write(path, np.ones((64, 64), np.uint8), chunks=(32, 32), shards=(64, 64))
    bomb = bytes(numcodecs.Zstd().encode(bytes(BOMB)))
    entries = [0, len(bomb)] + [2**64 - 1] * 6
    index = struct.pack("<8Q", *entries)
    import google_crc32c

    crc = struct.pack("<I", google_crc32c.value(index))
    first_chunk(path).write_bytes(bomb + index + crc)
    image = open_image(path)
    for window in (Window(0, 64, 0, 64), Window(0, 5, 0, 5)):
        with pytest.raises(InputError, match="unpacks to"):
            image.read(window)


@pytest.mark.parametrize(
    "compressors", [ZstdCodec(checksum=True), GzipCodec(), BloscCodec(shuffle="bitshuffle"), None]
)
def test_guarded_codecs_decode_as_zarr_does(tmp_path, rng, compressors):
    array = rng.integers(0, 50, (70, 90), np.uint16)
    write(tmp_path / "a.zarr", array, chunks=(32, 32), compressors=compressors)
    image = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read(image.bounds)[0], array)


def test_flipped_bytes_are_noticed(tmp_path, rng):
    array = rng.integers(0, 50, (64, 64), np.uint8)
    write(tmp_path / "a.zarr", array, chunks=(64, 64), compressors=ZstdCodec(checksum=True))
    chunk = first_chunk(tmp_path / "a.zarr")
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 16
    chunk.write_bytes(data)
    image = open_image(tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"a\.zarr"):
        image.read(image.bounds)


def test_links_and_pipes_in_a_store_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))
    for number, replace in enumerate(
        (lambda c: c.symlink_to(secret), os.mkfifo, lambda c: c.symlink_to("/dev/zero"))
    ):
        path = tmp_path / f"{number}.zarr"
        write(path, np.ones((64, 64), np.uint8), chunks=(64, 64), compressors=None)
        first_chunk(path).unlink()
        replace(first_chunk(path))
        image = open_image(path)
        with pytest.raises(InputError, match=r"leaves the store|no regular file"):
            image.read(image.bounds)


def test_a_group_names_its_arrays_and_looks_into_files_alone(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("b", shape=(8, 8), chunks=(8, 8), dtype=np.uint8)
    (tmp_path / "a.zarr/a").mkdir()
    os.mkfifo(tmp_path / "a.zarr/a/zarr.json")
    with pytest.raises(InputError, match=r"one of its arrays, such as .*a\.zarr/b"):
        open_image(tmp_path / "a.zarr")


def test_an_image_is_opened_without_a_look_at_what_lies_beside_it(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(zarr_source, "_is_array", None)
    path = write_ome(tmp_path / "a.zarr", rng.integers(0, 9, (40, 50), np.uint8), "yx")
    assert open_image(path).height == 40


def test_a_linked_folder_does_not_lead_out(tmp_path):
    write(tmp_path / "other.zarr", np.full((64, 64), 42, np.uint8), chunks=(64, 64))
    write(tmp_path / "a.zarr", np.ones((64, 64), np.uint8), chunks=(64, 64))
    first_chunk(tmp_path / "a.zarr").unlink()
    (tmp_path / "a.zarr/c/0").rmdir()
    (tmp_path / "a.zarr/c/0").symlink_to(tmp_path / "other.zarr/c/0")
    image = open_image(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="leaves the store"):
        image.read(image.bounds)


def test_a_store_that_is_a_link_is_read(tmp_path):
    write(tmp_path / "a.zarr", np.full((64, 64), 42, np.uint8), chunks=(64, 64))
    (tmp_path / "b.zarr").symlink_to(tmp_path / "a.zarr")
    image = open_image(tmp_path / "b.zarr")
    assert (image.read(image.bounds) == 42).all()


@pytest.mark.parametrize("key", ["../other.zarr", "/etc", "0/../../other.zarr"])
def test_level_paths_stay_inside(tmp_path, rng, key):
    write(tmp_path / "other.zarr", np.full((64, 64), 42, np.uint8))
    path = write_ome(tmp_path / "a.zarr", rng.integers(0, 9, (40, 50), np.uint8), "yx")
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = key
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="leaves the store"):
        open_image(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda ome: ome.clear(),
        lambda ome: ome.update(multiscales=[]),
        lambda ome: ome.update(multiscales="x"),
        lambda ome: ome["multiscales"][0].update(version="0.9"),
        lambda ome: ome["multiscales"][0].update(datasets=[]),
        lambda ome: ome["multiscales"][0]["datasets"][0].update(path="9"),
        lambda ome: ome["multiscales"][0]["datasets"][0].update(path=3),
        lambda ome: ome["multiscales"][0].update(axes=[{"name": "y"}]),
        lambda ome: ome["multiscales"][0].update(axes=[{"name": "y"}, {"name": "w"}]),
        lambda ome: ome["multiscales"][0].update(axes=5),
    ],
)
def test_broken_ome_metadata_are_input_errors(tmp_path, rng, change):
    path = write_ome(tmp_path / "a.zarr", rng.integers(0, 9, (40, 50), np.uint8), "yx")
    about = json.loads((path / "zarr.json").read_text())
    change(about["attributes"]["ome"])
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"a\.zarr") as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [0.0, -1.0, "x", None])
def test_senseless_sizes_are_dropped(tmp_path, rng, scale):
    path = write_ome(tmp_path / "a.zarr", rng.integers(0, 9, (40, 50), np.uint8), "yx")
    about = json.loads((path / "zarr.json").read_text())
    dataset = about["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    dataset["coordinateTransformations"][0]["scale"] = [scale, 1.0]
    (path / "zarr.json").write_text(json.dumps(about))
    assert open_image(path).pixel_size is None


def test_a_huge_chunk_is_refused(tmp_path):
    zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(2**20, 2**20), chunks=(2**20, 2**20), dtype="u1"
    )
    with pytest.raises(InputError, match="one chunk takes"):
        open_image(tmp_path / "a.zarr")


def test_sizes_in_zstd_frames():
    import numcodecs

    for size in (1, 200, 300, 70_000, 2**20):
        assert zstd_size(bytes(numcodecs.Zstd().encode(bytes(size)))) == size


def test_gzip_members_are_joined():
    data = gzip.compress(b"a" * 10) + gzip.compress(b"b" * 10)
    assert inflate(data, 20) == b"a" * 10 + b"b" * 10
    with pytest.raises(ValueError, match="unpacks to"):
        inflate(data, 19)
