from __future__ import annotations

import numpy as np
import pytest

from gnnseg.blocks import Window
from gnnseg.errors import InputError, UsageError
from gnnseg.io import open_image
from gnnseg.io.axes import resolve_axes


@pytest.mark.parametrize(
    ("shape", "channels", "planes"),
    [
        ((30, 40), 1, 1),
        ((30, 40, 3), 3, 1),
        ((30, 40, 4), 3, 1),
        ((30, 40, 1), 1, 1),
        ((1, 30, 40), 1, 1),
        ((1, 1, 30, 40), 1, 1),
        ((1, 30, 40, 3), 3, 1),
        ((1, 5000), 1, 1),
        ((5000, 1), 1, 1),
    ],
)
def test_what_is_guessed_without_axes(shape, channels, planes):
    image = open_image(np.zeros(shape, np.uint8))
    assert (image.num_channels, image.num_planes) == (channels, planes)


@pytest.mark.parametrize("shape", [(5, 30, 40), (2, 3, 30, 40), (30, 40, 5)])
def test_ambiguous_axes_are_asked_for(shape):
    with pytest.raises(InputError, match="pass axes"):
        open_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("axes", ["CYX", "YXC", "YCX", "ZCYX", "CZYX", "ZYXC", "tzyxc"])
def test_every_order_of_axes_reads_the_same_pixels(axes, rng):
    sizes = {"T": 1, "Z": 3, "C": 2, "Y": 20, "X": 30}
    upper = axes.upper()
    order = [letter for letter in "TZCYX" if letter in upper]
    canonical = rng.integers(0, 255, [sizes[letter] for letter in order], np.uint8)
    array = canonical.transpose([order.index(letter) for letter in upper])
    image = open_image(array, axes=axes)
    window = Window(3, 11, 4, 29)
    planes = canonical.reshape(-1, 2, 20, 30)
    assert image.num_planes == len(planes)
    for plane in range(image.num_planes):
        pixels = image.read(window, plane)
        np.testing.assert_array_equal(pixels, planes[plane][:, 3:11, 4:29])
        assert pixels.flags.c_contiguous


def test_axes_of_length_one_may_be_left_out():
    layout = resolve_axes((1, 7, 1, 20, 30), name="x", given="ZYX")
    assert (layout.num_planes, layout.num_channels) == (7, 1)


def test_time_points_need_a_choice(rng):
    array = rng.integers(0, 255, (4, 20, 30), np.uint8)
    with pytest.raises(InputError, match=r"4 time points.*select"):
        open_image(array, axes="TYX")
    image = open_image(array, axes="TYX", select={"T": 2})
    np.testing.assert_array_equal(image.read(image.bounds)[0], array[2])
    with pytest.raises(UsageError, match="outside 0 to 3"):
        open_image(array, axes="TYX", select={"T": 4})
    with pytest.raises(UsageError, match="no axis 'Z'"):
        open_image(array, axes="TYX", select={"Z": 0})


@pytest.mark.parametrize("axes", ["YYX", "ZY", "QYX", "", "ZCYX"])
def test_axes_that_do_not_fit_are_usage_errors(axes):
    with pytest.raises(UsageError, match="axes"):
        open_image(np.zeros((5, 20, 30), np.uint8), axes=axes)


def test_at_most_64_channels():
    assert open_image(np.zeros((64, 9, 9), np.uint8), axes="CYX").num_channels == 64
    with pytest.raises(InputError, match="65 channels"):
        open_image(np.zeros((65, 9, 9), np.uint8), axes="CYX")


def test_four_channels_named_by_axes_are_kept():
    assert open_image(np.zeros((9, 9, 4), np.uint8), axes="YXC").num_channels == 4


@pytest.mark.parametrize("shape", [(5,), (), (0, 5), (5, 0, 3)])
def test_no_image_in_there(shape):
    with pytest.raises(InputError):
        open_image(np.zeros(shape, np.uint8))


def test_windows_outside_the_image_are_refused():
    image = open_image(np.zeros((20, 30), np.uint8))
    for window in (Window(-1, 5, 0, 5), Window(0, 21, 0, 5), Window(0, 5, 0, 31)):
        with pytest.raises(UsageError, match="outside"):
            image.read(window)
    with pytest.raises(UsageError, match="plane 1"):
        image.read(Window(0, 5, 0, 5), 1)
    assert image.read(Window(5, 5, 0, 3)).shape == (1, 0, 3)
