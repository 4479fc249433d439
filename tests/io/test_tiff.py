from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
import tifffile

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io import open_image, tiff_files
from gnnseg.io.tiff_files import SegmentFiles

OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="30" '
    'SizeY="20" SizeC="1" SizeZ="{planes}" SizeT="1"><TiffData IFD="0" PlaneCount="1">'
    '<UUID FileName="{name}">urn:uuid:0</UUID></TiffData></Pixels></Image></OME>'
)


def read_whole(path):
    image = open_image(path)
    return image.read(image.bounds)


@pytest.fixture
def big(tmp_path, rng):
    """64 Mpx in tiles, 65 MB decoded."""
    tile = rng.integers(0, 255, (256, 256), np.uint8)
    path = tmp_path / "big.tif"
    tifffile.imwrite(
        path, (tile for _ in range(32 * 32)), shape=(8192, 8192), dtype=np.uint8, tile=(256, 256),
        compression="zlib", photometric="minisblack",
    )  # fmt: skip
    return path, tile


def test_a_crop_reads_only_its_tiles(big, monkeypatch):
    path, tile = big
    image = open_image(path)
    reads = []
    read = SegmentFiles.read
    monkeypatch.setattr(
        SegmentFiles, "read", lambda self, *where: reads.append(where) or read(self, *where)
    )
    pixels = image.read(Window(300, 600, 700, 800))
    assert len(reads) == 2 * 2
    np.testing.assert_array_equal(pixels[0, :212, :68], tile[44:, 188:])
    image.read(Window(310, 590, 710, 790))
    assert len(reads) == 2 * 2, "decoded tiles are kept"


def test_a_crop_of_a_big_file_needs_little_memory(big):
    path, _ = big
    tracemalloc.start()
    image = open_image(path)
    for y in range(0, 8192, 1024):
        image.read(Window(y, y + 512, 0, 512))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.resident_bytes + 8 * 2**20
    assert image.resident_bytes < 40 * 2**20


def test_a_plain_strip_of_any_size_is_read_by_rows(tmp_path):
    path = tmp_path / "plain.tif"
    array = np.arange(3000 * 4000, dtype=np.uint32).reshape(3000, 4000)
    tifffile.imwrite(path, array, rowsperstrip=3000)
    tracemalloc.start()
    image = open_image(path)
    np.testing.assert_array_equal(image.read(Window(7, 19, 3, 44))[0], array[7:19, 3:44])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 2**20


@pytest.mark.parametrize("ome", [False, True])
def test_levels_of_a_pyramid(tmp_path, rng, ome):
    array = rng.integers(0, 255, (301, 203), np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=ome) as tif:
        sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5} if ome else {}
        options = {"tile": (64, 64), "photometric": "minisblack"}
        tif.write(array, subifds=2, metadata={"axes": "YX", **sizes}, **options)
        tif.write(array[::2, ::2], subfiletype=1, **options)
        tif.write(array[::4, ::4], subfiletype=1, **options)
    for level in range(3):
        image = open_image(path, level=level)
        step = 2**level
        np.testing.assert_array_equal(image.read(image.bounds)[0], array[::step, ::step])
        expected = (0.5 * step, 0.25 * step) if ome else None
        assert image.pixel_size == expected
        assert image.unit == ("micrometer" if ome else None)
        assert image.pixel_size_um == expected
    with pytest.raises(UsageError, match="levels 0 to 2"):
        open_image(path, level=3)


