"""Which step to take, from what superpixels of some steps allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnnseg.datasets.labelled import LEAST_LABELLED
from gnnseg.errors import UsageError

FLAT = 0.005
"""Ceilings that differ by less than this are taken to be the same."""


def check_target(target: float | None) -> None:
    """Raise `UsageError` for a target that no mIoU can be."""
    if target is not None and not 0 < target <= 1:
        raise UsageError(f"a target is a mIoU above 0 and at most 1, got {target}")


def suggest_step(
    rows: Sequence[dict[str, Any]], target: float | None = None, labelled: float = 1.0
) -> dict[str, Any]:
    """The step to take, and why.

    With a target: the largest step whose ceiling mIoU reaches it. Without: the knee of the ceiling
    against regions an image, which time, memory and disk are proportional to. With both scaled to
    0 to 1, that is where the ceiling is farthest above the regions; of equals the larger step.
    Ceilings within half a point of each other have no knee, and the largest step is taken. Where
    fewer than half of the pixels are labelled, ceilings are near 1 at every step and tell nothing.

    Parameters
    ----------
    rows : sequence of dict
        With `step`, `regions_per_image`, `ceiling_miou` and `per_class_iou` by name.
    target : float, optional
    labelled : float
        Share of the pixels with a label.

    Returns
    -------
    dict
        `step`, or None where labels are too sparse, no step reaches the target, or fewer than
        three were tried; `rule`, `target` and `reason`; with a target, `largest_step_by_class`,
        None for a class that reaches it at no step, but not where labels are too sparse.

    References
    ----------
    Satopaa, Albrecht, Irwin, Raghavan, Finding a "kneedle" in a haystack, ICDCS workshops 2011.

    Examples
    --------
    >>> table = [(8, 400, 0.9), (12, 180, 0.8), (16, 100, 0.6)]
    >>> keys = "step", "regions_per_image", "ceiling_miou"
    >>> rows = [{**dict(zip(keys, row)), "per_class_iou": {}} for row in table]
    >>> suggest_step(rows)["step"], suggest_step(rows, target=0.85)["step"]
    (12, 8)
    """
    rule = "knee" if target is None else "target"
    if labelled < LEAST_LABELLED:
        return {"step": None, "rule": rule, "target": target, "reason": _sparse_reason(labelled)}
    if target is None:
        step, reason = _knee(rows)
        return {"step": step, "rule": rule, "target": None, "reason": reason}
    step = _largest({row["step"]: row["ceiling_miou"] for row in rows}, target)
    return {
        "step": step,
        "rule": rule,
        "target": target,
        "reason": _target_reason(rows, step, target),
        "largest_step_by_class": {
            name: _largest({row["step"]: row["per_class_iou"][name] for row in rows}, target)
            for name in rows[0]["per_class_iou"]
        },
    }


def _sparse_reason(labelled: float) -> str:
    return (
        f"labels are too sparse to tell what a step costs: {100 * labelled:.2g} % of the pixels "
        "have one; label some images wholly, or let a cell be no wider than what matters most"
    )


def _largest(values: dict[int, float], target: float) -> int | None:
    """The largest step whose value reaches the target."""
    return max((step for step, value in values.items() if value >= target), default=None)


def _target_reason(rows: Sequence[dict[str, Any]], step: int | None, target: float) -> str:
    best = max(rows, key=lambda row: row["ceiling_miou"])
    if step is not None:
        return f"the largest step whose ceiling reaches {target:g}"
    return (
        f"no step tried reaches {target:g}; the best is {best['step']} with "
        f"{best['ceiling_miou']:.3f}: try smaller --steps, or a lower target"
    )


def _knee(rows: Sequence[dict[str, Any]]) -> tuple[int | None, str]:
    steps = [row["step"] for row in rows]
    if len(steps) < 3:
        return None, "a knee needs three steps or more: try more --steps, or give a --target"
    ceilings = [row["ceiling_miou"] for row in rows]
    lowest, span = min(ceilings), max(ceilings) - min(ceilings)
    if span < FLAT:
        return max(steps), f"the ceilings are within {100 * FLAT:g} points: take the largest step"
    regions = [row["regions_per_image"] for row in rows]
    fewest, spread = min(regions), max(regions) - min(regions)
    above = {
        step: (ceiling - lowest) / span - (number - fewest) / max(spread, 1)
        for step, ceiling, number in zip(steps, ceilings, regions, strict=True)
    }
    step = max(above, key=lambda step: (above[step], step))
    return step, "the knee: beyond it, more regions buy less and less"
