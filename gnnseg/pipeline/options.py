"""What a caller may ask of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass

from gnnseg.errors import UsageError
from gnnseg.io.ome_write import OmeVersion, zarr_format
from gnnseg.pipeline.refine import WIDEST, WIDTH


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """What is painted: labels, the first class as `label_offset`, and what else.

    With `refine`, pixels within `refine_width` of a border get labels of their own. What is
    `measured` is not written but compared with true labels. `label_bytes` is what reading true
    labels takes on each thread, beside the labels.
    """

    label_offset: int = 0
    probabilities: bool = False
    uncertainty: bool = False
    refine: bool = False
    refine_width: int = WIDTH
    measured: bool = False
    label_bytes: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.refine_width <= WIDEST:
            raise UsageError(
                f"the width of refined borders must lie between 1 and {WIDEST} pixels, "
                f"got {self.refine_width}"
            )

    @property
    def band(self) -> int:
        """Pixels to each side of a border that are refined."""
        return self.refine_width if self.refine else 0


@dataclass(frozen=True, kw_only=True)
class SegmentOptions(PaintOptions):
    """All of `segment`, beside the image, the model and the output.

    `held` bytes are kept for the caller: they are no room for blocks.
    """

    memory: int
    workers: int
    block: int | None = None
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None
    keep: bool = False
    overwrite: bool = False
    ome_version: OmeVersion = "0.5"
    held: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        zarr_format(self.ome_version)
