"""A section of a page: a heading, a sentence, and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def section(title: str, text: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The lines of a section."""
    lines = [f"## {title}", "", text, "", row(columns), f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *map(row, rows)])


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"
