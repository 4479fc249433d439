"""A search for regions to label, image by image, within one budget of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.errors import UsageError
from gnnseg.execution import run_tasks
from gnnseg.features import feature_names
from gnnseg.ledger import Ledger
from gnnseg.memory import trim
from gnnseg.pipeline.candidates import CandidatePhase, Pool, choose, pool_bytes
from gnnseg.pipeline.job import SegmentOptions, prepare
from gnnseg.pipeline.manifest import Run, check_inputs, remove_run
from gnnseg.pipeline.outlines import Outline, outlines
from gnnseg.pipeline.stream import stream_logits
from gnnseg.progress import progress_bar

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.models import Model
    from gnnseg.pipeline.known import Known
    from gnnseg.pipeline.stream import Stream

KIND = "suggestions"
LEAST_SHARE = 0.25
"""Share of a cell below which a region is too small to be clicked."""
SHOWN_CLASSES = 3

Key = tuple[int, int, int, int]
"""Number of the image, plane, row and column of the home cell."""


@dataclass(frozen=True)
class Source:
    """The name of an image, what opens it and its labels, and the folder of its run."""

    name: str
    open_image: Callable[[], ImageSource]
    open_labels: Callable[[], Known | None]
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
        self.stacks: list[bool] = []
        self.regions = 0
        features = len(feature_names(model.scaling.num_channels, rgb=model.scaling.rgb))
        self.pool = Pool.empty(model.classes.num_classes, len(model.columns))
        self.outlines: dict[Key, Outline] = {}
        # Every thread makes a pool, and one is kept, with the outlines of its regions.
        held = pool_bytes(model, most, features) * (workers + 1)
        held += most * (9 * model.settings.step**2 // 8 if keep else 0)
        self.options = SegmentOptions(memory=budget, workers=workers, block=block, held=held)

    def add(self, number: int, source: Source, out: Path, picture: Path | None) -> None:
        """Bring the regions of an image in; its scratch is dropped afterwards."""
        image, labels = source.open_image(), source.open_labels()
        inputs = [image.name, *([labels.name] if labels else [])]
        check_inputs(inputs, [out, source.folder, *([picture] if picture else [])])
        if picture is not None and image.is_stack:
            raise UsageError(f"{image.name}: a picture shows one plane, and this is a stack")
        options = self.options
        if labels is not None:
            labels.check(image)
            options = replace(options, held=options.held + labels.resident_bytes)
        job = prepare(image, self.model, options)
        if self.overwrite:
            remove_run(source.folder)
        settings = {**job.settings(), "kind": KIND}
        run = Run.start(source.folder, settings)
        try:
            job = job.resumed(run)
            stream = stream_logits(job, run, self.ledger)
            self.regions += run.totals("regions")["regions"]
            with self.ledger.stage("candidates"):
                self._collect(number, labels, stream)
        finally:
            run.close()
        remove_run(source.folder)
        self.sources.append(source)
        self.stacks.append(image.is_stack)

    def _collect(self, number: int, labels: Known | None, stream: Stream) -> None:
        job, scratch = stream.job, stream.scratch
        least = max(1, int(LEAST_SHARE * job.grid.lattice.step**2))
        phase = CandidatePhase(self.model, job.grid, scratch, labels, number, least, self.most)
        tiling = job.grid.tiling(job.grid.cells(0), 0, chunks=1, planes=job.reader.image.num_planes)
        with progress_bar("candidates", tiling.count) as bar:

            def done(_task: Any, found: Pool) -> None:
                self.pool = self.pool.merge(found, self.most)
                trim(above=job.plan.most_kept)
                bar.advance()

            run_tasks(phase, tiling.tasks(), workers=job.plan.workers, done=done)
        keys = set(_keys(self.pool))
        self.outlines = {key: known for key, known in self.outlines.items() if key in keys}
        new = [key[1:] for key in keys - self.outlines.keys()]
        found = outlines(scratch.slots, job.grid, new, keep=self.keep)
        self.outlines |= {(number, *place): those for place, those in found.items()}

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
            **({"plane": key[1]} if self.stacks[key[0]] else {}),
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
