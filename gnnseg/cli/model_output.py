"""Where commands write a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnnseg.errors import StateError, UsageError

ModelOut = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="MODEL", show_default=False, help="Model file, *.safetensors."
    ),
]


def check_model_out(out: Path) -> None:
    """What could keep a model from being written, before hours of work."""
    from gnnseg.io.atomic import check_replaceable

    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: a model file ends in .safetensors")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; create it first")
    check_replaceable(out, overwrite=True)


def check_absent(path: Path, *, overwrite: bool) -> None:
    """Raise `StateError` for what exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise StateError(f"{path}: exists; use --overwrite to replace it, or choose another name")
