"""`gnnseg suggest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.options import (
    AsJson,
    BlockSize,
    Memory,
    ModelPath,
    OutPath,
    Overwrite,
    Workers,
    whole,
)
from gnnseg.cli.output import cost_rows, emit, percent, table


def suggest(
    image: Annotated[
        Path,
        typer.Argument(
            show_default=False, help="Image of any kind that segment takes, or a dataset's folder."
        ),
    ],
    *,
    model: ModelPath,
    out: OutPath,
    count: Annotated[
        int, typer.Option("--count", parser=whole(1, 1000), metavar="N", help="How many regions.")
    ] = 20,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="PATH",
            help="Label image of the same size: regions with a labelled pixel are left out.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", metavar="FILE.png", help="Also draw them; for a dataset into a folder."
        ),
    ] = None,
    memory: Memory = None,
    block: BlockSize = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """List the regions of an image whose labels would help a model most.

    They are uncertain and unlike each other. The list depends neither on
    --memory nor on --block and --workers. Fill in its entries "class" and
    it is the clicks.json of a dataset.
    """
    from gnnseg.pipeline import suggest as rank

    result = rank(
        image,
        model,
        out,
        count=count,
        labels=labels,
        overlay=overlay,
        memory=memory,
        block=block,
        workers=workers,
        overwrite=overwrite,
    )
    rows = [
        ("output", result["output"]),
        ("suggestions", _table(result["suggestions"]) if result["suggestions"] else "none"),
        ("superpixels", f"{result['regions']:,} in {result['num_images']} image(s)"),
        ("picture", result["overlay"] or ""),
        *cost_rows(result),
    ]
    emit(result, rows, as_json=as_json)


def _table(suggestions: list[dict[str, Any]]) -> str:
    lines = [
        (
            str(row["rank"]),
            row["image"],
            str(row["y"]),
            str(row["x"]),
            f"{row['entropy']:.3f}",
            " or ".join(f"{c['class']} {percent(c['probability'])}" for c in row["classes"][:2]),
        )
        for row in suggestions
    ]
    return table(("rank", "image", "y", "x", "entropy", "classes"), lines)
