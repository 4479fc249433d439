"""Pillow's images are turned to pixels band by band, and what decoding takes is told."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gnnseg.blocks import Window
from gnnseg.io import open_image, raster_source


def saved(path, mode, **options):
    pixels = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 255)
    else:
        image = image.quantize(7) if mode == "P" else image.convert(mode)
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "name", "decoding", "kept"),
    [
        ("RGB", "a.png", 4, 3),
        ("RGBA", "a.png", 4, 3),
        ("L", "a.png", 1, 1),
        ("LA", "a.png", 4, 1),
        ("P", "a.png", 1, 3),
        ("1", "a.png", 1, 1),
        ("I;16", "a.png", 2, 2),
        ("CMYK", "a.jpg", 4, 3),
        ("RGB", "a.webp", 17, 3),
    ],
)
def test_bands_are_the_whole(tmp_path, monkeypatch, mode, name, decoding, kept):
    path = saved(tmp_path / name, mode)
    monkeypatch.setattr(raster_source, "_BAND_PIXELS", 7 * 70)
    image = open_image(path)
    with Image.open(path) as whole:
        wanted = {"RGBA": "RGB", "P": "RGB", "CMYK": "RGB", "LA": "L"}.get(mode)
        target = whole.convert(wanted) if wanted else whole
        expected = np.asarray(target).astype(image.dtype)
    if expected.ndim == 2:
        expected = expected[..., None]
    np.testing.assert_array_equal(image.read(image.bounds), np.moveaxis(expected, -1, 0))
    assert image.resident_bytes == 90 * 70 * (decoding + kept)


def test_a_progressive_jpeg_is_held_twice(tmp_path):
    image = open_image(saved(tmp_path / "a.jpg", "RGB", progressive=True))
    assert image.resident_bytes == 90 * 70 * (4 + 2 * 3 + 3)


def test_pixels_are_not_copied_whole(tmp_path):
    Image.new("RGBA", (3000, 1000)).save(tmp_path / "a.png")
    image = open_image(tmp_path / "a.png")
    tracemalloc.start()
    image.read(Window(0, 5, 0, 5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * 3 * 3000 * 1000
