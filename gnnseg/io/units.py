"""Units of length, by the names that OME-Zarr has for them."""

from __future__ import annotations

MICROMETERS = {
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "inch": 25_400.0,
    "meter": 1e6,
}


def converted(length: float | None, unit: str | None, into: str | None) -> float | None:
    """A length in another unit; None where either is not known, and they are not the same.

    >>> converted(0.04, "micrometer", "nanometer")
    40.0
    """
    if length is None or unit is None or unit == into:
        return length if unit == into else None
    if unit not in MICROMETERS or into not in MICROMETERS:
        return None
    return length * MICROMETERS[unit] / MICROMETERS[into]
