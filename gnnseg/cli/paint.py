"""`gnnseg paint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnseg.cli.options import AsJson, Memory, OutPath, Overwrite, Workers
from gnnseg.cli.output import cost_rows, emit


def paint(
    slots: Annotated[
        Path,
        typer.Argument(show_default=False, help="Slot map that gnnseg superpixels wrote."),
    ],
    values: Annotated[
        Path,
        typer.Argument(
            show_default=False, help="One value a superpixel, in a .npy file or a Zarr array."
        ),
    ],
    *,
    out: OutPath,
    memory: Memory = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Give every pixel the value of its superpixel."""
    from gnnseg.pipeline import paint_file

    result = paint_file(slots, values, out, memory=memory, workers=workers, overwrite=overwrite)
    rows = [
        ("output", result["output"]),
        ("pixels", f"{result['pixels']:,}"),
        *cost_rows(result),
    ]
    emit(result, rows, as_json=as_json)
