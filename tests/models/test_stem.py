"""The learned stem: sizes, halo, masks, and windows that do not depend on a run's blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnseg.blocks import Lattice, Window
from gnnseg.graph import whole_table
from gnnseg.io import open_image
from gnnseg.kernels.slots import MASKED
from gnnseg.models.stem import ALIGN, Stem, StemInput
from gnnseg.models.stem_window import read_input, window_states
from gnnseg.superpixels import PixelReader, Scaling, SlicSettings

RGB = Scaling((0.0,) * 3, (255.0,) * 3, rgb=True)


def make_stem(**options):
    torch.manual_seed(0)
    stem = Stem(RGB, **({"widths": (6, 8, 12), "out_channels": 5} | options)).eval()
    for parameter in stem.parameters():
        if parameter.ndim == 0:
            torch.nn.init.constant_(parameter, 0.7)  # as after some training
    return stem


def image_of(seed, height, width):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    return open_image(pixels, axes="CYX")


def whole_input(work, slots=None):
    height, width = work.shape[1:]
    cells = -(-height // 8), -(-width // 8)
    if slots is None:
        slots = torch.full((height, width), 12, dtype=torch.uint8)
    return StemInput(work, slots, 8, cells, (slice(0, cells[0]), slice(0, cells[1])))


def test_parameters_and_maps_of_the_default():
    stem = Stem(RGB)
    assert sum(p.numel() for p in stem.parameters()) == 181_247
    work = torch.zeros(3, 50, 61, dtype=torch.int16)
    quarter, eighth = stem.maps(whole_input(work))
    assert quarter.shape == (1, 32, 13, 16)
    assert eighth.shape == (1, 64, 7, 8)


@pytest.mark.parametrize("blocks", [(0, 0), (1, 0), (1, 2), (2, 3)])
def test_the_halo_is_what_a_value_depends_on(blocks):
    """The gradient of a value reaches its whole receptive field, which the halo covers."""
    stem = make_stem(blocks=blocks)
    size = 2 * stem.halo + 8 * ALIGN
    inputs = whole_input(torch.zeros(3, size, size, dtype=torch.int16))
    pixels = torch.rand(3, size, size, requires_grad=True)
    object.__setattr__(inputs, "work", pixels * 1000)
    at = size // 2 // ALIGN
    stem.maps(inputs)[1][0, :, at, at].sum().backward()
    reached = pixels.grad.abs().sum(dim=0).nonzero()
    low, high = reached.min().item(), reached.max().item()
    assert at * ALIGN - low <= stem.halo
    assert high - (at * ALIGN + ALIGN - 1) <= stem.halo
    assert at * ALIGN - low > stem.halo - 2 * ALIGN  # and is not far too wide


@pytest.mark.parametrize("step", [2, 3, 5, 8, 12, 16, 40])
def test_windows_begin_at_multiples_and_hold_the_halo(step):
    stem, lattice = make_stem(), Lattice(900, 1100, step)
    for cells in lattice.cells.split(16):
        window = stem.window(cells, lattice)
        assert window.y0 * step % ALIGN == window.x0 * step % ALIGN == 0
        needed = lattice.pixels(cells.grow(2).clip(lattice.cells)).grow(stem.halo)
        needed = needed.clip(lattice.bounds)
        assert needed.clip(lattice.pixels(window)) == needed
        assert window.clip(cells.grow(stem.margin(step))) == window


@pytest.mark.parametrize("step", [6, 8])
def test_a_window_gives_the_states_of_the_whole(step):
    stem = make_stem()
    reader = PixelReader(image_of(1, 331, 418), RGB, SlicSettings(step=step, n_iter=1))
    slots, table = whole_table(reader)

    def states(cells):
        inputs = read_input(stem, reader, 0, cells, lambda part: slots[part.slices])
        return window_states(stem, inputs, table.area[cells.slices])

    whole = states(table.window)
    cells = Window(16, 32, 16, 32)
    assert stem.window(cells, reader.lattice) != table.window
    np.testing.assert_allclose(states(cells), whole[cells.slices], atol=1e-4)


def test_three_units_less_of_halo_are_not_enough():
    stem = make_stem()
    reader = PixelReader(image_of(2, 420, 420), RGB, SlicSettings(step=8, n_iter=1))
    slots, table = whole_table(reader)
    cells = Window(20, 28, 20, 28)

    def states():
        inputs = read_input(stem, reader, 0, cells, lambda part: slots[part.slices])
        return window_states(stem, inputs, table.area[cells.slices])

    enough = states()
    stem.halo -= 3 * ALIGN
    assert np.abs(states() - enough).max() > 1e-4


def test_masked_pixels_do_not_speak():
    stem, rng = make_stem(), np.random.default_rng(3)
    slots = torch.full((64, 64), 12, dtype=torch.uint8)
    slots[10:30, 20:50] = MASKED
    work = torch.from_numpy(rng.integers(0, 1000, (3, 64, 64)).astype(np.int16))
    other = torch.where(slots == MASKED, 777, work).to(torch.int16)
    area = torch.full((64, 1), 64.0)
    with torch.inference_mode():
        np.testing.assert_array_equal(
            stem(whole_input(work, slots), area), stem(whole_input(other, slots), area)
        )


def test_empty_regions_have_finite_states():
    slots = torch.full((16, 16), MASKED, dtype=torch.uint8)
    work = torch.zeros(3, 16, 16, dtype=torch.int16)
    with torch.inference_mode():
        states = make_stem()(whole_input(work, slots), torch.zeros(4, 1))
    assert torch.isfinite(states).all()
