"""`gnnseg paint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnseg.cli.options import AsJson, OutPath, Overwrite
from gnnseg.cli.output import emit, seconds


def paint(
    slots: Annotated[
        Path,
        typer.Argument(show_default=False, help="Slot map that gnnseg superpixels wrote."),
    ],
    values: Annotated[
        Path,
        typer.Argument(show_default=False, help="One value a superpixel, in a .npy file."),
    ],
    *,
    out: OutPath,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Give every pixel the value of its superpixel."""
    from gnnseg.pipeline import paint_file

    result = paint_file(slots, values, out, overwrite=overwrite)
    rows = [
        ("output", result["output"]),
        ("pixels", f"{result['pixels']:,}"),
        ("time", seconds(result["seconds"])),
    ]
    emit(result, rows, as_json=as_json)
