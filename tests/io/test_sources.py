"""Whatever holds the pixels, a window of them equals the slice of the array."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnseg.blocks import Window
from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io import open_image

HEIGHT, WIDTH = 150, 110


def save_npy(path: Path, array: np.ndarray) -> Path:
    np.save(path.with_suffix(".npy"), array)
    return path.with_suffix(".npy")


def save_npy_fortran(path: Path, array: np.ndarray) -> Path:
    return save_npy(path, np.asfortranarray(array))


def save_png(path: Path, array: np.ndarray) -> Path:
    from PIL import Image

    Image.fromarray(array).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def tiff_saver(**options):
    def save(path: Path, array: np.ndarray) -> Path:
        import tifffile

        colour = {"photometric": "rgb" if array.ndim == 3 else "minisblack"}
        tifffile.imwrite(path.with_suffix(".tif"), array, **colour, **options)
        return path.with_suffix(".tif")

    return save


def zarr_saver(**options):
    def save(path: Path, array: np.ndarray) -> Path:
        import zarr

        stored = zarr.create_array(
            str(path.with_suffix(".zarr")), shape=array.shape, dtype=array.dtype, **options
        )
        stored[...] = array
        return path.with_suffix(".zarr")

    return save


def zarr_gray(**options):
    saver = zarr_saver(**options)
    return lambda path, array: saver(path, array[..., 0] if array.ndim == 3 else array)


SAVERS = {
    "npy": save_npy,
    "npy in Fortran order": save_npy_fortran,
    "png": save_png,
    "tiff in one piece": tiff_saver(),
    "tiff big-endian": tiff_saver(byteorder=">"),
    "tiff in strips": tiff_saver(rowsperstrip=7, compression="zlib", predictor=True),
    "tiff in tiles": tiff_saver(tile=(32, 48), compression="lzw"),
    "tiff in plain tiles": tiff_saver(tile=(16, 16)),
    "bigtiff": tiff_saver(tile=(64, 64), bigtiff=True, compression="zstd"),
    "ome-tiff": tiff_saver(tile=(64, 64), ome=True),
    "zarr 2": zarr_gray(chunks=(40, 30), zarr_format=2),
    "zarr 3": zarr_gray(chunks=(40, 30)),
    "zarr 3 in shards": zarr_gray(chunks=(20, 10), shards=(60, 60)),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("sources")
    images = []
    for number, (name, save) in enumerate(SAVERS.items()):
        for shape in ((HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)):
            array = rng.integers(0, 255, shape, np.uint8)
            image = open_image(save(folder / f"{number}_{len(shape)}", array))
            whole = np.moveaxis(array.reshape(HEIGHT, WIDTH, -1), -1, 0)[: image.num_channels]
            images.append((name, image, whole))
    return images


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.integers(0, HEIGHT), min_size=2, max_size=2).map(sorted),
    cols=st.lists(st.integers(0, WIDTH), min_size=2, max_size=2).map(sorted),
)
def test_a_window_equals_the_slice(opened, rows, cols):
    window = Window(*rows, *cols)
    for name, image, whole in opened:
        pixels = image.read(window)
        assert pixels.flags.c_contiguous, name
        assert pixels.dtype == np.uint8, name
        np.testing.assert_array_equal(
            pixels, whole[:, window.y0 : window.y1, window.x0 : window.x1], name
        )


def test_sources_travel_to_other_processes(opened):
    for name, image, whole in opened:
        copy = pickle.loads(pickle.dumps(image))
        pixels = copy.read(Window(9, 40, 50, 100))
        np.testing.assert_array_equal(pixels, whole[:, 9:40, 50:100], name)
        assert copy.fingerprint() == image.fingerprint(), name


def test_colour_is_known(opened):
    for name, image, whole in opened:
        assert image.is_rgb == (len(whole) == 3), name


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "<u2", ">u2", ">i2", "u4", "i4", "u8", "f2", ">f4", "f8"]
)
def test_numbers_come_native_and_unchanged(dtype, tmp_path, rng):
    array = rng.integers(0, 100, (20, 30)).astype(dtype)
    for source in (array, save_npy(tmp_path / "a", array)):
        image = open_image(source)
        pixels = image.read(image.bounds)
        assert pixels.dtype == image.dtype == array.dtype.newbyteorder("=")
        assert pixels.dtype.isnative
        np.testing.assert_array_equal(pixels[0], array)


def test_booleans_become_0_and_1(rng):
    array = rng.random((20, 30)) < 0.5
    image = open_image(array)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image.read(image.bounds)[0], array)


@pytest.mark.parametrize("dtype", [complex, "U3", object, [("a", "u1")], "datetime64[s]"])
def test_what_is_no_number_is_refused(dtype, tmp_path):
    array = np.zeros((20, 30), dtype)
    with pytest.raises(InputError, match="not supported"):
        open_image(array)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError):
        open_image(tmp_path / "a.npy")


def test_dask_reads_only_the_window(rng):
    da = pytest.importorskip("dask.array")
    array = rng.integers(0, 255, (400, 300), np.uint8)
    computed = []

    def load(block, block_info=None):
        computed.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(array, chunks=100).map_blocks(load, dtype=np.uint8)
    image = open_image(lazy)
    computed.clear()
    np.testing.assert_array_equal(
        image.read(Window(110, 190, 120, 130))[0], array[110:190, 120:130]
    )
    assert computed == [(1, 1)]
    assert image.chunk == (100, 100)


def test_what_was_read_is_not_the_callers_array(rng):
    array = rng.integers(0, 255, (20, 30), np.uint8)
    image = open_image(array)
    pixels = image.read(image.bounds)
    pixels[:] = 0
    assert array.any()


def test_fingerprints_follow_the_content_not_the_name(tmp_path, rng):
    array = rng.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    changed = array.copy()
    changed[0, 0] ^= 1
    for name, save in SAVERS.items():
        first = open_image(save(tmp_path / f"a{len(name)}", array)).fingerprint()
        again = open_image(save(tmp_path / f"b{len(name)}", array)).fingerprint()
        other = open_image(save(tmp_path / f"c{len(name)}", changed)).fingerprint()
        if name != "ome-tiff":  # its writer puts a time-based identity into every file
            assert first == again, name
        assert first != other, name
    assert open_image(array).fingerprint() != open_image(changed).fingerprint()


def test_missing_and_odd_paths(tmp_path):
    with pytest.raises(MissingInputError, match="no such file"):
        open_image(tmp_path / "none.tif")
    with pytest.raises(MissingInputError):
        open_image("a\0b")
    with pytest.raises(InputError, match="no Zarr"):
        open_image(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="empty"):
        open_image(tmp_path / "empty.png")
    with pytest.raises(InputError, match="no regular file"):
        open_image("/dev/zero")
    with pytest.raises(UsageError, match="cannot open dict"):
        open_image({})
    image = open_image(np.zeros((5, 5), np.uint8))
    assert open_image(image) is image


def test_a_pipe_is_refused_at_once(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(InputError, match="no regular file"):
        open_image(tmp_path / "pipe.tif")


def test_npy_headers_are_not_believed(tmp_path):
    path = save_npy(tmp_path / "a", np.zeros((20, 30), np.uint8))
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"(20, 30)", b"(99999999, 30)".ljust(8)).replace(b"      \n", b"\n")
    )
    with pytest.raises(InputError):
        open_image(path)
    path.write_bytes(data[:-1])
    with pytest.raises(InputError, match="cut short"):
        open_image(path)


@pytest.mark.parametrize(
    ("mode", "channels", "dtype"),
    [("1", 1, "u1"), ("L", 1, "u1"), ("LA", 1, "u1"), ("P", 3, "u1"), ("RGB", 3, "u1"),
     ("RGBA", 3, "u1"), ("I;16", 1, "u2")],
)  # fmt: skip
def test_png_modes(mode, channels, dtype, tmp_path):
    from PIL import Image

    Image.new(mode, (30, 20)).save(tmp_path / "a.png")
    image = open_image(tmp_path / "a.png")
    assert (image.num_channels, image.dtype, image.height, image.width) == (channels, dtype, 20, 30)
    assert image.is_rgb == (channels == 3)
    assert image.read(image.bounds).shape == (channels, 20, 30)


def test_large_rasters_need_leave(tmp_path):
    from PIL import Image

    Image.new("1", (3000, 2000)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"6,000,000 pixels.*max_pixels"):
        open_image(tmp_path / "a.png", max_pixels=5_000_000)
    assert open_image(tmp_path / "a.png").width == 3000
