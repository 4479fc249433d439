"""A picture of what superpixels of some steps allow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gnnseg.io.picture import MARK, replacing_picture

_INK, _GRID, _MARK = "#222222", "#dddddd", "#d55e00"
_COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f"),
    *("#7a4fbf", "#b22222", "#5f8f00", "#606060"),
)
_DASHES = ("-", "--", ":", "-.")


def save_ceiling_plot(result: dict[str, Any], path: str | Path) -> None:
    """Write a PNG of `ceiling`'s result: ceiling mIoU and IoU by class against the step.

    Raises `StateError` in place of a file that is no such picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = result["rows"]
    steps = [row["step"] for row in rows]
    names = _by_height(rows)
    figure = Figure(figsize=(8, max(4.2, 0.27 * (len(names) + 3))), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for number, name in enumerate(names):
        axis.plot(
            steps,
            [row["per_class_iou"][name] for row in rows],
            color=_COLORS[number % len(_COLORS)],
            linestyle=_DASHES[number // len(_COLORS) % len(_DASHES)],
            linewidth=1.3,
            marker=".",
            label=name,
        )
    miou = [row["ceiling_miou"] for row in rows]
    axis.plot(steps, miou, color=_INK, linewidth=3, marker="o", label="ceiling mIoU")
    _mark(axis, result["suggestion"], dict(zip(steps, miou, strict=True)))
    _dress(axis, result, steps)
    with replacing_picture(path) as partial:
        figure.savefig(partial, format="png", metadata=MARK)


def _by_height(rows: list[dict[str, Any]]) -> list[str]:
    """Classes that occur, as their lines lie at the right-hand end: the highest first."""
    last = rows[-1]["per_class_iou"]
    return sorted((name for name in last if math.isfinite(last[name])), key=lambda n: -last[n])


def _mark(axis: Any, suggestion: dict[str, Any], ceilings: dict[int, float]) -> None:
    """The target as a line, and the suggested step as a line with a ring around its ceiling."""
    if suggestion["target"] is not None:
        label = f"target {suggestion['target']:g}"
        axis.axhline(suggestion["target"], color=_MARK, linestyle=":", label=label)
    step = suggestion["step"]
    if step is None:
        return
    axis.axvline(step, color=_MARK, linewidth=1.2, zorder=1)
    axis.plot(
        [step],
        [ceilings[step]],
        "o",
        markersize=13,
        markerfacecolor="none",
        markeredgewidth=2.2,
        color=_MARK,
        linestyle="none",
        label=f"suggested: step {step} ({suggestion['rule']})",
    )


def _dress(axis: Any, result: dict[str, Any], steps: list[int]) -> None:
    axis.set_title(
        f"{result['dataset']}, {result['split']}: what superpixels allow", fontsize=11, color=_INK
    )
    axis.set_xlabel("step, in pixels")
    axis.set_ylabel("IoU if every region gets its commonest class")
    axis.set_xticks(steps)
    axis.set_ylim(0, 1.02)
    axis.grid(color=_GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda n: not labels[n].startswith("ceiling"))
    axis.legend(
        [handles[n] for n in order],
        [labels[n] for n in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=9,
    )