def test_axes_of_ome_and_imagej(tmp_path, rng):
    array = rng.integers(0, 255, (4, 2, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "o.tif", array, ome=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite(
        tmp_path / "i.tif", array, imagej=True, resolution=(5.0, 2.5),
        metadata={"axes": "ZCYX", "spacing": 2.0, "unit": "um"},
    )  # fmt: skip
    for name in ("o.tif", "i.tif"):
        image = open_image(tmp_path / name)
        assert (image.num_planes, image.num_channels, image.is_stack) == (4, 2, True)
        np.testing.assert_array_equal(image.read(Window(2, 9, 3, 30), 3), array[3, :, 2:9, 3:30])
    assert image.pixel_size == pytest.approx((0.4, 0.2))
    assert (image.plane_spacing, image.unit) == (2.0, "micrometer")


@pytest.mark.parametrize(
    ("deep", "unit", "expected"),
    [(0.04, "\u00b5m", 40.0), (40.0, "nm", 40.0), (400.0, "\u00c5", 40.0), (40.0, "parsec", None)],
)
def test_a_plane_spacing_of_another_unit_is_converted(tmp_path, deep, unit, expected):
    sizes = {"PhysicalSizeX": 4.0, "PhysicalSizeY": 4.0, "PhysicalSizeZ": deep}
    sizes |= {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": unit}
    array = np.zeros((3, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "ZYX", **sizes})
    image = open_image(tmp_path / "a.ome.tif")
    assert (image.pixel_size, image.unit) == ((4.0, 4.0), "nanometer")
    assert image.plane_spacing == (None if expected is None else pytest.approx(expected))
    assert image.pixel_size_um == (0.004, 0.004)


def test_the_unit_of_planes_in_imagej(tmp_path):
    about = {"axes": "ZYX", "spacing": 2.0, "unit": "nm", "zunit": "um"}
    array = np.zeros((3, 20, 30), np.uint8)
    tifffile.imwrite(
        tmp_path / "i.tif", array, imagej=True, resolution=(0.25, 0.25), metadata=about
    )
    image = open_image(tmp_path / "i.tif")
    assert (image.pixel_size, image.unit) == ((4.0, 4.0), "nanometer")
    assert image.plane_spacing == pytest.approx(2000.0)


def test_pages_of_unknown_meaning_are_asked_for(tmp_path, rng):
    array = rng.integers(0, 255, (4, 20, 30), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page in array:
            tif.write(page, contiguous=False, metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match="axes='ZYX'"):
        open_image(tmp_path / "a.tif")
    image = open_image(tmp_path / "a.tif", axes="ZYX")
    np.testing.assert_array_equal(image.read(image.bounds, 2)[0], array[2])
    assert open_image(tmp_path / "a.tif", axes="CYX").num_channels == 4


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("extra", [None, "unassalpha", "unspecified"])
def test_samples_and_alpha(tmp_path, rng, planar, extra):
    count = 3 if extra is None else 4
    array = rng.integers(0, 255, (20, 30, count), np.uint8)
    stored = array if planar == "contig" else np.moveaxis(array, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar,
        extrasamples=None if extra is None else [extra], tile=(16, 16), metadata=None,
    )  # fmt: skip
    image = open_image(tmp_path / "a.tif")
    kept = 4 if extra == "unspecified" else 3
    assert (image.num_channels, image.is_rgb) == (kept, kept == 3)
    np.testing.assert_array_equal(image.read(image.bounds), np.moveaxis(array, -1, 0)[:kept])


def test_a_palette_becomes_colours_or_indices(tmp_path, rng):
    array = rng.integers(0, 4, (20, 30), np.uint8)
    colormap = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="palette", colormap=colormap)
    image = open_image(tmp_path / "a.tif")
    assert image.is_rgb
    np.testing.assert_array_equal(image.read(image.bounds), (colormap >> 8)[:, array])
    indices = open_image(tmp_path / "a.tif", indices=True)
    np.testing.assert_array_equal(indices.read(indices.bounds)[0], array)


def test_absent_tiles_read_as_nothing(tmp_path):
    tile = np.full((32, 32), 9, np.uint8)
    tiles = [tile, None, None, tile]
    tifffile.imwrite(
        tmp_path / "a.tif", iter(tiles), shape=(64, 64), dtype=np.uint8, tile=(32, 32),
        photometric="minisblack", compression="zlib",
    )  # fmt: skip
    image = open_image(tmp_path / "a.tif")
    expected = np.kron(np.eye(2, dtype=np.uint8), tile)
    np.testing.assert_array_equal(image.read(image.bounds)[0], expected)


def test_only_fine_resolutions_are_sizes(tmp_path):
    array = np.zeros((20, 30), np.uint8)
    for resolution, unit, expected in (
        ((72, 72), "INCH", None),
        ((300, 300), "INCH", None),
        ((118, 118), "CENTIMETER", None),
        ((40_000, 20_000), "CENTIMETER", (0.5, 0.25)),
    ):
        tifffile.imwrite(tmp_path / "a.tif", array, resolution=resolution, resolutionunit=unit)
        assert open_image(tmp_path / "a.tif").pixel_size == expected


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/passwd", "sub/b.tif", "..", "a\\b.tif"])
def test_references_out_of_the_folder_are_refused(tmp_path, name):
    inside = tmp_path / "in"
    inside.mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", np.full((20, 30), 42, np.uint8))
    xml = OME.format(name=name, planes=1)
    tifffile.imwrite(
        inside / "a.ome.tif", np.zeros((20, 30), np.uint8), description=xml, metadata=None
    )
    with pytest.raises(InputError, match="outside its folder"):
        open_image(inside / "a.ome.tif")


def test_links_out_of_the_folder_are_refused(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", np.full((20, 30), 42, np.uint8))
    (inside / "b.tif").symlink_to(tmp_path / "secret.tif")
    xml = OME.format(name="b.tif", planes=1)
    tifffile.imwrite(
        inside / "a.ome.tif", np.zeros((20, 30), np.uint8), description=xml, metadata=None
    )
    with pytest.raises(InputError, match="outside its folder"):
        open_image(inside / "a.ome.tif")


def test_absurd_ome_sizes_are_refused(tmp_path):
    xml = OME.format(name="a.ome.tif", planes=2**31)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", np.zeros((20, 30), np.uint8), description=xml, metadata=None
    )
    with pytest.raises(InputError, match="claims"):
        open_image(tmp_path / "a.ome.tif")


def test_a_file_cut_short_is_an_error_that_names_it(tmp_path, rng):
    array = rng.integers(0, 255, (200, 300), np.uint8)
    for name, options in (("plain", {}), ("tiles", {"tile": (64, 64), "compression": "zlib"})):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, array, **options)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=name) as caught:
            read_whole(path)
        assert "\n" not in str(caught.value)


def test_a_huge_strip_is_refused_before_it_is_decoded(tmp_path):
    import zlib

    path = tmp_path / "bomb.tif"
    strip = zlib.compress(bytes(1_000_000))
    side = 30_000
    tifffile.imwrite(
        path, iter([strip]), shape=(side, side), dtype=np.uint8, rowsperstrip=side,
        compression="zlib", photometric="minisblack",
    )  # fmt: skip
    with pytest.raises(InputError, match="MiB is decoded at once"):
        open_image(path)


def test_threads_share_a_reader(big):
    from concurrent.futures import ThreadPoolExecutor

    path, tile = big
    image = open_image(path)
    windows = [
        Window(y, y + 256, x, x + 256) for y in range(0, 2048, 256) for x in range(0, 2048, 256)
    ]
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(image.read, windows):
            np.testing.assert_array_equal(pixels[0], tile)


def write_planes(folder, array, **options):
    """An OME-TIFF of a file a plane; plane 0 is in `0.ome.tif`."""
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(len(array))
    )
    head, _, tail = OME.format(name="x", planes=len(array)).partition("<TiffData")
    tail = tail.partition("</TiffData>")[2]
    for z, plane in enumerate(array):
        xml = (head + data + tail).replace("<OME ", f'<OME UUID="urn:uuid:{z}" ')
        tifffile.imwrite(folder / f"{z}.ome.tif", plane, description=xml, metadata=None, **options)
    return folder / "0.ome.tif"


