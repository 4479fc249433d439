"""A search for regions to label, image by image, within one budget of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.errors import InputError, UsageError
from gnnseg.execution import run_tasks
from gnnseg.features import feature_names
from gnnseg.ledger import Ledger
from gnnseg.memory import trim
from gnnseg.pipeline.candidates import CandidatePhase, Pool, choose, pool_bytes
from gnnseg.pipeline.job import Job, SegmentOptions, prepare
from gnnseg.pipeline.manifest import Run, check_inputs, remove_run
from gnnseg.pipeline.outlines import Outline, outline
from gnnseg.pipeline.segment import stream_logits
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.segment import Stream

KIND = "suggestions"
LEAST_SHARE = 0.25
"""Share of a cell below which a region is too small to be clicked."""
SHOWN_CLASSES = 3

Key = tuple[int, int, int, int]
"""Number of the image, plane, row and column of the home cell."""


@dataclass(frozen=True)
class Source:
    """An image, its name, the labels that it has, and the folder of its run."""

    name: str
    image: ImageSource
    labels: ImageSource | None
    folder: Path


class Search:
    """The candidates so far, image by image."""

    def __init__(
        self,
        model: Model,
        *,
        most: int,
        budget: int,
        workers: int,
        block: int | None,
        keep: bool,
        overwrite: bool,
    ) -> None:
        self.model, self.most, self.keep, self.overwrite = model, most, keep, overwrite
        self.ledger = Ledger()
        self.sources: list[Source] = []
        self.regions = 0
        features = len(feature_names(model.scaling.num_channels, rgb=model.scaling.rgb))
        self.pool = Pool.empty(model.classes.num_classes, len(model.columns))
        self.outlines: dict[Key, Outline] = {}
        # Every thread makes a pool, and one is kept; with the outlines they come off the budget.
        held = pool_bytes(model, most, features) * (workers + 1)
        held += most * (9 * model.settings.step**2 // 8 if keep else 0)
        self.options = SegmentOptions(memory=max(1, budget - held), workers=workers, block=block)

    def add(self, number: int, source: Source, out: Path, picture: Path | None) -> None:
        """Bring the regions of an image in; its scratch is dropped afterwards."""
        self.sources.append(source)
        inputs = [source.image.name, *([source.labels.name] if source.labels else [])]
        check_inputs(inputs, [out, source.folder, *([picture] if picture else [])])
        if picture is not None and source.image.is_stack:
            raise UsageError(f"{source.image.name}: a picture shows one plane, and this is a stack")
        job = prepare(source.image, self.model, self.options)
        _check_labels(source, job)
        if self.overwrite:
            remove_run(source.folder)
        settings = {**job.settings(), "kind": KIND}
        run = Run.start(source.folder, settings)
        try:
            job = job.resumed(run)
            stream = stream_logits(job, run, self.ledger)
            self.regions += run.totals("regions")["regions"]
            with self.ledger.stage("candidates"):
                self._collect(number, source, stream)
        finally:
            run.close()
        remove_run(source.folder)

    def _collect(self, number: int, source: Source, stream: Stream) -> None:
        job, scratch = stream.job, stream.scratch
        lattice = job.grid.lattice
        least = max(1, int(LEAST_SHARE * lattice.step**2))
        phase = CandidatePhase(
            self.model, job.grid, scratch, source.labels, number, least, self.most
        )
        tiling = job.grid.tiling(job.grid.cells(0), 0, chunks=1, planes=job.reader.image.num_planes)
        with progress_bar("candidates", tiling.count) as bar:

            def done(_task: Any, found: Pool) -> None:
                self.pool = self.pool.merge(found, self.most)
                trim(above=job.plan.most_kept)
                bar.advance()

            run_tasks(phase, tiling.tasks(), workers=job.plan.workers, done=done)
        keys = set(_keys(self.pool))
        self.outlines = {key: known for key, known in self.outlines.items() if key in keys}
        for key in sorted(keys - self.outlines.keys()):
            self.outlines[key] = outline(scratch.slots, lattice, *key[1:], keep=self.keep)

    def rows(self, count: int) -> tuple[list[dict[str, Any]], list[Key]]:
        """The chosen regions in order of rank, as the list has them, and by key."""
        chosen, distances = choose(self.pool, count)
        keys = list(_keys(self.pool.take(chosen)))
        rows = [
            self._row(rank, int(row), float(distance), keys[rank - 1])
            for rank, (row, distance) in enumerate(zip(chosen, distances, strict=True), start=1)
        ]
        return rows, keys

    def _row(self, rank: int, row: int, distance: float, key: Key) -> dict[str, Any]:
        source, place = self.sources[key[0]], self.outlines[key]
        chances = self.pool.chances[row]
        names = self.model.classes.names
        likeliest = sorted(range(len(names)), key=lambda c: (-chances[c], c))[:SHOWN_CLASSES]
        return {
            "rank": rank,
            "image": source.name,
            **({"plane": key[1]} if source.image.is_stack else {}),
            "y": place.y,
            "x": place.x,
            "id": place.home,
            "area": int(self.pool.area[row]),
            "entropy": round(float(self.pool.entropy[row]), 6),
            "distance": None if math.isnan(distance) else round(distance, 6),
            "classes": [
                {"class": names[c], "probability": round(float(chances[c]), 6)} for c in likeliest
            ],
            "class": None,
        }


def _keys(pool: Pool) -> Iterator[Key]:
    return zip(*(column.tolist() for column in pool.place), strict=True)


def _check_labels(source: Source, job: Job) -> None:
    labels, image = source.labels, job.reader.image
    if labels is None:
        return
    if labels.num_channels != 1 or labels.dtype.kind not in "ui":
        raise InputError(f"{labels.name}: labels hold one whole number a pixel, {labels.dtype}")
    found = labels.num_planes, labels.height, labels.width
    expected = image.num_planes, image.height, image.width
    if found != expected:
        raise InputError(
            f"{labels.name}: has (planes, rows, columns) {found} and the image {expected}: labels "
            "must cover the same pixels"
        )
