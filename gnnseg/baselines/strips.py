"""Logits of a part of a plane, blended from tiles, some rows after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gnnseg.baselines.tiles import Stretch, stretches
from gnnseg.blocks import Window

TileLogits = Callable[[Window], tuple[np.ndarray, np.ndarray | None]]
"""Logits (classes, h, w) float32 of a tile, and its finite pixels (h, w) bool; None: all."""


@dataclass(frozen=True, eq=False)
class Slab:
    """Rows of a part of a plane: logits (classes, h, w) float32, and finite pixels (h, w) bool."""

    window: Window
    logits: np.ndarray
    valid: np.ndarray


def blended_slabs(
    logits_of: TileLogits,
    shape: tuple[int, int],
    part: Window,
    num_classes: int,
    *,
    tile: int,
    overlap: int,
    rows: int,
) -> Iterator[Slab]:
    """The logits of a part of a plane of `shape`, in slabs of `rows` rows from top to bottom.

    Tiles lie where the plane says, and each pixel adds them up in one order: the logits of a pixel
    are the same, bit for bit, whatever part it is asked for in. No more than `tile + rows` rows are
    held; a slab is overwritten when the next one is asked for.

    >>> flat = lambda window: (np.ones((1, *window.shape), np.float32), None)
    >>> given = {"tile": 8, "overlap": 2, "rows": 5}
    >>> slabs = blended_slabs(flat, (20, 9), Window(0, 12, 0, 9), 1, **given)
    >>> [(slab.window.shape, float(slab.logits.min())) for slab in slabs]
    [((5, 9), 1.0), ((5, 9), 1.0), ((2, 9), 1.0)]
    """
    down = touching(stretches(shape[0], tile, overlap), part.y0, part.y1)
    across = touching(stretches(shape[1], tile, overlap), part.x0, part.x1)
    strip = _Strip(part, num_classes, min(tile + rows, part.shape[0]))
    for number, row in enumerate(down):
        for column in across:
            strip.add(row, column, logits_of)
        is_last = number + 1 == len(down)
        final = part.y1 if is_last else min(down[number + 1].start, part.y1)
        yield from strip.slabs(final, rows)


def touching(parts: list[Stretch], start: int, stop: int) -> list[Stretch]:
    """The stretches of an axis that share pixels with `start` to `stop`."""
    return [part for part in parts if part.start < stop and part.stop > start]


class _Strip:
    """Rows that are not given away yet: the first is `top` of the plane."""

    def __init__(self, part: Window, num_classes: int, capacity: int) -> None:
        self.part, self.top = part, part.y0
        self.logits = np.zeros((num_classes, capacity, part.shape[1]), np.float32)
        self.valid = np.ones((capacity, part.shape[1]), np.bool_)

    def add(self, row: Stretch, column: Stretch, logits_of: TileLogits) -> None:
        """Add what a tile says, weighted."""
        tile = Window(row.start, row.stop, column.start, column.stop)
        left = Window(self.top, self.part.y1, self.part.x0, self.part.x1)
        seen = tile.clip(left)
        source, target = seen.relative_to(tile).slices, seen.relative_to(left).slices
        weight = row.weight[source[0], None] * column.weight[source[1]]
        logits, valid = logits_of(tile)
        self.logits[(slice(None), *target)] += logits[(slice(None), *source)] * weight
        if valid is not None:
            self.valid[target] &= valid[source]

    def slabs(self, final: int, rows: int) -> Iterator[Slab]:
        """Whole slabs up to the row `final`, and the last one of the part."""
        first = self.part.y0
        stop = final if final == self.part.y1 else final - (final - first) % rows
        stop = max(stop, self.top)  # a part may begin where the next row of tiles has begun
        for top in range(self.top, stop, rows):
            height, offset = min(rows, stop - top), top - self.top
            window = Window(top, top + height, self.part.x0, self.part.x1)
            kept = slice(offset, offset + height)
            yield Slab(window, self.logits[:, kept], self.valid[kept])
        self._drop(stop - self.top)

    def _drop(self, number: int) -> None:
        """Forget the first rows, and move up the others, a piece at a time."""
        if number == 0:
            return
        left = len(self.valid) - number
        for start in range(0, left, number):
            stop = min(start + number, left)
            for layer in (*self.logits, self.valid):
                layer[start:stop] = layer[start + number : stop + number]
        self.logits[:, left:] = 0
        self.valid[left:] = True
        self.top += number
