"""Every odd or malformed file of the public collection: right pixels, or one clear sentence."""

from __future__ import annotations

import csv
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from gnnseg.blocks import Window
from gnnseg.errors import InputError
from gnnseg.io import open_image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("GNNSEG_DATA", ROOT.parent / "shared" / "data")) / "badinput"
if not (FOLDER / "index.csv").is_file():
    pytest.skip(f"no public data: {FOLDER} is absent; set GNNSEG_DATA", allow_module_level=True)

with (FOLDER / "index.csv").open(encoding="utf-8", newline="") as index:
    ROWS = list(csv.DictReader(index))

REFUSED = {"gray.c16.tif": "complex128"}
"""Files that a reference reads and that are refused on purpose, with what the error must say."""

TO_RGB = {"pil_sample_cmyk.jpg"}
"""Converted to RGB by Pillow, so that the stored channels are not what is read."""

SECONDS = 10
SLACK_BYTES = 256 * 2**20
COPIES = 8


def peak_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory cannot be reset here")
    return peak_bytes()


def opened(row):
    """The image of a row, its pages called planes where their meaning is unknown."""
    path = FOLDER / row["file"]
    options = {"indices": True}
    if row["axes"].startswith("I"):
        options["axes"] = row["axes"].replace("I", "Z").replace("S", "C")
    return open_image(path, **options)


def read_all(image):
    """All planes as (Z, C, Y, X); a corner of what is too large to hold."""
    window = image.bounds.clip(Window(0, 100_000, 0, 100_000))
    if window.size > 10**8:
        window = Window(0, 64, 0, 64)
    return np.stack([image.read(window, plane) for plane in range(image.num_planes)])


def in_reference_order(pixels, row):
    """(Z, C, Y, X) as the reference reader's array, or None where channels were dropped."""
    shape = tuple(int(n) for n in row["shape"].split("x"))
    axes = row["axes"] or ("YXS" if len(shape) == 3 else "YX")
    axes = axes.replace("I", "Z").replace("S", "C")
    present = pixels
    order = [axes.index(k) for k in axes if k in "ZCYX"]
    assert len(order) == len(shape)
    for letter, axis in (("C", 1), ("Z", 0)):
        if letter not in axes:
            assert present.shape[axis] == 1
            present = np.squeeze(present, axis=axis)
    kept = [k for k in "ZCYX" if k in axes]
    array = present.transpose([kept.index(k) for k in axes])
    return array if array.shape == shape else None


def reference_slice(row):
    """What the reference reader gives, without the alpha that is dropped, as (Z, C, Y, X)."""
    path, axes = FOLDER / row["file"], row["axes"]
    if axes:
        import tifffile

        array = tifffile.imread(path)
    else:
        from PIL import Image

        with Image.open(path) as image:
            array = np.asarray(image.convert("RGB") if path.name in TO_RGB else image)
        axes = "YXS"
    letters = "".join(axes).replace("I", "Z").replace("S", "C")
    array = array if "Z" in letters else array[None]
    letters = letters if "Z" in letters else "Z" + letters
    return array.transpose([letters.index(k) for k in "ZCYX"])


def check_pixels(row, image):
    pixels = read_all(image)
    if not row["dtype"] or not row["array_sha256_16"]:
        return
    array = None if Path(row["file"]).name in TO_RGB else in_reference_order(pixels, row)
    if array is None:
        np.testing.assert_array_equal(pixels, reference_slice(row)[:, : pixels.shape[1]])
        return
    dtype = np.dtype(row["dtype"])
    assert image.dtype == (np.uint8 if dtype.kind == "b" else dtype)
    digest = hashlib.sha256(np.ascontiguousarray(array.astype(dtype)).tobytes()).hexdigest()
    assert digest[:16] == row["array_sha256_16"]


def check_refusal(row, text):
    name = Path(row["file"]).name
    assert name in text
    assert "\n" not in text
    assert len(text) < 300 + len(str(FOLDER))
    assert row["expected"] != "reads" or REFUSED.get(name, "\0") in text


@pytest.mark.parametrize("row", ROWS, ids=[row["file"].removeprefix("files/") for row in ROWS])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_row(row):
    before, started = reset_peak(), time.monotonic()
    try:
        image = opened(row)
        check_pixels(row, image)
    except InputError as error:
        check_refusal(row, str(error))
        size = 0
    else:
        assert row["expected"] != "clear error"
        size = image.num_planes * image.num_channels * image.height * image.width
        size = min(size * image.dtype.itemsize, 10**9)
    assert time.monotonic() - started < SECONDS
    assert peak_bytes() - before < SLACK_BYTES + COPIES * size
