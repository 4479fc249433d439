"""What a caller may ask of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass

from gnnseg.io.ome_write import OmeVersion, zarr_format


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """What is painted: labels, the first class as `label_offset`, and what else."""

    label_offset: int = 0
    probabilities: bool = False
    uncertainty: bool = False


@dataclass(frozen=True, kw_only=True)
class SegmentOptions(PaintOptions):
    """All of `segment`, beside the image, the model and the output."""

    memory: int
    workers: int
    block: int | None = None
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None
    keep: bool = False
    overwrite: bool = False
    ome_version: OmeVersion = "0.5"

    def __post_init__(self) -> None:
        zarr_format(self.ome_version)
