"""The files that a segmentation leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnseg.errors import StateError, UsageError
from gnnseg.io import (
    ZarrOutput,
    check_ours,
    create_label_zarr,
    create_probability_zarr,
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
from gnnseg.io.attributes import gnnseg_attributes
from gnnseg.io.export import MAX_PNG_PIXELS
from gnnseg.pipeline.manifest import check_inputs, check_run, is_unfinished, remove_run

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job
    from gnnseg.pipeline.manifest import Run

MAX_LABELS = 65_535
"""Values of a label image; the highest of uint16 means unlabelled."""


@dataclass(frozen=True)
class Outputs:
    """Where the labels, the probabilities and the run's folder go; labels are zarr at first."""

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
    def probabilities(self) -> Path:
        return self.out.with_name(self.out.name + ".probabilities.zarr")

    def check(self, job: Job) -> None:
        """Raise for what this output cannot hold, or for inputs that it would replace."""
        image, mask = job.reader.image, job.reader.mask
        names = [source.name for source in (image, mask) if source is not None]
        check_inputs(names, (self.out, self.probabilities, self.folder))
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

    def clear(self, *, overwrite: bool) -> None:
        """Remove what an earlier run left, if allowed; raise for what cannot go on."""
        if not overwrite:
            self._check_unfinished()
            return
        check_run(self.folder)
        if self.out.is_file() and not self.folder.exists():
            raise StateError(f"{self.out}: exists and is no output of gnnseg; move it away")
        check_ours(self.probabilities)
        if self.out.is_dir():
            remove_output(self.out)
        remove_output(self.probabilities)
        remove_run(self.folder)

    def _check_unfinished(self) -> None:
        out, ours = self.out, self.folder.exists()
        if is_complete(out) and not is_unfinished(self.folder):
            raise StateError(f"{out}: exists and is complete; use --overwrite to make it anew")
        if out.exists() and ((gnnseg_attributes(out) is None and self.kind == "zarr") or not ours):
            raise StateError(
                f"{out}: exists and is no unfinished output of this command; move it away"
            )
        if self.probabilities.exists() and not ours:
            raise StateError(
                f"{self.probabilities}: is left of another run; move it away or use --overwrite"
            )

    def open_labels(self, job: Job, run: Run) -> ZarrOutput:
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

    def open_probabilities(self, job: Job, run: Run) -> ZarrOutput | None:
        """The image of probabilities, if asked for; likewise."""
        if not job.options.probabilities:
            return None
        if self.probabilities.exists():
            return _go_on(self.probabilities)
        run.forget("paint")
        image = job.reader.image
        return create_probability_zarr(
            self.probabilities,
            shape=job.shape,
            chunk=job.chunk,
            classes=job.model.classes,
            pixel_size=image.pixel_size,
            plane_spacing=image.plane_spacing,
            unit=image.unit,
            ome_version=job.options.ome_version,
        )

    def finish(self, job: Job) -> None:
        """Turn the labels into the file that was asked for, and say that everything is whole."""
        if job.options.probabilities:
            mark_complete(self.probabilities)
        mark_complete(self.labels)
        if self.kind == "tiff":
            export_tiff(self.labels, self.out, overwrite=True)
        elif self.kind == "png":
            export_png(self.labels, self.out, overwrite=True)


def _go_on(path: Path) -> ZarrOutput:
    """An output that an interrupted run left, without what it left half written."""
    drop_torn(path)
    return open_output(path)
