"""What the single stages share: how a run of one of them starts, or goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gnnseg.errors import StateError, UsageError
from gnnseg.io import is_complete, remove_output
from gnnseg.io.atomic import check_leads_somewhere
from gnnseg.pipeline.manifest import Run, check_inputs, check_run, is_unfinished, remove_run

SLOT_KIND, VOLUME_SLOT_KIND = "slot_map", "supervoxel_slot_map"


def start_single(
    out: Path, kind: str, settings: dict[str, Any], *, inputs: Iterable[str], overwrite: bool
) -> Run:
    """Begin or go on with a run that writes `out`; what `inputs` name is never replaced.

    If `out` exists afterwards, it is whole, and there is only something left to tidy up.
    """
    from gnnseg import __version__

    if out.suffix != ".zarr":
        raise UsageError(f"{out}: this is written as zarr; name it *.zarr")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; create it first")
    folder = out.with_name(out.name + ".gnnseg")
    check_inputs(inputs, (out, folder))
    for path in (out, folder):
        check_leads_somewhere(path)
    if overwrite:
        check_run(folder)
        remove_output(out)
        remove_run(folder)
    elif out.exists() and not (is_unfinished(folder) and is_complete(out)):
        raise StateError(f"{out}: exists; use --overwrite to make it anew")
    return Run.start(folder, {"gnnseg": __version__, "kind": kind, **settings})
