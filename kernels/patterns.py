"""Rotation-invariant uniform local binary patterns.

After Ojala, Pietikainen and Maenpaa, "Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns", IEEE TPAMI 24(7), 2002, section 2.4, on a square ring.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PATTERNS = 10
"""0 .. 8: so many neighbours in a row are brighter, the others not; 9: brighter ones in several
places."""


@njit(nogil=True, cache=True)
def pattern_row(grey, y, x, distance, contrast, out):
    """Write the pattern of each pixel of a row.

    Parameters
    ----------
    grey : (H, W) int16
    y, x : int
        The first pixel of the row, at least `distance` from every side of `grey`.
    distance : int
        Pixels, along both axes, to the eight neighbours.
    contrast : int
        A neighbour is brighter if it exceeds the pixel by more than this.
    out : (n,) uint8
    """
    above, here, below = grey[y - distance], grey[y], grey[y + distance]
    left, right = x - distance, x + distance
    _patterns(
        (above[left:], above[x:], above[right:], here[right:]),
        (below[right:], below[x:], below[left:], here[left:]),
        here[x:],
        np.int16(contrast),
        out,
    )


@njit(nogil=True, cache=True)
def _patterns(first, second, here, contrast, out):
    """The eight neighbours in order round the pixel: `first`, then `second`."""
    a, b, c, d = first
    e, f, g, h = second
    one = np.uint16(1)
    for x in range(out.size):
        level = np.int16(here[x] + contrast)
        bits = np.uint16(a[x] > level) | np.uint16(b[x] > level) << one
        bits |= np.uint16(c[x] > level) << np.uint16(2) | np.uint16(d[x] > level) << np.uint16(3)
        bits |= np.uint16(e[x] > level) << np.uint16(4) | np.uint16(f[x] > level) << np.uint16(5)
        bits |= np.uint16(g[x] > level) << np.uint16(6) | np.uint16(h[x] > level) << np.uint16(7)
        turned = np.uint16(bits >> one | (bits & one) << np.uint16(7))
        changes = _count_ones(np.uint16(bits ^ turned))
        out[x] = _count_ones(np.uint16(bits)) if changes <= 2 else 9


@njit(nogil=True, cache=True)
def _count_ones(bits):
    """How many of eight bits are set; in 16-bit lanes, so that loops over it stay narrow."""
    pairs = np.uint16(bits - (bits >> np.uint16(1) & np.uint16(0x55)))
    fours = np.uint16((pairs & np.uint16(0x33)) + (pairs >> np.uint16(2) & np.uint16(0x33)))
    return np.uint16(fours + (fours >> np.uint16(4)) & np.uint16(15))
