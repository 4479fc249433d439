"""The rounds of the clustering of a volume, in groups with the centres on disk between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.io.zarr_output import FLAT_KEYS
from gnnseg.pipeline.plan import Plan
from gnnseg.superpixels.groups import Group, groups_until
from gnnseg.superpixels.volume import NOT_COMPUTED, write_centres

if TYPE_CHECKING:
    from gnnseg.ledger import Ledger
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.tiling import BoxTask
    from gnnseg.pipeline.volume_grid import VolumeGrid
    from gnnseg.superpixels import VolumeReader

CENTRE_ARRAYS = 2
"""Those that a group of rounds reads, and those that it writes: older ones are deleted."""


@dataclass(frozen=True)
class VolumePlan(Plan):
    """That of a volume; `centres` are the rounds after which centres go to disk."""

    centres: tuple[int, ...]


def centre_bytes(grid: VolumeGrid) -> int:
    """Disk that the centres of a volume take, at most."""
    return CENTRE_ARRAYS * 2 * int(np.prod(grid.volume.centre_shape))


def stream_centres(grid: VolumeGrid, plan: VolumePlan, run: Run, ledger: Ledger) -> Any:
    """Run the groups of rounds that are not yet done; the centres after the last one.

    What an array holds depends on the number of rounds alone: a run goes on from the last one that
    is whole, whatever groups were planned when it was written.
    """
    import zarr

    root: Any = zarr.open_group(run.scratch, mode="r+")
    found = [n for n in range(plan.centres[-1] + 1) if _name(n) in root]
    before = max((n for n in found if run.is_done(_name(n))), default=None)
    groups = groups_until(plan.centres, before=before)
    for left in {*found} - {before, *(group.after for group in groups)}:
        run.discard(_name(left))  # by a kill, or by another plan
    for group in groups:
        name = _name(group.after)
        if name not in root:
            run.discard(name)
            _create(root, name, grid)
        before = None if group.before is None else root[_name(group.before)]
        out = root[name]
        work = partial(_centres_phase, grid.volume, group, before, out)
        tiling = grid.centre_tiling(plan.region_chunks, group)
        with ledger.stage(name):
            run.phase(name, tiling, work, workers=plan.workers, most_kept=plan.most_kept)
        if group.before is not None:
            run.discard(_name(group.before))
    return root[_name(plan.centres[-1])]


def _name(rounds: int) -> str:
    """Of the phase after which so many rounds are done, and of the array that it writes."""
    return f"centres_{rounds}"


def _create(root: Any, name: str, grid: VolumeGrid) -> None:
    from zarr.codecs import ZstdCodec

    *cells, numbers = grid.volume.centre_shape
    root.create_array(
        name,
        shape=(*cells, numbers),
        chunks=(*grid.chunk, numbers),
        dtype=np.uint16,
        fill_value=NOT_COMPUTED,
        chunk_key_encoding=FLAT_KEYS,
        compressors=ZstdCodec(level=1, checksum=True),
    )


def _centres_phase(
    volume: VolumeReader, group: Group, before: Any, out: Any, task: BoxTask
) -> dict[str, Any]:
    write_centres(volume, task.block, group=group, before=before, out=out)
    return {}
