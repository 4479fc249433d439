"""A search for regions to label, image by image, within one budget of memory."""

from __future__ import annotations

import json
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
from gnnseg.pipeline.candidates import CandidatePhase, Pool, choose, pool_bytes, window_shape
from gnnseg.pipeline.found import Found, Key, load_found, save_found
from gnnseg.pipeline.job import Job, SegmentOptions, prepare
from gnnseg.pipeline.manifest import Run, check_inputs, remove_run
from gnnseg.pipeline.outlines import outlines
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


@dataclass(frozen=True)
class Source:
    """The name of an image, what opens it and its labels, and the folder of its run."""

    name: str
    open_image: Callable[[], ImageSource]
    open_labels: Callable[[], Known | None]
    folder: Path


class Search:
    """The candidates so far, image by image, which the file `path` keeps until it is dropped."""

    def __init__(
        self,
        model: Model,
        path: Path,
        *,
        most: int,
        budget: int,
        workers: int,
        block: int | None,
        keep: bool,
        overwrite: bool,
    ) -> None:
        self.model, self.path, self.most, self.keep = model, path, most, keep
        self.overwrite = overwrite
        self.ledger = Ledger()
        self.sources: list[Source] = []
        self.stacks: list[bool] = []
        features = len(feature_names(model.scaling.num_channels, rgb=model.scaling.rgb))
        self.found = Found(Pool.empty(model.classes.num_classes, len(model.columns)))
        if path.exists() and not overwrite:
            self.found = load_found(path)
        # Every thread makes a pool, and one is kept, with the outlines of its regions.
        held = pool_bytes(model, most, features) * (workers + 1)
        held += most * (9 * model.settings.step**2 // 8 if keep else 0)
        self.options = SegmentOptions(memory=budget, workers=workers, block=block, held=held)

    def add(self, number: int, source: Source, out: Path, picture: Path | None) -> None:
        """Bring the regions of an image in; its scratch is dropped afterwards."""
        image, labels = source.open_image(), source.open_labels()
        inputs = [image.name, *([labels.name] if labels else [])]
        check_inputs(inputs, [out, self.path, source.folder, *([picture] if picture else [])])
        if picture is not None and image.is_stack:
            raise UsageError(f"{image.name}: a picture shows one plane, and this is a stack")
        options = self.options
        if labels is not None:
            labels.check(image)
            held = options.held + labels.resident_bytes
            shape = window_shape(self.model.settings.step)
            options = replace(options, held=held, label_bytes=labels.read_bytes(shape))
        job = prepare(image, self.model, options)
        settings = {**job.settings(), "kind": KIND}
        self.sources.append(source)
        self.stacks.append(image.is_stack)
        about = {**settings, "image": source.name, "labels": labels and labels.identity}
        about = json.loads(json.dumps({**about, "most": self.most, "keep": self.keep}))
        if not self.found.has(number, about, self.path):
            if labels is not None:
                labels.check_values(options)
            self._search(number, Run.start(self._cleared(source), settings), job, labels)
            self.found.images.append(about)
            save_found(self.found, self.path)
        remove_run(source.folder)

    def _cleared(self, source: Source) -> Path:
        """The folder of an image's run, of which nothing is left where all is to start anew."""
        if self.overwrite:
            remove_run(source.folder)
        return source.folder

    def _search(self, number: int, run: Run, job: Job, labels: Known | None) -> None:
        try:
            if not self.found.images:
                save_found(self.found, self.path)  # tells from now on that work is left
            job = job.resumed(run)
            stream = stream_logits(job, run, self.ledger)
            self.found.regions += run.totals("regions")["regions"]
            with self.ledger.stage("candidates"):
                self._collect(number, labels, stream)
        finally:
            run.close()

    def drop(self) -> None:
        """Delete the file, once the list is written."""
        self.path.unlink(missing_ok=True)

    def _collect(self, number: int, labels: Known | None, stream: Stream) -> None:
        job, scratch = stream.job, stream.scratch
        least = max(1, int(LEAST_SHARE * job.grid.lattice.step**2))
        known = self.found
        phase = CandidatePhase(self.model, job.grid, scratch, labels, number, least, self.most)
        tiling = job.grid.tiling(job.grid.cells(0), 0, chunks=1, planes=job.reader.image.num_planes)
        with progress_bar("candidates", tiling.count) as bar:

            def done(_task: Any, found: Pool) -> None:
                known.pool = known.pool.merge(found, self.most)
                trim(above=job.plan.most_kept)
                bar.advance()

            run_tasks(phase, tiling.tasks(), workers=job.plan.workers, done=done)
        keys = set(_keys(known.pool))
        known.outlines = {key: place for key, place in known.outlines.items() if key in keys}
        new = [key[1:] for key in keys - known.outlines.keys()]
        found = outlines(scratch.slots, job.grid, new, keep=self.keep)
        known.outlines |= {(number, *place): those for place, those in found.items()}

    def rows(self, count: int) -> tuple[list[dict[str, Any]], list[Key]]:
        """The chosen regions in order of rank, as the list has them, and by key.

        Raises `StateError` where an earlier search had further images.
        """
        self.found.check_number(len(self.sources), self.path)
        chosen, distances = choose(self.found.pool, count)
        keys = list(_keys(self.found.pool.take(chosen)))
        rows = [
            self._row(rank, int(row), float(distance), keys[rank - 1])
            for rank, (row, distance) in enumerate(zip(chosen, distances, strict=True), start=1)
        ]
        return rows, keys

    def _row(self, rank: int, row: int, distance: float, key: Key) -> dict[str, Any]:
        source, place = self.sources[key[0]], self.found.outlines[key]
        chances = self.found.pool.chances[row]
        names = self.model.classes.names
        likeliest = sorted(range(len(names)), key=lambda c: (-chances[c], c))[:SHOWN_CLASSES]
        return {
            "rank": rank,
            "image": source.name,
            **({"plane": key[1]} if self.stacks[key[0]] else {}),
            "y": place.y,
            "x": place.x,
            "id": place.home,
            "area": int(self.found.pool.area[row]),
            "entropy": round(float(self.found.pool.entropy[row]), 6),
            "distance": None if math.isnan(distance) else round(distance, 6),
            "classes": [
                {"class": names[c], "probability": round(float(chances[c]), 6)} for c in likeliest
            ],
            "class": None,
        }


def _keys(pool: Pool) -> Iterator[Key]:
    return zip(*(column.tolist() for column in pool.place), strict=True)
