"""The stem over an image: windows that are the same whatever the blocks of a run are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnseg.blocks import Lattice, Window, chunk_cells
from gnnseg.kernels.arrays import on_host
from gnnseg.models.stem import StemInput

if TYPE_CHECKING:
    from gnnseg.graph import RegionTable
    from gnnseg.models.model import Model
    from gnnseg.models.stem import Stem
    from gnnseg.superpixels import PixelReader


def read_input(
    stem: Stem,
    reader: PixelReader,
    plane: int,
    cells: Window,
    read_slots: Callable[[Window], np.ndarray],
) -> StemInput:
    """What the stem reads for the regions of `cells`.

    `read_slots` gives the slots (H, W) uint8 of a window of pixels.
    """
    lattice = reader.lattice
    read = stem.window(cells, lattice)
    pixels = lattice.pixels(read)
    work = on_host(reader.channels(pixels, plane))
    return _make_input(work, read_slots(pixels), lattice.step, read, cells)


def cut_input(
    stem: Stem, work: np.ndarray, slots: np.ndarray, step: int, cells: Window
) -> StemInput:
    """The same of a plane in memory: working channels (C, H, W) int16 and slots (H, W) uint8."""
    height, width = slots.shape
    lattice = Lattice(height, width, step)
    read = stem.window(cells, lattice)
    pixels = lattice.pixels(read).slices
    return _make_input(work[(slice(None), *pixels)], slots[pixels], step, read, cells)


def _make_input(
    work: np.ndarray, slots: np.ndarray, step: int, read: Window, cells: Window
) -> StemInput:
    return StemInput(
        work=torch.from_numpy(np.ascontiguousarray(work)),
        slots=torch.from_numpy(np.ascontiguousarray(slots)),
        step=step,
        cells=read.shape,
        crop=cells.relative_to(read).slices,
    )


def window_states(stem: Stem, inputs: StemInput, area: np.ndarray) -> np.ndarray:
    """States (rows, columns, channels) float32 of the wanted regions, whose pixels are `area`."""
    with torch.inference_mode():
        pixels = torch.from_numpy(area.reshape(-1, 1).astype(np.float32))
        return stem(inputs, pixels).numpy().reshape(*area.shape, stem.out_channels)


def plane_logits(
    model: Model, reader: PixelReader, slots: np.ndarray, table: RegionTable
) -> np.ndarray:
    """Logits (N, classes) float32 of the regions of a plane: those of a run by blocks.

    Parameters
    ----------
    model : Model
    reader : PixelReader
        Of the image; only a stem reads it.
    slots : (H, W) uint8
    table : RegionTable
        Of the whole lattice.
    """
    stem = model.network.stem
    if stem is None:
        return model.logits(table)
    states = np.empty((*table.window.shape, stem.out_channels), np.float32)
    slots = on_host(slots)
    for cells in table.window.split(chunk_cells(reader.settings.step)):
        inputs = read_input(stem, reader, 0, cells, lambda window: slots[window.slices])
        states[cells.slices] = window_states(stem, inputs, table.area[cells.slices])
    return model.logits(table, states.reshape(-1, stem.out_channels))
