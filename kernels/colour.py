"""From native pixels to working channels: a fixed-point scale, and opponent colours.

Of three colour channels, lightness and two differences remain: red against green, and both against
blue, after Hering; see van de Sande, Gevers, Snoek, "Evaluating color descriptors for object and
scene recognition", IEEE TPAMI 32(9), 2010, section 2.1. Sums and differences of integers are exact
everywhere, and superpixels follow objects as well as in CIE Lab.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.arrays import is_device_array
from gnnseg.kernels.compiled import inlined, loop, part

TOP = 1020
"""Most working units of a channel, four to an 8-bit grey level."""
NEUTRAL = 2 * TOP
"""What a difference of colours holds where there is none; it may reach twice that."""
SHIFT = 19
_RGB = 3
_HALF = 1 << (SHIFT - 1)
_ROWS = 64
"""Rows of floats that are scaled at once."""


def scale_integers(
    pixels: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    top: int,
    rgb: bool,
    out: np.ndarray,
    corner: tuple[int, int] = (0, 0),
) -> None:
    """Map integers of at most 16 bits to `(v - low) * top / (high - low)` in 0 .. top, rounded.

    In fixed point: ties, and what comes within a tenth of one, may go either way.

    Parameters
    ----------
    pixels : (C, H, W) int8, uint8, int16 or uint16
        Colours may lie side by side, and rows be parts of longer ones: they are read as they lie.
    low, high : (C,) float64
        Ends of the scale; one that is shorter than 1 counts as 1 long.
    top : int
        At most `TOP`.
    rgb : bool
        Three channels become lightness, red against green, and yellow against blue.
    out : (C, H', W') int16
    corner : (y, x)
        Where in `out` the first pixel lies; the rest is not touched.
    """
    constants = _make_constants(pixels.dtype, low, high, top)
    if is_device_array(pixels):
        from gnnseg.kernels.cuda import colour as gpu

        gpu.scale_integers(pixels, constants, top, rgb, out, corner)
    else:
        flat, apart = _memory(pixels)
        values = np.empty(pixels.shape[::2], pixels.dtype)
        _scale_integers(flat, apart, values, constants, np.int32(top), rgb, out, corner)


def _make_constants(dtype: np.dtype, low: np.ndarray, high: np.ndarray, top: int) -> np.ndarray:
    """First and last value of each channel that is told apart, its gain, and what is added."""
    high = np.maximum(high, low + 1.0)
    limits = np.iinfo(dtype)
    first, last = (np.clip(end, limits.min, limits.max) for end in (np.floor(low), np.ceil(high)))
    whole = top << SHIFT
    gain = whole / (high - low)
    offset = np.clip((first - low) * gain, -whole, whole) + _HALF
    return np.rint(np.stack([first, last, gain, offset], axis=1)).astype(np.int32)


Colours = tuple[np.ndarray, tuple[int, int, int, bool], np.ndarray, int]
"""Colours of 8 bits as `scale_rows` takes them: memory, its order, room for a row, and levels."""
NO_COLOURS: Colours = (
    np.frombuffer(b"", np.uint8), (0, 0, 0, False), np.empty((_RGB, 0), np.uint8), 0
)  # fmt: skip


def levels_of_bytes(low: np.ndarray, high: np.ndarray, top: int) -> int:
    """How many levels each value of 8 bits counts, where that is whole and the same for all; or 0.

    >>> levels_of_bytes(np.zeros(3), np.full(3, 255.0), TOP)
    4
    """
    constants, last = _make_constants(np.dtype(np.uint8), low, high, top), np.iinfo(np.uint8).max
    times = int(constants[0, 2]) >> SHIFT
    whole = last * times <= top and (constants == (0, last, times << SHIFT, _HALF)).all()
    return times if whole else 0


def view_colours(pixels: np.ndarray, times: int) -> Colours:
    """What `scale_rows` needs of colours (3, H, W) uint8, each of which counts `times` levels."""
    return *_memory(pixels), np.empty(pixels.shape[::2], np.uint8), times


@loop
def scale_rows(colours, first, rows, margins, out):
    """Write working channels of `rows` rows of colours from `first` on, as `scale_integers` does.

    `out` (3, rows or more, W) has margins (left, right) that repeat the pixels at the ends of a
    row, and rows before the first or after the last repeat these.
    """
    flat, apart, values, times = colours
    left, right = margins[0], margins[0] + values.shape[1]
    for row in range(rows):
        y = min(max(first + row, 0), apart[2] - 1)
        if apart[3]:
            _split(flat[y * apart[1] :], values[0], values[1], values[2])
        else:
            for c in range(values.shape[0]):
                _copy(flat[c * apart[0] + y * apart[1] :], values[c])
        grey, red, yellow = (
            out[0, row, left:right], out[1, row, left:right], out[2, row, left:right]
        )  # fmt: skip
        _oppose_times(values[0], values[1], values[2], np.int16(times), grey, red, yellow)
        for c in range(out.shape[0]):
            for x in range(margins[0]):
                out[c, row, x] = out[c, row, left]
            for x in range(margins[1]):
                out[c, row, right + x] = out[c, row, right - 1]


@part
def _oppose_times(reds, greens, blues, times, first, second, third):
    """Write working channels of a row of colours whose values are so many levels each."""
    for x in range(first.size):
        r, g, b = np.int16(reds[x]), np.int16(greens[x]), np.int16(blues[x])
        grey, red, yellow = np.int16(r + 2 * g + b), np.int16(r - g), np.int16(r + g - 2 * b)
        first[x] = np.int16(times * grey) >> np.int16(2)
        second[x] = np.int16(NEUTRAL + np.int16(2 * np.int16(times * red)))
        third[x] = np.int16(NEUTRAL + np.int16(times * yellow))


def _memory(pixels: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, bool]]:
    """All memory from the first pixel to the last, and how far channels and rows lie apart in it.

    Then how many rows there are, and whether three colours lie side by side; other orders are
    copied.
    """
    size, (channels, height, width) = pixels.itemsize, pixels.shape
    side_by_side = channels == _RGB and pixels.strides[::2] == (size, _RGB * size)
    along_x = _RGB if side_by_side else 1
    rows = size * along_x * width
    if pixels.strides[2] != size * along_x or pixels.strides[1] < rows or pixels.strides[0] < 0:
        return _memory(pixels.copy(order="C"))
    apart = pixels.strides[0] // size, pixels.strides[1] // size
    length = (channels - 1) * apart[0] + (height - 1) * apart[1] + (width - 1) * along_x + 1
    flat = np.lib.stride_tricks.as_strided(pixels, (length,), (size,), writeable=False)
    return flat, (*apart, height, side_by_side)


@loop
def _scale_integers(flat, apart, values, constants, top, rgb, out, corner):
    """Scale row by row; `values` has room for one of each channel."""
    (channels, width), height = values.shape, apart[2]
    left, right = corner[1], corner[1] + width
    for y in range(height):
        row = corner[0] + y
        if apart[3]:
            _split(flat[y * apart[1] :], values[0], values[1], values[2])
        for c in range(channels):
            if not apart[3]:
                _copy(flat[c * apart[0] + y * apart[1] :], values[c])
            first, last, gain, offset = constants[c]
            _scale_row(values[c], first, last, gain, offset, top, out[c, row, left:right])
        if rgb:
            _oppose(out[0, row, left:right], out[1, row, left:right], out[2, row, left:right])


@inlined
def _split(colours, red, green, blue):
    """Write three colours that lie side by side each to a row of its own."""
    for x in range(np.uint64(red.size)):
        red[x] = colours[np.uint64(3) * x]
        green[x] = colours[np.uint64(3) * x + np.uint64(1)]
        blue[x] = colours[np.uint64(3) * x + np.uint64(2)]


@inlined
def _copy(source, target):
    for x in range(target.size):
        target[x] = source[x]


@inlined
def _scale_row(values, first, last, gain, offset, top, out):
    for x in range(values.size):
        value = np.int32(min(max(np.int32(values[x]), first), last) - first)
        level = np.int32(np.int32(value * gain) + offset) >> np.int32(SHIFT)
        out[x] = min(max(np.int32(level), np.int32(0)), top)


@part
def _oppose(red, green, blue):
    """Turn a row of levels of colours into working channels, in place."""
    for x in range(red.size):
        r, g, b = red[x], green[x], blue[x]
        red[x] = np.int16(r + 2 * g + b) >> 2
        green[x] = np.int16(NEUTRAL + 2 * (r - g))
        blue[x] = np.int16(NEUTRAL + r + g - 2 * b)


def scale_floats(
    pixels: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    top: int,
    rgb: bool,
    valid: np.ndarray,
    out: np.ndarray,
    corner: tuple[int, int] = (0, 0),
) -> None:
    """The same for any other type of numbers, in float64.

    A scale may be shorter than 1 here; one without length counts as 1 long.

    `valid` (H, W) bool is cleared where a channel is not finite, which is then written as `low`.
    """
    gain = top / np.where(high > low, high - low, 1.0)
    if is_device_array(pixels):
        from gnnseg.kernels.cuda import colour as gpu

        gpu.scale_floats(pixels, low, gain, float(top), rgb, valid, out, corner)
        return
    for y in range(0, pixels.shape[1], _ROWS):  # what is copied to lie by channel stays small
        some = np.ascontiguousarray(pixels[:, y : y + _ROWS])
        place = corner[0] + y, corner[1]
        _scale_floats(some, low, gain, float(top), rgb, valid[y : y + _ROWS], out, place)


@loop
def _scale_floats(pixels, low, gain, top, rgb, valid, out, corner):
    channels, height, width = pixels.shape
    left, right = corner[1], corner[1] + width
    for y in range(height):
        row = corner[0] + y
        for c in range(channels):
            _scale_row_of_floats(
                pixels[c, y], low[c], gain[c], top, valid[y], out[c, row, left:right]
            )
        if rgb:
            _oppose(out[0, row, left:right], out[1, row, left:right], out[2, row, left:right])


@inlined
def _scale_row_of_floats(values, low, gain, top, valid, out):
    for x in range(values.size):
        value = np.float64(values[x])
        finite = np.isfinite(value)
        scaled = min(max(((value if finite else low) - low) * gain, 0.0), top)
        valid[x] = valid[x] and finite
        out[x] = np.int16(scaled + 0.5)
