"""The figures of the report, each made of rows of the summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from gnnseg.memory import format_size, parse_size
from gnnseg.report.theme import COLORS, MARKERS, Picture, ink, legend, picture

Row = dict[str, Any]
_MIB = 2**20
TOO_LARGE = ("refused", "out of memory", "killed")
"""What counts as not fitting; a run that failed for another reason says nothing about memory."""
_DASHES = ("-", "--", ":", "-.")


def accuracy_against_memory(rows: Sequence[Row], models: Sequence[str], dataset: str) -> Picture:
    """Accuracy against the peak of training, and of measuring, with the spread over seeds."""
    rows = [row for row in rows if row["miou"] is not None]
    draw = partial(_draw_accuracy, rows=rows, models=models)
    said = "; ".join(
        f"{r['model']} {100 * r['miou']:.1f} with {format_size(r['training_peak_above_bytes'])}"
        for r in rows
    )
    text = f"mIoU in per cent against peak memory of training: {said}"
    return picture(
        draw,
        f"{dataset}: accuracy against memory. Hollow: measuring; full: training; *: not converged",
        text,
    )


def _draw_accuracy(figure: Any, *, rows: Sequence[Row], models: Sequence[str]) -> None:
    axis = figure.subplots()
    for row in rows:
        number = models.index(row["model"])
        label = row["model"] + ("" if row["converged"] else " *")
        y, spread = 100 * row["miou"], 100 * (row["miou_spread"] or 0)
        style = {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}
        peaks = row["peak_above_bytes"], row["training_peak_above_bytes"]
        ends = [max(1.0, peak / _MIB) for peak in peaks]
        axis.plot(ends, [y, y], color=style["color"], linewidth=1, alpha=0.6)
        axis.plot(ends[:1], [y], **style, markersize=6, fillstyle="none", linestyle="none")
        bar = {"yerr": spread, "capsize": 3} if spread else {}
        axis.errorbar(ends[1:], [y], **bar, **style, markersize=7, linestyle="none", label=label)
    axis.set_xscale("log", base=4)
    axis.xaxis.set_major_formatter(_sizes)
    axis.margins(x=0.1, y=0.12)
    axis.set_xlabel("peak memory above imports")
    axis.set_ylabel("mIoU in %")
    # Names beside the points would cover each other where models are alike.
    legend(figure, *axis.get_legend_handles_labels())


def _sizes(value: float, _position: int) -> str:
    return format_size(value * _MIB).replace(".0 ", " ")


def curves(rows: Sequence[Row], models: Sequence[str], dataset: str) -> Picture:
    """Accuracy on val against the minutes of each training."""
    draw = partial(_draw_curves, rows=rows, models=models)
    ends = "; ".join(f"{r['model']} seed {r['seed']}: {r['why']}" for r in rows)
    return picture(
        draw,
        f"{dataset}: training. A hollow end had not flattened",
        f"val mIoU against minutes of training. {ends}",
    )


def _draw_curves(figure: Any, *, rows: Sequence[Row], models: Sequence[str]) -> None:
    axis, named = figure.subplots(), set()
    for row in rows:
        number, minutes = models.index(row["model"]), epoch_ends(row)
        label = None if row["model"] in named else row["model"]
        named.add(row["model"])
        color = COLORS[number % len(COLORS)]
        values = [float("nan") if value is None else 100 * value for value in row["val_miou"]]
        full = {"markerfacecolor": color if row["flattened"] else "none", "markevery": [-1]}
        end = {"marker": MARKERS[number % len(MARKERS)], "markersize": 6, **full}
        axis.plot(minutes, values, color=color, linewidth=1.3, label=label, **end)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("val mIoU in %")
    axis.set_ylim(bottom=0)
    legend(figure, *axis.get_legend_handles_labels())


def epoch_ends(row: Row) -> list[float]:
    """When the epochs of a training ended, in minutes; what came before them is at the start.

    >>> epoch_ends({"minutes": 2.0, "val_miou": [0.1, 0.2], "epoch_seconds": [30, 30]})
    [1.5, 2.0]
    """
    number = len(row["val_miou"])
    seconds = row.get("epoch_seconds") or [60 * row["minutes"] / max(number, 1)] * number
    before = max(0.0, 60 * row["minutes"] - sum(seconds))
    return [(before + end) / 60 for end in accumulate(seconds)]


def memory_against_size(rows: Sequence[Row], models: Sequence[str], dataset: str) -> Picture:
    """Peak memory against the side of the image, both logarithmic, with what did not fit."""
    unfit = sum(row["status"] in TOO_LARGE for row in rows)
    text = f"peak resident memory against the side of the image; {unfit} runs did not fit"
    draw = partial(_draw_memory, rows=rows, models=models)
    return picture(draw, f"{dataset}: memory against image size. A cross did not fit", text)


def _draw_memory(figure: Any, *, rows: Sequence[Row], models: Sequence[str]) -> None:
    axis = figure.subplots()
    budgets = list(dict.fromkeys(row["memory"] for row in rows))
    sides = sorted({row["size"] for row in rows})
    for number, budget in enumerate(budgets):
        unfit = {row["model"] for row in rows if row["memory"] == budget and not _fits(row)}
        aside = [model for model in models if model in unfit]
        for index, model in enumerate(models):
            own = [r for r in rows if r["model"] == model and r["memory"] == budget]
            _draw_line(axis, own, index, number, aside=aside.index(model) if model in aside else 0)
    for number, budget in enumerate(budgets):
        dash = {"linestyle": _DASHES[number % len(_DASHES)], "linewidth": 0.8, "alpha": 0.6}
        place = parse_size(budget) / _MIB
        axis.axhline(place, color=ink(), zorder=1, label=f"may take {budget}", **dash)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(sides, [f"{side:,}²" for side in sides], minor=False)
    axis.set_xlim(sides[0] / 1.5, sides[-1] * 1.9)
    low, high = (math.log2(edge / _MIB) for edge in _edges(rows))
    ticks = [2.0**power for power in range(math.floor(low), math.ceil(high + 0.2) + 1)]
    axis.set_yticks(ticks, minor=False)
    axis.set_ylim(ticks[0], ticks[-1])
    axis.yaxis.set_major_formatter(_sizes)
    axis.set_xlabel("image, in pixels")
    axis.set_ylabel("peak resident memory")
    legend(figure, *axis.get_legend_handles_labels())


def _fits(row: Row) -> bool:
    return bool(row["status"] == "done")


def _edges(rows: Sequence[Row]) -> tuple[int, int]:
    """The least and the most bytes that are drawn."""
    peaks = [row["peak_rss_bytes"] for row in rows if row["status"] == "done"]
    drawn = [*peaks, *(parse_size(row["memory"]) for row in rows)]
    return min(drawn), max(drawn)


def _draw_line(axis: Any, rows: Sequence[Row], index: int, number: int, *, aside: int) -> None:
    """One model within one memory: its peaks, and a cross, moved aside, where there is none."""
    color, dash = COLORS[index % len(COLORS)], _DASHES[number % len(_DASHES)]
    marker = MARKERS[index % len(MARKERS)]
    good = [row for row in rows if _fits(row)]
    label = rows[0]["model"] if rows and number == 0 else None
    axis.plot(
        [row["size"] for row in good],
        [row["peak_rss_bytes"] / _MIB for row in good],
        marker=marker, markersize=4.5, linestyle=dash, color=color, linewidth=1.4, label=label,
    )  # fmt: skip
    bad = [row for row in rows if not _fits(row)]
    axis.plot(
        [row["size"] * 1.12**aside for row in bad],
        [parse_size(row["memory"]) / _MIB for row in bad],
        "x", color=color, markersize=8, markeredgewidth=2.2,
    )  # fmt: skip
