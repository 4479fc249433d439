"""The exponential function on a GPU; the rule is that of `gnnseg.kernels.expf`."""

from __future__ import annotations

import numpy as np
from numba import cuda

from gnnseg.kernels.cuda.exact import fadd, fmul
from gnnseg.kernels.expf import BIAS, LIMIT, LN2_HIGH, LN2_LOW, LOG2_E, MANTISSA, ONE, POLYNOMIAL

_C5, _C4, _C3, _C2, _C1, _C0 = POLYNOMIAL
_WHOLE = np.float32(3 << 22)
"""Numbers of its size are whole: adding it rounds, halves to even."""


@cuda.jit(device=True)
def exp(x):
    """The exponential of a float32; NaN gives NaN."""
    if x < -LIMIT:
        x = -LIMIT
    elif x > LIMIT:
        x = LIMIT
    n = fadd(fadd(fmul(x, LOG2_E), _WHOLE), -_WHOLE)
    r = fadd(fadd(x, -fmul(n, LN2_HIGH)), -fmul(n, LN2_LOW))
    p = fadd(fmul(fadd(fmul(fadd(fmul(_C5, r), _C4), r), _C3), r), _C2)
    p = fadd(fmul(fadd(fmul(p, r), _C1), r), _C0)
    power = np.int32((np.int32(n) + BIAS) << MANTISSA).view(np.float32)
    return fmul(fadd(fadd(fmul(fmul(p, r), r), r), ONE), power)
