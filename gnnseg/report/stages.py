"""The stages of segmentations and of trainings as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gnnseg.report.theme import COLORS, SMALL, Picture, ink, legend, picture

Row = dict[str, Any]
REST, REST_STYLE = "between stages", {"color": "#8c8c8c", "alpha": 0.35, "linewidth": 0.4}


@dataclass(frozen=True)
class _Unit:
    """What an axis of time counts in."""

    name: str
    mark: str
    seconds: float


_SECONDS, _MINUTES = _Unit("seconds", "s", 1.0), _Unit("minutes", "min", 60.0)


def stage_bars(rows: Sequence[Row], models: Sequence[str], dataset: str) -> Picture:
    """Seconds of the stages of each model on one image."""
    first = rows[0]
    kinds = [[r for r in rows if ("regions" in r["stages"]) == kind] for kind in (True, False)]
    title = f"{dataset}: stages on {first['size']:,}² pixels within {first['memory']}"
    scales = ". Networks on regions and on pixels have a scale each" if all(kinds) else ""
    # One kind may take far longer.
    return _stage_picture(kinds, models, title + scales, _SECONDS)


def training_bars(rows: Sequence[Row], models: Sequence[str], dataset: str) -> Picture:
    """Minutes of the stages of one training of each model."""
    return _stage_picture([rows], models, f"{dataset}: stages of training", _MINUTES)


def _stage_picture(
    groups: Sequence[Sequence[Row]], models: Sequence[str], title: str, unit: _Unit
) -> Picture:
    """Bars of each group on an axis of its own."""
    ordered = [sorted(group, key=lambda row: models.index(row["model"])) for group in groups]
    rows = [row for group in ordered for row in group]
    totals = "; ".join(f"{row['model']} {_total(row, unit)}" for row in rows)
    draw = partial(_draw_stages, groups=[group[::-1] for group in ordered if group], unit=unit)
    text = f"{unit.name} of the stages: {totals}"
    return picture(draw, title, text, height=1.9 + 0.38 * len(rows))


def _total(row: Row, unit: _Unit) -> str:
    return f"{row['seconds'] / unit.seconds:.1f} {unit.mark}"


def _draw_stages(figure: Any, *, groups: Sequence[Sequence[Row]], unit: _Unit) -> None:
    names = list(dict.fromkeys(n for rows in groups for row in rows[::-1] for n in lengths(row)))
    ratios = [len(group) for group in groups]
    axes = figure.subplots(len(groups), 1, height_ratios=ratios, squeeze=False)[:, 0]
    for axis, group in zip(axes, groups, strict=True):
        _draw_bars(axis, group, names, unit)
    axes[-1].set_xlabel(unit.name)
    found = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    labels = [name for name in (*names, REST) if name in found]
    handles = [found[name] for name in labels]
    legend(figure, handles, labels)


def _draw_bars(axis: Any, rows: Sequence[Row], names: Sequence[str], unit: _Unit) -> None:
    for y, row in enumerate(rows):
        found = lengths(row)
        rest = {REST: max(0.0, row["seconds"] - sum(found.values()))}
        styles = {REST: REST_STYLE} | {name: _bar_style(names.index(name)) for name in found}
        end = 0.0
        for name, seconds in (found | rest).items():
            width, label = seconds / unit.seconds, row["model"] + dagger(row)
            axis.barh([label], [width], left=end, height=0.62, label=name, **styles[name])
            end += width
        note = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
        axis.annotate(_total(row, unit), (end, y), **note)
    axis.grid(visible=False, axis="y")
    axis.margins(x=0.18)


def lengths(row: Row) -> dict[str, float]:
    """Seconds of the stages; one in parts is shared out as the time of its threads was.

    >>> parts = {"read": 1.0, "network": 3.0}
    >>> stages = {"network": {"seconds": 2.0, "thread_seconds": parts}, "finish": {"seconds": 1.0}}
    >>> lengths({"stages": stages})
    {'read': 0.5, 'network': 1.5, 'finish': 1.0}
    """
    found: dict[str, float] = {}
    for name, stage in row["stages"].items():
        parts = stage.get("thread_seconds") or {name: 1.0}
        for part, spent in parts.items():
            share = spent / max(sum(parts.values()), 1e-9)
            found[part] = found.get(part, 0.0) + share * stage["seconds"]
    return found


def dagger(row: Row) -> str:
    """What marks the figures of a training's last part."""
    return " †" if row.get("resumed") else ""


def _bar_style(number: int) -> dict[str, Any]:
    """Colours, with hatches from the second round on."""
    hatch = ("", "///", "...")[number // len(COLORS) % 3]
    return {
        "color": COLORS[number % len(COLORS)],
        "hatch": hatch,
        "edgecolor": ink(),
        "linewidth": 0.4,
    }
