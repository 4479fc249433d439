"""Settings of the superpixels, and the halo that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any

from gnnseg.blocks import step_for
from gnnseg.errors import UsageError
from gnnseg.kernels.colour import TOP
from gnnseg.kernels.ruler import HEAVIEST

MOST_COMPACT = HEAVIEST * 100 // TOP
_WHOLE = "step", "n_iter", "stride", "rounds"


@dataclass(frozen=True)
class SlicSettings:
    """How superpixels are made; names as in scikit-image's `slic`.

    `step` is the cell size in pixels, `compactness` what a distance of one step costs (in
    hundredths of the grey scale), `n_iter` the rounds, `sigma` the smoothing in pixels beyond the
    filter that is part of the clustering, `stride` the spacing of the pixels looked at in all
    rounds but the last, `rounds` how far orphan pixels may look for a main piece (default: `step`).
    """

    step: int = 16
    compactness: float = 4.0
    n_iter: int = 2
    sigma: float = 0.0
    stride: int = 2
    rounds: int | None = None

    def __post_init__(self) -> None:
        for name in _WHOLE:
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        _check("step", self.step, 2, 256)
        _check("compactness", self.compactness, 0.0, MOST_COMPACT)
        _check("n_iter", self.n_iter, 0, 100)
        _check("sigma", self.sigma, 0.0, 32.0)
        _check("stride", self.stride, 1, self.step)
        if self.rounds is not None:
            _check("rounds", self.rounds, 0, 256)

    @classmethod
    def for_image(
        cls,
        height: int,
        width: int,
        *,
        step: int | None = None,
        n_segments: int | None = None,
        **rest: Any,
    ) -> SlicSettings:
        """Settings for an image, from `step` (default 16) or the number of superpixels."""
        if step is not None and n_segments is not None:
            raise UsageError("give step or n_segments, not both")
        if step is None:
            step = 16 if n_segments is None else step_for(n_segments, height, width)
        return cls(step=step, **rest)

    @property
    def orphan_rounds(self) -> int:
        return self.step if self.rounds is None else self.rounds

    @property
    def looked_at(self) -> int:
        """The spacing of the pixels that centres are made of: all, where there are no rounds."""
        return self.stride if self.n_iter > 0 else 1

    @property
    def slic_halo(self) -> int:
        """Cells that the last assignment depends on: two a round, one for the assignment."""
        return 2 * self.n_iter + 1

    @property
    def piece_halo(self) -> int:
        """Cells that decide which piece of a superpixel is the main one."""
        return 2

    @property
    def orphan_halo(self) -> int:
        """Cells that orphan pixels look across, a pixel a round."""
        return -(-self.orphan_rounds // self.step)

    @property
    def slot_halo(self) -> int:
        """Cells around a block within which its slots are decided."""
        return self.slic_halo + self.piece_halo + self.orphan_halo


def _whole(name: str, value: Any) -> int | None:
    """A whole number, of any type that is one; or None, which only `rounds` may be."""
    if value is None and name == "rounds":
        return None
    try:
        return index(value)
    except TypeError:
        raise UsageError(f"{name} must be a whole number, got {value!r}") from None


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} must lie between {low:g} and {high:g}, got {value!r}")
