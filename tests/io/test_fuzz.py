"""Valid files with some bytes changed: pixels, or an InputError; never another exception."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gnnseg.blocks import Window
from gnnseg.errors import InputError
from gnnseg.io import open_image

EXAMPLES = int(os.environ.get("GNNSEG_FUZZ_EXAMPLES", "40"))
PIXELS = np.random.default_rng(5).integers(0, 255, (48, 64), np.uint8)


def write_zarr(path):
    stored = zarr.create_array(str(path), shape=PIXELS.shape, chunks=(16, 16), dtype="u1")
    stored[...] = PIXELS


WRITERS = {
    "strips.tif": lambda p: tifffile.imwrite(p, PIXELS, rowsperstrip=5, compression="zlib"),
    "tiles.tif": lambda p: tifffile.imwrite(p, PIXELS, tile=(16, 16), compression="lzw"),
    "plain.tif": lambda p: tifffile.imwrite(p, PIXELS, bigtiff=True),
    "image.ome.tif": lambda p: tifffile.imwrite(p, PIXELS, ome=True, metadata={"axes": "YX"}),
    "imagej.tif": lambda p: tifffile.imwrite(p, PIXELS, imagej=True),
    "image.png": lambda p: Image.fromarray(PIXELS).save(p),
    "image.jpg": lambda p: Image.fromarray(PIXELS).save(p),
    "image.bmp": lambda p: Image.fromarray(PIXELS).save(p),
    "image.npy": lambda p: np.save(p, PIXELS),
}

BYTES = st.sampled_from([0, 1, 2, 64, 127, 128, 255]) | st.integers(0, 255)
changes = st.lists(
    st.tuples(st.integers(0, 2**20), BYTES),
    min_size=1,
    max_size=6,
)


def check_message(path: Path, text: str) -> None:
    assert path.name in text
    assert "\n" not in text


def read_corner(path: Path) -> None:
    try:
        image = open_image(path)
        image.read(Window(0, 64, 0, 64).clip(image.bounds))
    except InputError as error:
        text = str(error)
        check_message(path, text)


def changed(data: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    edited = bytearray(data)
    for position, value in edits:
        # Headers matter most: half of the edits fall into the first 256 bytes.
        place = position % (min(256, len(data)) if position % 2 else len(data))
        edited[place] = value
    return bytes(edited[: len(edited) - cut % len(edited)] if cut else edited)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.filterwarnings("ignore")
def test_changed_files(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    data = path.read_bytes()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(edits=changes, cut=st.just(0) | st.integers(0, 2**16))
    def run(edits, cut):
        path.write_bytes(changed(data, edits, cut))
        read_corner(path)

    run()


@pytest.mark.filterwarnings("ignore")
def test_changed_zarr_metadata(tmp_path):
    path = tmp_path / "image.zarr"
    write_zarr(path)
    data = (path / "zarr.json").read_bytes()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(edits=changes, cut=st.just(0) | st.integers(0, 2**16))
    def run(edits, cut):
        (path / "zarr.json").write_bytes(changed(data, edits, cut))
        read_corner(path)

    run()


@pytest.mark.filterwarnings("ignore")
def test_changed_chunks(tmp_path):
    path = tmp_path / "image.zarr"
    write_zarr(path)
    chunk = path / "c/0/0"
    data = chunk.read_bytes()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(edits=changes, cut=st.just(0) | st.integers(0, 2**16))
    def run(edits, cut):
        chunk.write_bytes(changed(data, edits, cut))
        read_corner(path)

    run()
