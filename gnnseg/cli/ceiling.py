"""`gnnseg ceiling`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.evaluate import Split
from gnnseg.cli.options import AsJson, Compactness, DatasetPath
from gnnseg.cli.output import emit, percent, seconds, table
from gnnseg.errors import UsageError


def ceiling(
    dataset: DatasetPath,
    *,
    steps: Annotated[
        str, typer.Option("--steps", metavar="N,N,...", help="Sizes of cells to try, in pixels.")
    ] = "6,8,12,16",
    compactness: Compactness = 4.0,
    split: Split = "val",
    target: Annotated[
        float | None,
        typer.Option(
            "--target", metavar="MIOU", help="Suggest the largest step that allows this, as 0.8."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the figures.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the best IoU that superpixels of each size allow, before any training.

    Suggests a step: the largest that allows --target, or the knee of the
    curve, beyond which more regions buy less and less.
    """
    sizes = parse_steps(steps)
    _check_plot(plot)
    from gnnseg.pipeline import ceiling as measure
    from gnnseg.superpixels import SlicSettings

    settings = SlicSettings(compactness=compactness)
    result = measure(dataset, sizes, split=split, target=target, settings=settings)
    if plot is not None:
        from gnnseg.pipeline.ceiling_plot import save_ceiling_plot

        save_ceiling_plot(result, plot)
        result["plot"] = str(plot)
    suggestion = result["suggestion"]
    step = suggestion["step"]
    rows = [
        ("ceiling", table(("step", "regions", "accuracy", "mIoU"), _lines(result))),
        ("IoU by class", _class_table(result)),
        ("suggestion", f"{'none' if step is None else f'step {step}'}: {suggestion['reason']}"),
        ("images", f"{result['num_images']} ({split})"),
        ("plot", result.get("plot", "")),
        ("time", seconds(result["seconds"])),
    ]
    emit(result, rows, as_json=as_json)


def _lines(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            str(row["step"]),
            f"{row['regions_per_image']:,.0f}",
            percent(row["achievable_accuracy"]),
            percent(row["ceiling_miou"]),
        )
        for row in result["rows"]
    ]


def _class_table(result: dict[str, Any]) -> str:
    """IoU by class and step; with a target, the largest step at which a class reaches it."""
    largest = result["suggestion"].get("largest_step_by_class")
    header = ("class", *(f"step {row['step']}" for row in result["rows"]))
    lines = [
        (
            name,
            *(percent(row["per_class_iou"][name]) for row in result["rows"]),
            *(() if largest is None else (str(largest[name] or "none"),)),
        )
        for name in result["rows"][0]["per_class_iou"]
    ]
    return table(header if largest is None else (*header, "largest"), lines)


def _check_plot(plot: Path | None) -> None:
    """What could keep the plot from being written, before the work."""
    from gnnseg.io.picture import check_picture

    if plot is None:
        return
    if plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {plot}: a plot ends in .png")
    check_picture(plot)


def parse_steps(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between.

    >>> parse_steps("6, 8")
    (6, 8)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--steps {text!r}: write numbers with commas, such as 6,8,12") from error
