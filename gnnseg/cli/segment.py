"""`gnnseg segment`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.guard import is_verbose
from gnnseg.cli.options import (
    AsJson,
    BlockSize,
    ImagePath,
    MaskPath,
    Memory,
    ModelPath,
    OutPath,
    Overwrite,
    Refine,
    Workers,
    whole,
)
from gnnseg.cli.output import cost_rows, emit, ledger_table, percent, say
from gnnseg.errors import UsageError

_ROI = re.compile(r"(\d{1,18}):(\d{1,18}),(\d{1,18}):(\d{1,18})", re.ASCII)
Roi = tuple[tuple[int, int], tuple[int, int]]


class OmeZarr(StrEnum):
    """Versions of OME-Zarr that are written."""

    v05 = "0.5"
    v04 = "0.4"


RoiText = Annotated[
    str | None,
    typer.Option(
        "--roi", metavar="Y0:Y1,X0:X1", help="Only this part: the crop of the whole result."
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Also write OUT.probabilities.zarr.")
]
Uncertainty = Annotated[
    bool,
    typer.Option("--uncertainty", help="Also write OUT.uncertainty.zarr: the entropy."),
]
RefineWidth = Annotated[
    int,
    typer.Option(
        "--refine-width",
        parser=whole(1, 64),
        metavar="N",
        help="With --refine: pixels to each side of a border.",
    ),
]
LabelOffset = Annotated[
    int,
    typer.Option(
        "--label-offset",
        parser=whole(0, 65_000),
        metavar="N",
        help="Added to every class: viewers show 0 as transparent.",
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option("--keep", metavar="DIR", help="Keep slots, graph and states in this folder."),
]
OmeVersion = Annotated[
    OmeZarr, typer.Option("--ome-version", help="Of *.zarr; 0.4 (Zarr 2) for older programs.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")]


def segment(
    image: ImagePath,
    *,
    model: ModelPath,
    out: OutPath,
    memory: Memory = None,
    block: BlockSize = None,
    workers: Workers = None,
    roi: RoiText = None,
    probabilities: Probabilities = False,
    uncertainty: Uncertainty = False,
    refine: Refine = False,
    refine_width: RefineWidth = 2,
    mask: MaskPath = None,
    label_offset: LabelOffset = 0,
    keep: Keep = None,
    ome_version: OmeVersion = OmeZarr.v05,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Segment an image of any size into OME-Zarr, TIFF or PNG labels.

    The same command again goes on where an interrupted one stopped. The
    labels depend neither on --memory nor on --block and --workers.
    """
    from gnnseg.io import open_image, output_kind
    from gnnseg.memory import default_budget, parse_size

    painted: dict[str, Any] = {
        "probabilities": probabilities,
        "uncertainty": uncertainty,
        "refine": refine,
        "refine_width": refine_width,
    }
    part = None if roi is None else parse_roi(roi)
    budget = default_budget() if memory is None else parse_size(memory)
    output_kind(out)
    from gnnseg.cli.keep import check_keep, make_keep, move_scratch
    from gnnseg.cli.plan import print_plan
    from gnnseg.cli.scale import warn_about_scale
    from gnnseg.pipeline import load_model
    from gnnseg.pipeline import segment as segment_image

    if keep is not None:
        check_keep(keep, out)
    source, net = open_image(image), load_model(model)
    warn_about_scale(source, net)
    if dry_run:
        given = {
            "block": block,
            "workers": workers,
            "roi": part,
            "keep": keep is not None,
            "label_offset": label_offset,
            "overwrite": overwrite,
            "ome_version": ome_version.value,
            **painted,
        }
        print_plan(source, net, out, mask=mask, memory=budget, given=given, as_json=as_json)
        return
    if keep is not None:
        make_keep(keep)
    result = segment_image(
        source,
        net,
        out,
        memory=budget,
        block=block,
        workers=workers,
        roi=part,
        **painted,
        mask=mask,
        keep=keep is not None,
        overwrite=overwrite,
        label_offset=label_offset,
        ome_version=ome_version.value,
    )
    if keep is not None:
        result["kept"] = str(move_scratch(out, keep))
    _print(result, as_json=as_json)


def parse_roi(text: str) -> Roi:
    """The rows and columns of `Y0:Y1,X0:X1`.

    >>> parse_roi("0:100,50:80")
    ((0, 100), (50, 80))
    """
    match = _ROI.fullmatch(text.replace(" ", ""))
    if match is None:
        raise UsageError(
            f"--roi {text[:80]!r}: write Y0:Y1,X0:X1 in pixels, such as 0:1000,500:2000"
        )
    y0, y1, x0, x1 = map(int, match.groups())
    return (y0, y1), (x0, x1)


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    if is_verbose():
        say(ledger_table(result["stages"]))
    shares = "\n".join(
        f"{row['class']}  {percent(row['share'])}"
        for row in result["classes"]
        if row["share"] is not None
    )
    rows = [
        ("output", result["output"]),
        ("pixels", f"{result['pixels']:,}"),
        ("superpixels", f"{result['nodes']:,}" if "nodes" in result else ""),
        ("classes", shares),
        *cost_rows(result),
        ("kept", result.get("kept", "")),
    ]
    emit(result, rows, as_json=as_json)
