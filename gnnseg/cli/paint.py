"""`gnnseg paint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnseg.cli.options import AsJson, Memory, OutPath, Overwrite, Workers
from gnnseg.cli.output import emit, seconds


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
    from gnnseg.memory import format_size
    from gnnseg.pipeline import paint_file

    result = paint_file(slots, values, out, memory=memory, workers=workers, overwrite=overwrite)
    rows = [
        ("output", result["output"]),
        ("pixels", f"{result['pixels']:,}"),
        ("time", seconds(result["seconds"]) + (" (resumed)" if result["resumed"] else "")),
        ("peak memory", format_size(result["peak_rss_bytes"])),
    ]
    emit(result, rows, as_json=as_json)
