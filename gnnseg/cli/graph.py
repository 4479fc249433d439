"""`gnnseg graph`."""

from __future__ import annotations

from typing import Any

from gnnseg.cli.options import AsJson, ImagePath, OutPath
from gnnseg.cli.output import cell_row, cost_rows, emit


def graph(image: ImagePath, *, out: OutPath, as_json: AsJson = False, **options: Any) -> None:
    """Write the graph of touching superpixels of an image, with their features."""
    from gnnseg.pipeline import write_graph

    result = write_graph(image, out, **options)
    rows = [
        ("output", result["output"]),
        cell_row(result),
        ("superpixels", f"{result['num_superpixels']:,}"),
        ("edges", f"{result['num_edges']:,}"),
        *cost_rows(result),
    ]
    emit(result, rows, as_json=as_json)
