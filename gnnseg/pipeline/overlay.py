"""A picture of an image with some of its regions marked and numbered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.io.picture import MARK, replacing_picture

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.pipeline.outlines import Outline
    from gnnseg.superpixels import Scaling

MOST, LEAST = 1600, 1000
"""Pixels on the longer side of the picture: larger images are shrunk, smaller ones enlarged to
about as many."""
_READ = 1024
_RING, _EDGE = (255, 221, 0), (0, 0, 0)
_RADIUS = 5
"""Pixels around a region in the picture, so that small ones can be seen as well."""


def save_overlay(
    image: ImageSource, scaling: Scaling, marks: Sequence[tuple[int, Outline]], path: Path
) -> None:
    """Write a PNG of the image in which each outline has a ring and its number."""
    from PIL.PngImagePlugin import PngInfo

    shrink = max(1, -(-max(image.height, image.width) // MOST))
    picture = overview(image, scaling, shrink)
    enlarge = max(1, round(LEAST / max(picture.shape)))
    picture = picture.repeat(enlarge, 0).repeat(enlarge, 1)
    for _, outline in marks:
        _ring(picture, outline, shrink, enlarge)
    canvas = _numbered(picture, marks, enlarge / shrink)
    about = PngInfo()
    for name, text in MARK.items():
        about.add_text(name, text)
    with replacing_picture(path) as partial:
        canvas.save(partial, format="PNG", pnginfo=about)


def overview(image: ImageSource, scaling: Scaling, shrink: int) -> np.ndarray:
    """The first plane as (h, w, 3) uint8: means of `shrink` x `shrink` pixels, read in parts."""
    height, width = (-(-side // shrink) for side in (image.height, image.width))
    out = np.empty((height, width, 3), np.uint8)
    for window in image.bounds.split(shrink * max(1, _READ // shrink)):
        out[window.coarsen(shrink).slices] = _shrunk(image, scaling, window, shrink)
    return out


def _shrunk(image: ImageSource, scaling: Scaling, window: Window, shrink: int) -> np.ndarray:
    pixels = image.read(window).astype(np.float32)
    low = np.array(scaling.low, np.float32)[: len(pixels), None, None]
    high = np.array(scaling.high, np.float32)[: len(pixels), None, None]
    shares = np.nan_to_num(np.clip((pixels - low) / np.maximum(high - low, 1e-6), 0, 1))
    if not image.is_rgb:
        shares = shares.mean(axis=0, keepdims=True)
    for axis in (1, 2):
        starts = np.arange(0, shares.shape[axis], shrink)
        sizes = np.diff(np.append(starts, shares.shape[axis]))
        sums = np.add.reduceat(shares, starts, axis=axis)
        shares = sums / np.expand_dims(sizes, (0, 3 - axis))
    return np.broadcast_to(np.rint(255 * np.moveaxis(shares, 0, -1)), (*shares.shape[1:], 3))


def _ring(picture: np.ndarray, outline: Outline, shrink: int, enlarge: int) -> None:
    """Paint a bright ring with a dark edge around a region."""
    from scipy.ndimage import binary_dilation

    y, x = np.nonzero(outline.mask())
    y = (y + outline.window.y0) // shrink
    x = (x + outline.window.x0) // shrink
    area = Window(int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1)
    mask = np.zeros(area.shape, np.bool_)
    mask[y - area.y0, x - area.x0] = True
    mask = mask.repeat(enlarge, 0).repeat(enlarge, 1)
    area = area.scale(enlarge).grow(2 * _RADIUS)
    wide = np.pad(mask, 2 * _RADIUS)
    grown = max(1, _RADIUS - min(mask.shape) // 2)
    inside = binary_dilation(wide, iterations=grown)
    ring = binary_dilation(inside, iterations=2)
    edge = binary_dilation(ring)
    shown = area.clip(Window(0, picture.shape[0], 0, picture.shape[1]))
    part, crop = picture[shown.slices], shown.relative_to(area).slices
    part[(edge & ~ring)[crop]] = _EDGE
    part[(ring & ~inside)[crop]] = _RING


def _numbered(picture: np.ndarray, marks: Sequence[tuple[int, Outline]], scale: float) -> Any:
    """The picture with the number of every region beside it, off the other numbers if possible."""
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=16)
    taken: list[Window] = []
    for number, outline in marks:
        text = str(number)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font, stroke_width=2)
        size = int(bottom - top) + 1, int(right - left) + 1
        places = _places(outline.window, scale, size, picture.shape)
        box = next((p for p in places if not any(p.clip(t).size for t in taken)), places[0])
        taken.append(box)
        place = box.x0 - left, box.y0 - top
        draw.text(place, text, fill=_RING, font=font, stroke_width=2, stroke_fill=_EDGE)
    return canvas


def _places(
    region: Window, scale: float, size: tuple[int, int], shape: tuple[int, ...]
) -> list[Window]:
    """Where a number of that size may stand: at the corners of a region, within the picture."""
    height, width = size
    y0, y1 = int(region.y0 * scale) - _RADIUS, int(region.y1 * scale) + _RADIUS
    x0, x1 = int(region.x0 * scale) - _RADIUS, int(region.x1 * scale) + _RADIUS
    corners = [(y0 - height, x1), (y1, x1), (y0 - height, x0 - width), (y1, x0 - width)]
    kept = [
        (min(max(y, 0), max(shape[0] - height, 0)), min(max(x, 0), max(shape[1] - width, 0)))
        for y, x in corners
    ]
    return [Window(y, y + height, x, x + width) for y, x in kept]
