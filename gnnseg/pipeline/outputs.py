"""The files that a segmentation leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnseg.errors import MemoryBudgetError, StateError, UsageError
from gnnseg.io import (
    ZarrOutput,
    check_ours,
    create_label_zarr,
    create_map_zarr,
    drop_torn,
    export_png,
    export_tiff,
    is_complete,
    label_dtype,
    mark_complete,
    open_output,
    output_kind,
    remove_output,
)
from gnnseg.io.atomic import check_leads_somewhere, check_regular
from gnnseg.io.attributes import gnnseg_attributes
from gnnseg.io.export import MAX_PNG_PIXELS
from gnnseg.memory import format_size
from gnnseg.pipeline.manifest import check_inputs, check_run, is_unfinished, remove_run
from gnnseg.pipeline.plan import RUNTIME_BYTES, advice
from gnnseg.pipeline.summary import table_paths

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job
    from gnnseg.pipeline.manifest import Run
    from gnnseg.pipeline.pixel_job import PixelJob

MAPS = "probabilities", "uncertainty"
"""What may be painted beside labels; options of a run have the same names."""
MAX_LABELS = 65_535
"""Values of a label image; the highest of uint16 means unlabelled."""


@dataclass(frozen=True)
class Outputs:
    """Where the labels, the maps beside them and the run's folder go; labels are zarr at first."""

    out: Path
    kind: str

    @classmethod
    def at(cls, out: Path) -> Outputs:
        """Outputs by the name of the label file."""
        return cls(out, output_kind(out))

    @property
    def folder(self) -> Path:
        return self.out.with_name(self.out.name + ".gnnseg")

    @property
    def labels(self) -> Path:
        return self.out if self.kind == "zarr" else self.folder / "labels.zarr"

    @property
    def maps(self) -> dict[str, Path]:
        """Of probabilities and of uncertainty, where they are asked for."""
        return {name: self.out.with_name(f"{self.out.name}.{name}.zarr") for name in MAPS}

    def check(self, job: Job | PixelJob) -> None:
        """Raise for what this output cannot hold or must not replace."""
        image, mask = job.reader.image, job.reader.mask
        names = [source.name for source in (image, mask) if source is not None]
        check_inputs(names, (self.out, *self.maps.values(), self.folder))
        self._check_places(overwrite=job.options.overwrite)
        values = job.model.classes.num_classes + job.options.label_offset
        if not job.model.classes.num_classes <= values <= MAX_LABELS:
            raise UsageError(
                f"--label-offset {job.options.label_offset}: labels must lie between 0 and "
                f"{MAX_LABELS - 1}"
            )
        if self.kind == "png" and (image.is_stack or job.roi.size > MAX_PNG_PIXELS):
            raise UsageError(
                f"{self.out}: a PNG holds one plane of at most {MAX_PNG_PIXELS:,} pixels; "
                "name the output *.tif or *.zarr"
            )
        if self.kind == "png":
            self._check_memory(job)

    def _check_memory(self, job: Job | PixelJob) -> None:
        """Raise where the budget has no room for all labels, which are a PNG's at once."""
        sources = (job.reader.image, job.reader.mask)
        kept = sum(source.resident_bytes for source in sources if source is not None)
        dtype = label_dtype(job.model.classes.num_classes, job.options.label_offset)
        need = job.base + RUNTIME_BYTES + kept + job.roi.size * dtype.itemsize
        if need > job.options.memory:
            raise MemoryBudgetError(
                f"{self.out}: a PNG is written at once, which needs about {format_size(need)}, and "
                f"the budget is {format_size(job.options.memory)}: {advice(need)}, or name the "
                "output *.tif or *.zarr"
            )

    def _check_places(self, *, overwrite: bool) -> None:
        """Raise for what lies where something is going to be written."""
        for path in (*table_paths(self.out), *(() if self.kind == "zarr" else (self.out,))):
            check_regular(path)
        for path in (self.out, *self.maps.values(), self.folder):
            check_leads_somewhere(path)
        if overwrite:
            self._check_ours()
        else:
            self._check_unfinished()
        check_run(self.folder)

    def clear(self) -> None:
        """Remove what an earlier run left; anything else there is left alone, with a StateError."""
        if self.out.is_dir():
            remove_output(self.out)
        for path in self.maps.values():
            remove_output(path)
        remove_run(self.folder)

    def _check_ours(self) -> None:
        if self.out.is_file() and not self.folder.exists():
            raise StateError(f"{self.out}: exists and is no output of gnnseg; move it away")
        for path in (*self.maps.values(), *((self.out,) if self.kind == "zarr" else ())):
            check_ours(path)

    def _check_unfinished(self) -> None:
        out, ours = self.out, self.folder.exists()
        if is_complete(out) and not is_unfinished(self.folder):
            raise StateError(f"{out}: exists and is complete; use --overwrite to make it anew")
        if out.exists() and ((gnnseg_attributes(out) is None and self.kind == "zarr") or not ours):
            raise StateError(
                f"{out}: exists and is no unfinished output of this command; move it away"
            )
        left = [path for path in self.maps.values() if path.exists()]
        if left and not ours:
            raise StateError(f"{left[0]}: is left of another run; move it away or use --overwrite")

    def open_labels(self, job: Job | PixelJob, run: Run) -> ZarrOutput:
        """The label image; if it is not there, it is created and its marks are dropped."""
        if self.labels.exists():
            return _go_on(self.labels)
        run.forget("paint", "pyramid")
        image, classes = job.reader.image, job.model.classes
        create_label_zarr(
            self.labels,
            shape=job.shape,
            chunk=job.chunk,
            dtype=label_dtype(classes.num_classes, job.options.label_offset),
            classes=classes,
            pixel_size=image.pixel_size,
            plane_spacing=image.plane_spacing,
            unit=image.unit,
            label_offset=job.options.label_offset,
            ome_version=job.options.ome_version,
        )
        return open_output(self.labels)

    def open_maps(self, job: Job | PixelJob, run: Run) -> dict[str, ZarrOutput]:
        """The maps that are asked for, by name; likewise."""
        return {name: self._open_map(name, job, run) for name in _wanted(job)}

    def _open_map(self, name: str, job: Job | PixelJob, run: Run) -> ZarrOutput:
        path = self.maps[name]
        if path.exists():
            return _go_on(path)
        run.forget("paint")
        image = job.reader.image
        return create_map_zarr(
            path,
            kind=name,
            shape=job.shape,
            chunk=job.chunk,
            classes=job.model.classes,
            pixel_size=image.pixel_size,
            plane_spacing=image.plane_spacing,
            unit=image.unit,
            ome_version=job.options.ome_version,
        )

    def finish(self, job: Job | PixelJob) -> None:
        """Turn the labels into the file that was asked for, and say that everything is whole."""
        for name in _wanted(job):
            mark_complete(self.maps[name])
        mark_complete(self.labels)
        if self.kind == "tiff":
            export_tiff(self.labels, self.out, overwrite=True)
        elif self.kind == "png":
            export_png(self.labels, self.out, overwrite=True)


def _wanted(job: Job | PixelJob) -> list[str]:
    """Names of the maps that a run writes."""
    return [name for name in MAPS if getattr(job.options, name)]


def _go_on(path: Path) -> ZarrOutput:
    """An output that an interrupted run left, without what it left half written."""
    drop_torn(path)
    return open_output(path)
