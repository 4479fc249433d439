"""How the loops of this package are compiled: the one place for what the compiler is told.

A compiled function costs half a tenth of a second even if it does nothing, so what it need not have
is left out: a wrapper for callers in C (always), one for callers in Python (`part`), and being a
function at all (`inlined`). All run without Python's lock and are kept in Numba's cache. None
divides by zero; nothing tests for it.

Inner loops that run for a row of pixels stay parts: as lines of a large loop they may become
slower. Numba's cache knows nothing of these options: after a change here, delete the folders
`__pycache__`.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_njit: Any = njit  # its types leave out the options for wrappers
_all = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}

loop = _njit(**_all)
"""A function that Python calls."""
part = _njit(**_all, no_cpython_wrapper=True)
"""A function that only compiled ones call: from Python, there is nothing to call."""
inlined = _njit(**_all, inline="always")
"""A function whose lines become those of the compiled ones that call it, before they are typed."""
