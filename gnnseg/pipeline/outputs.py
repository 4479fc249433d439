"""The files that a segmentation leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnseg.errors import StateError
from gnnseg.io import (
    ZarrOutput,
    create_label_zarr,
    create_probability_zarr,
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
from gnnseg.pipeline.manifest import remove_run

if TYPE_CHECKING:
    from gnnseg.pipeline.job import Job


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

    def clear(self, *, overwrite: bool) -> None:
        """Remove what an earlier run left, if allowed; raise for what cannot go on."""
        if not overwrite:
            self._check_unfinished()
            return
        if self.out.is_dir():
            remove_output(self.out)
        remove_output(self.probabilities)
        remove_run(self.folder)

    def _check_unfinished(self) -> None:
        out = self.out
        if is_complete(out):
            raise StateError(f"{out}: exists and is complete; use --overwrite to make it anew")
        if out.exists() and (gnnseg_attributes(out) is None or not self.folder.exists()):
            raise StateError(
                f"{out}: exists and is no unfinished output of this command; move it away"
            )

    def open_labels(self, job: Job) -> ZarrOutput:
        """The label image, created if it does not exist."""
        if self.labels.exists():
            return open_output(self.labels)
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
        )
        return open_output(self.labels)

    def open_probabilities(self, job: Job) -> ZarrOutput | None:
        """The image of probabilities, if asked for."""
        if not job.options.probabilities:
            return None
        if self.probabilities.exists():
            return open_output(self.probabilities)
        image = job.reader.image
        return create_probability_zarr(
            self.probabilities,
            shape=job.shape,
            chunk=job.chunk,
            classes=job.model.classes,
            pixel_size=image.pixel_size,
            plane_spacing=image.plane_spacing,
            unit=image.unit,
        )

    def finish(self, job: Job) -> None:
        """Say that everything is whole; turn the labels into the file that was asked for."""
        mark_complete(self.labels)
        if job.options.probabilities:
            mark_complete(self.probabilities)
        if self.kind == "tiff":
            export_tiff(self.labels, self.out, overwrite=True)
        elif self.kind == "png":
            export_png(self.labels, self.out, overwrite=True)
        if self.kind != "zarr":
            remove_output(self.labels)
