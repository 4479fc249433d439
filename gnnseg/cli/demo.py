"""`gnnseg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnseg.cli.guard import is_quiet
from gnnseg.cli.options import AsJson
from gnnseg.cli.output import emit, ledger_table, percent, say, seconds


def demo(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.")
    ] = Path("demo-output"),
    side: Annotated[
        int | None, typer.Option("--side", min=512, hidden=True, help="Pixels of the mosaic.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, hidden=True, help="Epochs of the training.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train on a few scribbles and segment a large mosaic, in about two minutes.

    Works on a stained tissue section that scikit-image ships; nothing is
    downloaded. An earlier demonstration in the same folder is replaced.
    """
    from gnnseg.demo import run_demo
    from gnnseg.demo.run import SIDE
    from gnnseg.memory import format_size

    tell = (lambda _line: None) if is_quiet() else say
    result = run_demo(out, side=side or SIDE, epochs=epochs, tell=tell)
    if not as_json:
        print(ledger_table(result["stages"]), end="\n\n")  # noqa: T201
    shares = ", ".join(
        f"{row['class']} {percent(row['share'])}" for row in result["classes"] if row["share"]
    )
    emit(
        result,
        [
            ("segmented", f"{result['pixels']:,} pixels, {result['nodes']:,} superpixels"),
            ("val mIoU", f"{result['val_miou']:.3f} on scribbles held out to choose the epoch"),
            ("classes", shares),
            ("peak memory", format_size(result["peak_rss_bytes"])),
            ("time in all", seconds(result["seconds"])),
            *((what, path) for what, path in result["files"].items()),
        ],
        as_json=as_json,
    )
