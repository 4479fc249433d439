"""`gnnseg ceiling`."""

from __future__ import annotations

from typing import Annotated

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
    as_json: AsJson = False,
) -> None:
    """Show the best mIoU that superpixels of each size allow, before any training."""
    sizes = parse_steps(steps)
    from gnnseg.pipeline import ceiling as measure
    from gnnseg.superpixels import SlicSettings

    settings = SlicSettings(compactness=compactness)
    result = measure(dataset, sizes, split=split, settings=settings)
    header = ("step", "regions", "accuracy", "mIoU")
    lines = [
        (
            str(row["step"]),
            f"{row['regions_per_image']:,.0f}",
            percent(row["achievable_accuracy"]),
            percent(row["ceiling_miou"]),
        )
        for row in result["rows"]
    ]
    rows = [
        ("ceiling", table(header, lines)),
        ("images", f"{result['num_images']} ({split})"),
        ("time", seconds(result["seconds"])),
    ]
    emit(result, rows, as_json=as_json)


def parse_steps(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between.

    >>> parse_steps("6, 8")
    (6, 8)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--steps {text!r}: write numbers with commas, such as 6,8,12") from error
