"""`gnnseg superpixels`."""

from __future__ import annotations

from typing import Any

from gnnseg.cli.options import AsJson, ImagePath, OutPath
from gnnseg.cli.output import cell_row, cost_rows, emit


def superpixels(image: ImagePath, *, out: OutPath, as_json: AsJson = False, **options: Any) -> None:
    """Divide an image into superpixels and write their slot map, a byte a pixel."""
    from gnnseg.pipeline import write_superpixels

    result = write_superpixels(image, out, **options)
    rows = [
        ("output", result["output"]),
        cell_row(result),
        ("superpixels", f"{result['num_superpixels']:,}"),
        ("leftover pixels", f"{result['leftover_pixels']:,}"),
        *cost_rows(result),
    ]
    emit(result, rows, as_json=as_json)
