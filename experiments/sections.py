"""A section of a page: a heading, a sentence, and a table; and what stands in its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean


def section(title: str, text: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The lines of a section."""
    lines = [f"## {title}", "", text, "", row(columns), f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *map(row, rows)])


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    """The mean of figures of several seeds, and how far they reach.

    >>> spread([0.55, 0.57, 0.56]), spread([0.5])
    ('0.560 (0.550 to 0.570)', '0.500')
    """
    reach = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{mean(values):.3f}{reach}"
