"""The inner loops of the clustering: a strip of the pixels of a row at a time.

Compiled into the loops of `gnnseg.kernels.assign` and `gnnseg.kernels.seeds`.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import part
from gnnseg.kernels.slots import MASKED

STRIP = 256
"""Pixels of a row worked on at once: what they look at stays in the nearest cache."""
REACH = 3 * STRIP
"""Columns of homes that a strip may look at: its own, and the largest cell on either side."""
HALF = 32
"""Two sums share a 64-bit word, each with so many bits."""


@part
def soften(channel, y, x, n, column, out):
    """Write the filtered values of `n` pixels of a row of a channel, from pixel (y, x) on."""
    above, here, below = channel[y - 1, x - 1 :], channel[y, x - 1 :], channel[y + 1, x - 1 :]
    for k in range(n + 2):
        column[k] = np.uint16(above[k] + 2 * here[k] + below[k])
    middle, right = column[1:], column[2:]
    for k in range(n):
        out[k] = np.uint16(column[k] + 2 * middle[k] + right[k] + 8) >> np.uint16(4)


@part
def copy(source, target, n):
    """Copy `n` numbers by a loop, which is faster than an assignment to a slice."""
    for x in range(n):
        target[x] = source[x]


@part
def locate(pixels, y, x):
    """Where pixels (C, H, W) lie from (y, x) on: all, the first, and how far channels are apart."""
    return (
        pixels.reshape(-1),
        np.uint64(y * pixels.shape[2] + x),
        np.uint64(pixels.shape[1] * pixels.shape[2]),
    )


@part
def _beyond(a, b):
    """By how much a number is larger than another, twice, if it is: `a` is doubled already."""
    twice = np.uint16(b + b)
    return np.uint16(max(a, twice) - twice)


@part
def nearest(row, y, near, size, numbers, least, out, few):
    """Write the nearest of nine homes for each pixel of a row (`locate`) at `y` on the ruler.

    `near` has, for each of three rows of homes, `REACH` columns of their y, twice, and of each
    channel of their colour, twice: a home is `size` columns after the one on its left. Then, for
    each of nine, `STRIP` columns of what it costs along x, less its y and colour. A distance is
    `|h - p|`, which is `2 max(h - p, 0) - h + p`: what a pixel has does not count when it compares
    homes.

    `numbers` are what the first home is called, and by how much more than three a row of homes
    counts; `least` gets the distances, less what the pixel has.
    """
    if len(few) == 0:
        _nearest_of_many(row, y, near, size, numbers, least, out)
        return
    pixels, start, plane = row
    first, more = numbers[0], numbers[1]
    wide, bases = np.uint64((1 + len(few)) * REACH), np.uint64(3 * (1 + len(few)) * REACH)
    for x in range(np.uint64(out.size)):
        best, closest = np.uint16(65535), np.uint16(0)
        for k in range(np.uint64(9)):
            at = k // np.uint64(3) * wide + k % np.uint64(3) * size + x
            cost = np.uint16(near[bases + k * np.uint64(STRIP) + x] + _beyond(near[at], y))
            for c in range(np.uint64(len(few))):
                pixel = np.uint16(pixels[start + c * plane + x])
                colour = near[at + (np.uint64(1) + c) * np.uint64(REACH)]
                cost = np.uint16(cost + _beyond(colour, pixel))
            nearer = cost < best
            best = cost if nearer else best
            closest = np.uint16(k) if nearer else closest
        least[x] = best
        # A third, rounded down, of a number up to eight.
        line = np.uint16(np.uint16(closest * np.uint16(11)) >> np.uint16(5))
        out[x] = np.uint16(first + closest) + np.uint16(more * line)


@part
def _nearest_of_many(row, y, near, size, numbers, least, out):
    """The same for any number of channels, a stream for each."""
    pixels, start, plane = row
    bases = near.size - 9 * STRIP
    rows = bases // (3 * REACH)
    least[:] = 65535
    cost = np.empty(out.size, np.uint16)
    for k in range(9):
        home, base = near[k // 3 * rows * REACH + k % 3 * size :], near[bases + k * STRIP :]
        for x in range(out.size):
            cost[x] = base[x] + _beyond(home[x], y)
        for c in range(rows - 1):
            channel, colour = pixels[start + np.uint64(c) * plane :], home[(1 + c) * REACH :]
            for x in range(out.size):
                cost[x] += _beyond(colour[x], np.uint16(channel[x]))
        slot = np.uint8(numbers[0] + k + numbers[1] * (k // 3))
        for x in range(out.size):
            nearer = cost[x] < least[x]
            least[x] = cost[x] if nearer else least[x]
            out[x] = slot if nearer else out[x]


@part
def take_nearer(cost, slots, least, out):
    """Keep the nearer of two homes, the first of equals."""
    for x in range(out.size):
        nearer = cost[x] < least[x]
        least[x] = cost[x] if nearer else least[x]
        out[x] = slots[x] if nearer else out[x]


@part
def store(found, slots):
    """Write the slots of a row; masked pixels stay masked."""
    for x in range(slots.size):
        slots[x] = found[x] if slots[x] != MASKED else MASKED


@part
def pack(row, channels, away, packed):
    """Write x (within the cell) and channels of a row of pixels, two to a 64-bit word.

    A sum over a cell stays below 2**31 in each half.
    """
    pixels, start, plane = row
    first = pixels[start:]
    for x in range(away.size):
        packed[0, x] = np.int64(away[x]) | np.int64(first[x]) << HALF
    for word in range(1, packed.shape[0]):
        low = pixels[start + np.uint64(2 * word - 1) * plane :]
        # The last once more, in an odd number.
        high = pixels[start + np.uint64(min(2 * word, channels - 1)) * plane :]
        for x in range(away.size):
            packed[word, x] = np.int64(low[x]) | np.int64(high[x]) << HALF


@part
def address(found, slots, cells, local, parts):
    """Write where in `local` each pixel of a row is added up: those masked where none is looked."""
    codes, words = np.uint32(local.shape[2]), np.uint32(local.shape[3])
    for x in range(slots.size):
        code = np.uint32(found[x]) if slots[x] != MASKED else codes - np.uint32(1)
        parts[x] = cells[x] + np.uint32(code * words)


@part
def accumulate(packed, count_and_y, parts, local, few):
    """Add a row of packed pixels to the sums of a strip's cells by slot."""
    if len(few) == 0:
        for x in range(parts.size):
            local[parts[x]] += count_and_y
            for word in range(packed.shape[0]):
                local[parts[x] + 1 + word] += packed[word, x]
        return
    for x in range(parts.size):
        part = np.uint64(parts[x])
        local[part] += count_and_y
        for word in range(len(few) // 2 + 1):
            local[part + np.uint64(1 + word)] += packed[word, x]
