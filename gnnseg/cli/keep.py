"""The folder of `--keep`: what is wrong with it is said before the work, not after."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from gnnseg.errors import DiskError, StateError, UsageError
from gnnseg.io.atomic import check_leads_somewhere, disk_errors
from gnnseg.pipeline.outputs import Outputs

SCRATCH = "scratch.zarr"


def check_keep(keep: Path, out: Path) -> None:
    """Raise for a folder that holds something, or that shares its place with the output."""
    check_leads_somewhere(keep)
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise StateError(f"--keep {keep}: exists and is no empty folder; choose another one")
    outputs = Outputs.at(out)
    inner = {path.resolve() for path in (out, outputs.folder, *outputs.maps.values())}
    place = keep.resolve()
    if inner & {place, *place.parents} or place in out.resolve().parents:
        raise UsageError(f"--keep {keep}: must lie beside {out}, neither in it nor around it")


def make_keep(keep: Path) -> None:
    """Create the folder, and see whether something can be written there."""
    trial = keep / f"{SCRATCH}.partial"
    with disk_errors(keep):
        keep.mkdir(parents=True, exist_ok=True)
        trial.mkdir()
        trial.rmdir()


def move_scratch(out: Path, keep: Path) -> Path:
    """Move a run's scratch into the folder; where it is copied, a copy cut short looks like one."""
    source, target = Outputs.at(out).folder / SCRATCH, keep / SCRATCH
    with disk_errors(target):
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(source, target)
            shutil.rmtree(source)
    return target


def _copy(source: Path, target: Path) -> None:
    """Copy a folder to another disk; it has its name when it is whole."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.copytree(source, partial)
    except shutil.Error as error:
        first = error.args[0][0][-1]
        raise DiskError(f"{target}: cannot be copied, but {source} is whole: {first}") from error
    partial.rename(target)
