"""Results as what JSON knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A value that JSON knows: NaN and infinities become null, arrays lists, paths text.

    >>> plain({"share": float("nan"), "file": Path("labels.zarr")})
    {'share': None, 'file': 'labels.zarr'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
