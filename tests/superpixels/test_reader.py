"""What lies beside pixels that are not finite: no edge, and the same for any window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from gnnseg.blocks import Window
from gnnseg.io import open_image
from gnnseg.kernels.slots import MASKED
from gnnseg.superpixels import PixelReader, Scaling, SlicSettings
from gnnseg.superpixels.reader import BAND_MARGIN, MARGIN

COLOURS = Scaling((0.0,) * 3, (1.0,) * 3, rgb=True)


def around(valid, margin, distance):
    """Pixels at most `distance` from a valid one, with a margin around all."""
    wide = np.pad(valid, margin, mode="edge")
    return ndimage.maximum_filter(wide, 2 * distance + 1)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("value", [0.3, np.float32(0.9)])
def test_a_flat_field_is_flat_where_the_rest_is_missing(sigma, value):
    image = np.full((3, 40, 60), value, np.float32)
    image[1] *= np.float32(0.5)
    edge = 22 + np.arange(40) % 3
    image[:, np.arange(60) >= edge[:, None]] = np.nan
    image[0, :, 50:] = 1.0  # two of three channels are missing
    valid = np.isfinite(image).all(axis=0)
    reader = PixelReader(open_image(image, axes="CYX"), COLOURS, SlicSettings(step=8, sigma=sigma))
    pixels = reader.read(reader.lattice.bounds)
    np.testing.assert_array_equal(pixels.slots == MASKED, ~valid)
    flat = pixels.work[:, MARGIN, MARGIN, None]
    assert (pixels.work[:, around(valid, MARGIN, MARGIN)] == flat).all()
    assert (pixels.smooth[:, around(valid, MARGIN, 1)] == flat).all()
    bands = reader.read_bands(reader.lattice.bounds, 16, np.empty((40, 60), np.uint8))
    for band, smooth in bands:
        seen = around(valid[band.slices], BAND_MARGIN, 1)
        assert (smooth[:, seen] == flat).all()


@pytest.mark.parametrize("sigma", [0.0, 0.5, 2.0])
def test_a_window_is_read_as_in_the_whole_image(sigma):
    rng = np.random.default_rng(0)
    image = rng.random((90, 100)).astype(np.float32)
    image[rng.random(image.shape) < 0.4] = np.nan
    image[28:60, 33:70] = np.nan
    image[:28, 44:51] = np.nan  # as deep in the middle as textures look, beside a window's end
    image[60:, 52:65] = np.nan  # and as smoothing of 2 looks
    image[60:, 65:] *= np.float32(0.1)
    valid = np.isfinite(image)
    grey = Scaling((0.0,), (1.0,), rgb=False)
    reader = PixelReader(open_image(image), grey, SlicSettings(step=4, sigma=sigma))
    whole = reader.read(reader.lattice.bounds)
    for window in (Window(24, 48, 20, 44), Window(28, 32, 32, 36), Window(0, 90, 32, 52)):
        part = reader.read(window)
        frame = Window(window.y0, window.y1 + 2 * MARGIN, window.x0, window.x1 + 2 * MARGIN).slices
        known = np.pad(valid[window.slices], MARGIN)
        for name, distance in (("work", MARGIN), ("smooth", 1)):
            seen = ndimage.maximum_filter(known, 2 * distance + 1)
            got, expected = getattr(part, name)[0], getattr(whole, name)[0][frame]
            np.testing.assert_array_equal(got[seen], expected[seen], err_msg=name)
