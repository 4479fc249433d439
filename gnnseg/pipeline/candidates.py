"""Regions whose labels would help: the most uncertain ones, and a diverse choice of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window, chunk_cells
from gnnseg.graph.table import FINE_REACH
from gnnseg.kernels.slots import MASKED
from gnnseg.models.group import LOGITS
from gnnseg.paint import PAINT_HALO
from gnnseg.pipeline.probability import softmax

if TYPE_CHECKING:
    from gnnseg.models import Model
    from gnnseg.pipeline.known import Known
    from gnnseg.pipeline.scratch import Scratch
    from gnnseg.pipeline.tiling import Task
    from gnnseg.pipeline.windows import Grid

BAND = 16
"""Rows of cells whose pixels are looked up at once."""
FAR = 3.0
"""Standard deviations beyond which a feature counts as no farther: noise is far from everything."""


@dataclass(frozen=True)
class Pool:
    """N regions: where they are, how large, how uncertain, and what the model sees of them.

    `image` (N,) int64 is the number of the image, `plane` that of the plane, `row` and `column`
    those of the home cell; `area` in pixels; `entropy` in nats; `chances` (N, classes) float64; `x`
    (N, F) float32, the standardised features.
    """

    image: np.ndarray
    plane: np.ndarray
    row: np.ndarray
    column: np.ndarray
    area: np.ndarray
    entropy: np.ndarray
    chances: np.ndarray
    x: np.ndarray

    @classmethod
    def empty(cls, num_classes: int, num_features: int) -> Pool:
        """No regions."""
        none = np.zeros(0, np.int64)
        chances, x = np.zeros((0, num_classes)), np.zeros((0, num_features), np.float32)
        return cls(none, none, none, none, none, np.zeros(0), chances, x)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def place(self) -> tuple[np.ndarray, ...]:
        """Image, plane, row and column: what tells regions apart, and puts them in order."""
        return self.image, self.plane, self.row, self.column

    def take(self, rows: np.ndarray) -> Pool:
        """Some of the regions."""
        return Pool(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def merge(self, other: Pool, most: int) -> Pool:
        """The `most` uncertain regions of both; of equals those of lower image, plane and id.

        Merged in any order, pools end up the same.
        """
        both = Pool(
            **{
                field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            }
        )
        order = np.lexsort((*reversed(both.place), -both.entropy))
        return both.take(order[:most])


def pool_bytes(model: Model, most: int, features: int) -> int:
    """About what one pool takes, and once more while it is merged."""
    each = 6 * 8 + 8 * model.classes.num_classes + 4 * features
    return 2 * most * each


def window_shape(step: int) -> tuple[int, int]:
    """Pixels (y, x) of the largest window of labels that is looked up at once."""
    return BAND * step, (chunk_cells(step) + 2 * PAINT_HALO) * step


@dataclass(frozen=True)
class CandidatePhase:
    """The most uncertain regions of a block.

    Regions of less than `least_area` pixels do not count, nor those with a pixel that `labels`
    gives one of the model's classes.
    """

    model: Model
    grid: Grid
    scratch: Scratch
    labels: Known | None
    number: int
    least_area: int
    most: int

    def __call__(self, task: Task) -> Pool:
        """A pure function of the block's logits, tables and labels."""
        plane, window = task.plane, task.block.write
        table = self.scratch.tables[0].read(plane, window, ("area",))
        area = np.asarray(table.area).ravel()
        usable = area >= self.least_area
        if self.labels is not None:
            usable &= ~self._labelled(plane, window, self.labels).ravel()
        cells = np.flatnonzero(usable)
        logits = self.scratch.read_state(LOGITS, plane, window)[cells]
        chances = softmax(np.ascontiguousarray(logits), self.model.temperature)
        rows, columns = np.divmod(cells, window.shape[1])
        found = Pool(
            image=np.full(len(cells), self.number, np.int64),
            plane=np.full(len(cells), plane, np.int64),
            row=rows + window.y0,
            column=columns + window.x0,
            area=area[cells],
            entropy=entropy(chances),
            chances=chances,
            x=cells[:, None],  # which row of the features to read, once few are left
        )
        best = found.merge(found.take(np.zeros(0, np.int64)), self.most)
        return Pool(**{**vars(best), "x": self._features(plane, window, best.x[:, 0])})

    def _features(self, plane: int, window: Window, cells: np.ndarray) -> np.ndarray:
        table = self.scratch.tables[0].read(plane, window, ("x",))
        return self.model.standardise(table.x.reshape(window.size, -1)[cells]).numpy()

    def _labelled(self, plane: int, window: Window, labels: Known) -> np.ndarray:
        """Which regions of a window of homes have a labelled pixel, (h, w) bool."""
        lattice, found = self.grid.lattice, np.zeros(window.shape, np.bool_)
        around = window.grow(PAINT_HALO).clip(lattice.cells)
        for cells in around.split((BAND, around.x1)):
            pixels = lattice.pixels(cells)
            values = labels.read(pixels, plane)
            y, x = np.nonzero((values >= 0) & (values < self.model.classes.num_classes))
            slots = self.scratch.slots[(plane, *pixels.slices)][y, x]
            home_y, home_x = homes_of(slots, y + pixels.y0, x + pixels.x0, lattice.step)
            inside = (slots != MASKED) & (home_y >= window.y0) & (home_y < window.y1)
            inside &= (home_x >= window.x0) & (home_x < window.x1)
            found[home_y[inside] - window.y0, home_x[inside] - window.x0] = True
        return found


def homes_of(slots: np.ndarray, y: np.ndarray, x: np.ndarray, step: int) -> tuple[Any, Any]:
    """Row and column of the home of each pixel, from its slot and its place in the image."""
    codes = slots.astype(np.int64)
    return y // step + codes // 5 - 2, x // step + codes % 5 - 2


def entropy(chances: np.ndarray) -> np.ndarray:
    """Entropy (N,) in nats of probabilities (N, classes).

    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(4).tolist()
    [0.0, 0.6931]
    """
    logs = np.log(np.maximum(chances, np.finfo(np.float64).tiny))
    return np.abs((chances * logs).sum(axis=1))


def choose(pool: Pool, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `count` regions that are uncertain and unlike each other, and their distances.

    The first is the most uncertain one. Each of the others has the largest product of its entropy
    and its distance to the nearest one before it: farthest-first traversal (Gonzalez, Clustering to
    minimize the maximum intercluster distance, 1985), weighted. Distances are root mean squares of
    differences of standardised features, cut at `FAR`; the first has none (NaN). Regions that can
    touch one taken before are passed over, so fewer than `count` may be found. Of equals the lower
    image, plane, row and column wins.
    """
    order = np.lexsort(tuple(reversed(pool.place)))
    x = np.clip(pool.x[order], -FAR, FAR).astype(np.float64)
    places = np.stack(pool.place, axis=1)[order]
    uncertainty = pool.entropy[order]
    score, nearest = uncertainty.copy(), np.full(len(order), np.inf)
    free = np.ones(len(order), np.bool_)
    chosen: list[int] = []
    distances: list[float] = []
    while len(chosen) < count and free.any():
        best = int(np.where(free, score, -1).argmax())
        chosen.append(best)
        distances.append(nearest[best])
        nearest = np.minimum(nearest, np.sqrt(((x - x[best]) ** 2).mean(axis=1)))
        score = uncertainty * nearest
        away = np.abs(places - places[best])
        free &= (away[:, :2] > 0).any(axis=1) | (away[:, 2:] > FINE_REACH).any(axis=1)
    found = np.array(distances)
    return order[chosen], np.where(np.isinf(found), np.nan, found)
