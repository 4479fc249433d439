"""Rotation-invariant uniform local binary patterns.

After Ojala, Pietikainen and Maenpaa, "Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns", IEEE TPAMI 24(7), 2002, section 2.4, on a square ring.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, part

PATTERNS = 10
"""0 .. 8: so many neighbours in a row are brighter, the others not; 9: brighter ones in several
places."""
_SIGN = np.int16(15)
U = np.uint64
"""For indices: signed ones may count from the end, for all that the compiler knows."""


@inlined
def pattern_codes(grey, y, x, size, distance, contrast, first, out):
    """Write the pattern of each pixel of a window.

    Parameters
    ----------
    grey : (H, W) int16
        Below 2**14.
    y, x : int
        The first pixel of the window, at least `distance` from every side of `grey`.
    size : (rows, columns)
    distance : int
        Pixels, along both axes, to the eight neighbours.
    contrast : int
        A neighbour is brighter if it exceeds the pixel by more than this.
    first : int
        Added to each pattern.
    out : (rows, columns) or larger, uint8
    """
    more, first = np.int16(contrast), np.int16(first)
    for r in range(size[0]):
        above, here, below = y + r - distance, y + r, y + r + distance
        for n in range(size[1]):
            left, middle, right = x + n - distance, x + n, x + n + distance
            level = np.int16(grey[U(here), U(middle)] + more)
            pattern = _pattern(
                _brighter(grey, above, left, level),
                _brighter(grey, above, middle, level),
                _brighter(grey, above, right, level),
                _brighter(grey, here, right, level),
                _brighter(grey, below, right, level),
                _brighter(grey, below, middle, level),
                _brighter(grey, below, left, level),
                _brighter(grey, here, left, level),
            )
            out[U(r), U(n)] = np.uint8(first + pattern)


@part
def _brighter(grey, y, x, level):
    """-1 if a pixel is above `level`, else 0: the sign of a difference, in lanes of 16 bits."""
    return np.int16(np.int16(level - grey[U(y), U(x)]) >> _SIGN)


@inlined
def _pattern(a, b, c, d, e, f, g, h):
    """The pattern of eight neighbours in order round the pixel, -1 where they are brighter."""
    brighter = np.int16(_sum_of_four(a, b, c, d) + _sum_of_four(e, f, g, h))
    changes = _sum_of_four(a ^ b, b ^ c, c ^ d, d ^ e) + _sum_of_four(e ^ f, f ^ g, g ^ h, h ^ a)
    return np.int16(-brighter) if np.int16(changes) >= -2 else np.int16(PATTERNS - 1)


@inlined
def _sum_of_four(a, b, c, d):
    return np.int16(np.int16(a + b) + np.int16(c + d))
