"""What options of networks may be."""

from __future__ import annotations

from gnnseg.errors import UsageError


def check_share(name: str, share: float) -> None:
    """Raise `UsageError` unless `share` is a number from 0 to below 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise UsageError(f"{name} must be a number from 0 to below 1, got {share!r}")
