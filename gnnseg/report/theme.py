"""Colours and shapes of the report's figures, for light and dark screens."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"),
    *("#8a63d2", "#a6761d", "#66a61e", "#7f7f7f"),
)
"""Okabe and Ito's colours for all kinds of sight, then others; all of them show on both grounds."""
MARKERS = "osD^vPX*<"
"""One fewer than colours, so that pairs of both come again after 90 models only."""
WIDTH = 4.3
"""Inches: the figures stand in one column on a phone and in two beside each other on a desk."""

SMALL = 9
"""Points: what stands in bars and legends; a phone shows a point as a pixel."""


@dataclass(frozen=True)
class Theme:
    """Ink and lines on a ground that the page gives."""

    ink: str
    grid: str


LIGHT, DARK = Theme("#1d2733", "#d8dee6"), Theme("#dbe3ec", "#3a4553")


@dataclass(frozen=True)
class Picture:
    """A figure as data URIs for either ground, and what it shows for who cannot see it."""

    light: str
    dark: str
    title: str
    text: str


def picture(draw: Callable[[Any], None], title: str, text: str, *, height: float = 3.4) -> Picture:
    """Draw a figure for both grounds; `draw` fills one matplotlib figure."""
    light, dark = (_svg(draw, theme, height) for theme in (LIGHT, DARK))
    return Picture(light, dark, title, text)


def _svg(draw: Callable[[Any], None], theme: Theme, height: float) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(settings(theme)):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return data_uri(content.getvalue(), "image/svg+xml")


def settings(theme: Theme) -> Any:
    """How matplotlib draws on a ground."""
    return {
        "svg.hashsalt": "gnnseg",
        "font.size": 10,
        "legend.fontsize": SMALL,
        "legend.handlelength": 1.5,
        "legend.columnspacing": 1.2,
        "text.parse_math": False,  # names are no formulas
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend below the axes, in as many columns as its longest names leave room for."""
    letter, mark = 0.55 * SMALL, 3.6 * SMALL  # points, of most names and with the gap
    longest = sorted(map(len, labels), reverse=True)
    rooms = [sum(longest[:number]) * letter + number * mark for number in (1, 2, 3)]
    columns = max(1, sum(room <= 72 * WIDTH for room in rooms))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def ink() -> str:
    """The colour of the text of the figure that is being drawn."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def data_uri(content: bytes, kind: str) -> str:
    """Bytes inside the page itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
