"""Products and sums of floats that are rounded one by one, as on a processor.

A product that is added to something becomes one fused operation otherwise, which rounds once. `d`
is for float64, `f` for float32.
"""

from __future__ import annotations

import operator

from numba import config

if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
    # The simulator has no libdevice, and Python fuses nothing.
    dmul = fmul = operator.mul
    dadd = fadd = operator.add
else:
    from numba.cuda import libdevice

    dmul, fmul = libdevice.dmul_rn, libdevice.fmul_rn
    dadd, fadd = libdevice.dadd_rn, libdevice.fadd_rn
