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
    for x in range(out.size):
        level = here[x] + contrast
        p, q, r, s = a[x] > level, b[x] > level, c[x] > level, d[x] > level
        t, u, v, w = e[x] > level, f[x] > level, g[x] > level, h[x] > level
        ones = p + q + r + s + t + u + v + w
        changes = (
            (p != q) + (q != r) + (r != s) + (s != t) + (t != u) + (u != v) + (v != w) + (w != p)
        )
        out[x] = ones if changes <= 2 else 9