def test_an_image_in_two_files_of_one_folder(tmp_path, rng):
    array = rng.integers(0, 255, (2, 20, 30), np.uint8)
    image = open_image(write_planes(tmp_path, array, compression="zlib"))
    assert image.num_planes == 2
    for z in range(2):
        np.testing.assert_array_equal(image.read(image.bounds, z)[0], array[z])


def test_a_plane_whose_file_is_missing_is_an_error_that_names_it(tmp_path, rng):
    path = write_planes(tmp_path, rng.integers(0, 255, (3, 20, 30), np.uint8))
    (tmp_path / "1.ome.tif").unlink()
    with pytest.raises(InputError, match=r"1 of 3 planes are missing.* there is no 1\.ome\.tif"):
        open_image(path)


def test_planes_that_would_follow_each_other_in_one_file_lie_in_two(tmp_path, rng):
    array = rng.integers(0, 255, (2, 20, 30), np.uint8)
    path = write_planes(tmp_path, array)
    offsets = []
    for z in range(2):
        with tifffile.TiffFile(tmp_path / f"{z}.ome.tif") as tif:
            offsets.append(tif.pages[0].dataoffsets[0])
    data = (tmp_path / "1.ome.tif").read_bytes()
    moved = offsets[0] + 600  # where plane 1 would begin, were it in the first file
    tag = offsets[1].to_bytes(4, "little")
    assert data.count(tag) == 1
    data = data.replace(tag, moved.to_bytes(4, "little")).ljust(moved, b"\0")[:moved]
    (tmp_path / "1.ome.tif").write_bytes(data + array[1].tobytes())
    image = open_image(path)
    for z in range(2):
        np.testing.assert_array_equal(image.read(image.bounds, z)[0], array[z])


def test_the_fingerprint_is_of_all_files(tmp_path, rng):
    array = rng.integers(0, 255, (2, 20, 30), np.uint8)
    path = write_planes(tmp_path, array, compression="zlib")
    before = open_image(path).fingerprint()
    write_planes(tmp_path, np.stack([array[0], 255 - array[1]]), compression="zlib")
    assert open_image(path).fingerprint() != before
    write_planes(tmp_path, array, compression="zlib")
    assert open_image(path).fingerprint() == before


def test_few_files_stay_open(tmp_path, rng, monkeypatch):
    closed = []
    close = os.close
    monkeypatch.setattr(tiff_files, "_MOST_OPEN", 2)
    array = rng.integers(0, 255, (4, 20, 30), np.uint8)
    image = open_image(write_planes(tmp_path, array, compression="zlib"))
    monkeypatch.setattr(os, "close", lambda number: closed.append(number) or close(number))
    for _ in range(2):
        image.reader._cache._items.clear()
        for z in range(4):
            np.testing.assert_array_equal(image.read(image.bounds, z)[0], array[z])
    assert len(closed) >= 6
