"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

_MOST_DIGITS = 18


def whole(low: int, high: int | None = None) -> Callable[[str | int], int]:
    """A reader of whole numbers from `low` on, whose complaint names what it got."""

    def parse(given: str | int) -> int:
        text = str(given)
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
        if is_number and low <= int(text) <= (high or int(text)):
            return int(text)
        limit = f"{low} or more" if high is None else f"{low} to {high}"
        raise typer.BadParameter(f"got {text[:80]!r}, but it must be a whole number of {limit}")

    return parse


def lengths(given: str | tuple[float, ...]) -> tuple[float, ...]:
    """Three numbers (z, y, x); whether they are positive is asked where they are used."""
    if isinstance(given, tuple):
        return given
    try:
        z, y, x = (float(part) for part in given.split(","))
    except ValueError:
        raise typer.BadParameter(f"got {given!r}, but it must be like 50,4,4 (z,y,x)") from None
    return z, y, x


ImagePath = Annotated[
    Path,
    typer.Argument(
        show_default=False,
        help="Image: OME-Zarr, Zarr, TIFF, OME-TIFF, slide, PNG, JPEG or .npy.",
    ),
]
DatasetPath = Annotated[
    str,
    typer.Argument(
        show_default=False,
        help="Folder with images/ and labels/, or the name of a public set in GNNSEG_DATA.",
    ),
]
ModelPath = Annotated[
    Path,
    typer.Option(
        "--model", "-m", metavar="MODEL", show_default=False, help="Model that gnnseg train wrote."
    ),
]
OutPath = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", show_default=False, help="What to write.")
]
MaskPath = Annotated[
    Path | None,
    typer.Option(
        "--mask", metavar="PATH", help="Image of the same size; zero where pixels take no part."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Most memory of the whole process, such as 1GiB; default: half of what is free.",
    ),
]
BlockSize = Annotated[
    int | None,
    typer.Option(
        "--block",
        parser=whole(1),
        metavar="N",
        help="Side of a block in pixels; default: as memory allows.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", parser=whole(1), metavar="N", help="Threads; default: one a processor."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output of gnnseg that exists.")
]
Refine = Annotated[
    bool,
    typer.Option(
        "--refine", help="Refine pixels along borders, by colour and distance or as learnt."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Step = Annotated[
    int | None,
    typer.Option("--step", parser=whole(2, 256), metavar="N", help="Pixels on a side of a cell."),
]
Segments = Annotated[
    int | None,
    typer.Option(
        "--n-segments",
        parser=whole(1),
        metavar="N",
        help="About how many superpixels, in place of --step.",
    ),
]
Compactness = Annotated[
    float,
    typer.Option(
        "--compactness", min=0, max=196, metavar="C", help="Weight of space against colour."
    ),
]
Iterations = Annotated[
    int, typer.Option("--n-iter", parser=whole(0, 100), metavar="T", help="Rounds of SLIC.")
]
Sigma = Annotated[
    float, typer.Option("--sigma", min=0, metavar="S", help="Smoothing before, in pixels.")
]
Volume = Annotated[
    bool,
    typer.Option("--volume", help="Treat a stack as one volume, in place of plane by plane."),
]
Spacing = Annotated[
    Any,
    typer.Option(
        "--spacing",
        parser=lengths,
        metavar="Z,Y,X",
        help="Size of a voxel of a volume; default: the file's, else as long as wide.",
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", help="Append a line for every event to this file."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Show tracebacks, more figures, and progress in a pipe, too."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show results and errors only.")]

OptionTable = tuple[tuple[str, Any, Any], ...]
"""Name, annotation and default of options that are added to a command."""
STAGE_OPTIONS: OptionTable = (
    ("step", Step, None),
    ("n_segments", Segments, None),
    ("compactness", Compactness, 4.0),
    ("n_iter", Iterations, 2),
    ("sigma", Sigma, 0.0),
    ("mask", MaskPath, None),
    ("volume", Volume, False),
    ("spacing", Spacing, None),
    ("memory", Memory, None),
    ("block", BlockSize, None),
    ("workers", Workers, None),
    ("overwrite", Overwrite, False),
)
"""Those of the single stages; `StageOptions` of the pipeline has the same."""
LOG_OPTIONS: OptionTable = (("log_file", LogFile, None),)
COMMON_OPTIONS: OptionTable = (("verbose", Verbose, False), ("quiet", Quiet, False))
