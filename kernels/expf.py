"""The exponential function in float32, by plain arithmetic that vectorises.

Cody and Waite's reduction to |r| <= ln(2) / 2, then a polynomial: "Software Manual for the
Elementary Functions", 1980, chapter 6. The coefficients are those of Moshier's Cephes, `expf.c`.
"""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined

LIMIT = np.float32(87)
"""Beyond, arguments are cut: exp(87) is near the largest float32."""
LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
POLYNOMIAL = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(0.5),
)
"""Coefficients, the highest power first."""
ONE = np.float32(1)
BIAS, MANTISSA = np.int32(127), np.int32(23)
_C5, _C4, _C3, _C2, _C1, _C0 = POLYNOMIAL


@inlined
def exp(x):
    """The exponential of a float32, within one unit in the last place; NaN gives NaN."""
    x = min(max(x, -LIMIT), LIMIT)
    n = np.rint(x * LOG2_E)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = ((((_C5 * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _C0
    power = np.int32((np.int32(n) + BIAS) << MANTISSA).view(np.float32)
    return (p * r * r + r + ONE) * power
