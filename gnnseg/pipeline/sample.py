"""A few cells of an image, in memory: loops are loaded on them, and rates are measured."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.blocks import Block, Window
from gnnseg.io import open_image
from gnnseg.memory import reused_memory
from gnnseg.pipeline.phases import regions_phase
from gnnseg.pipeline.scratch import scratch_in_memory
from gnnseg.pipeline.tiling import Task
from gnnseg.pipeline.windows import Grid

if TYPE_CHECKING:
    from gnnseg.superpixels import PixelReader

_FEW_CELLS, _FEW_PIXELS = 8, 256
"""On which loops are loaded, to each side of the middle."""


def few_cells(step: int) -> int:
    """How many cells to each side of the middle loops are loaded on."""
    return max(1, min(_FEW_CELLS, _FEW_PIXELS // step))


def sample(reader: PixelReader, area: Window, half: int) -> tuple[PixelReader, float]:
    """What lies `half` cells around the middle of `area`, and the seconds to read a pixel.

    The pixels are in memory, with nothing masked.
    """
    image, step = reader.image, reader.settings.step
    y, x = (area.y0 + area.y1) // 2, (area.x0 + area.x1) // 2
    y, x = y // step * step, x // step * step
    window = Window(y, y, x, x).grow(half * step).clip(reader.lattice.bounds)
    started = time.perf_counter()
    pixels = image.read(window, image.num_planes // 2)
    seconds = time.perf_counter() - started
    source = open_image(pixels, axes="CYX", rgb=image.is_rgb)
    return replace(reader, image=source, mask=None), seconds / window.size


def made_up(reader: PixelReader) -> PixelReader:
    """Some cells of an image's type and channels, of noise, to load loops on.

    The image itself is read after the plan, which counts what decoding takes: of some formats all
    is decoded at the first read.
    """
    image, side = reader.image, 2 * few_cells(reader.settings.step) * reader.settings.step
    shape = image.num_channels, min(side, image.height), min(side, image.width)
    pixels = np.random.default_rng(0).integers(0, 128, shape).astype(image.dtype)
    source = open_image(pixels, axes="CYX", rgb=image.is_rgb)
    return replace(reader, image=source, mask=None)


@reused_memory()
def load_region_loops(reader: PixelReader) -> None:
    """Load, or compile, the loops from pixels to region tables.

    Compiling takes memory and leaves code behind: both before the plan that counts.
    """
    few = made_up(reader)
    grid = Grid(few.lattice)
    cells = grid.cells(0)
    regions_phase(few, scratch_in_memory(grid, few.scaling), Task(0, 0, Block(cells, cells)))
