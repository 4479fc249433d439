"""Rounds of the clustering of a volume in groups, each of which reads the voxels once.

Between two groups there is nothing but the centres of all cells, so a block of a group needs only
the halo of its own rounds. Which groups cost least depends on how large blocks are, and on how the
volume is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from gnnseg.io.slabs import decoded_pixels

if TYPE_CHECKING:
    from gnnseg.io import ImageSource
    from gnnseg.superpixels.box import VolumeLattice

ROUND_HALO = 2
"""Cells around a block whose centres a round looks at: its voxels join homes a cell away, and the
voxels of these do."""
DECODED, READ, LOOKED, SETTLED = 2.0, 4.0, 8.0, 46.0
"""Nanoseconds for a voxel, about: of a chunk that is decoded; that is read and sampled; that a
round looks at; that joins a superpixel and is connected. Measured (docs/design/lattice.md)."""


@dataclass(frozen=True)
class Group:
    """Rounds in one pass over the voxels; `before` of them were done before.

    Without `before`, cells start in the same pass. There may then be no rounds.

    >>> Group(1).halo, Group(1, before=1).halo, Group(2, before=1).after
    (2, 1, 3)
    """

    rounds: int
    before: int | None = None

    @property
    def after(self) -> int:
        """The rounds done when this group is."""
        return self.rounds + (self.before or 0)

    @property
    def halo(self) -> int:
        """Cells around a block whose voxels are read.

        Those whose centres are needed; the outermost only if they have none yet.
        """
        return ROUND_HALO * self.rounds - (self.before is not None)


Groups = tuple[Group, ...]


def groups_until(ends: Iterable[int], before: int | None = None) -> Groups:
    """Groups that end after so many rounds each, without those done `before`.

    >>> groups_until([0, 2])
    (Group(rounds=0, before=None), Group(rounds=2, before=0))
    """
    groups = []
    for end in ends:
        if before is None or end > before:
            groups.append(Group(end - (before or 0), before))
            before = end
    return tuple(groups)


def possible_groups(n_iter: int) -> Iterator[Groups]:
    """All groups of one size; cells start in a pass of their own, or in that of the first."""
    if n_iter == 0:
        yield (Group(0),)
    for size in range(1, n_iter + 1):
        ends = [*range(size, n_iter, size), n_iter]
        yield groups_until(ends)
        yield groups_until([0, *ends])


@dataclass(frozen=True)
class BlockCost:
    """What a block of `size` cells (z, y, x) costs on one thread, in nanoseconds, about."""

    image: ImageSource
    lattice: VolumeLattice
    size: tuple[int, int, int]

    def group(self, group: Group) -> float:
        """What it costs in a group of rounds, of which each looks at two cells less than before."""
        halos = (ROUND_HALO * left - 1 for left in range(group.rounds, 0, -1))
        looked = sum(prod(self._shape((halo, halo))) for halo in halos)
        return self._read((group.halo, group.halo)) + LOOKED * looked

    def slots(self, halo: tuple[int, int]) -> float:
        """What it costs in the end, with the halo (z, yx) of pieces and orphans."""
        return self._read(halo) + SETTLED * prod(self._shape(halo))

    def _read(self, halo: tuple[int, int]) -> float:
        shape = self._shape(halo)
        return READ * prod(shape) + DECODED * decoded_pixels(self.image, shape)

    def _shape(self, halo: tuple[int, int]) -> tuple[int, int, int]:
        return self.lattice.largest(self.size, halo)


def best_groups(
    n_iter: int,
    cost: Callable[[Group], float],
    fits: Callable[[Group], bool] = lambda _group: True,
) -> Groups:
    """The groups that cost a block least, of those that fit."""
    fitting = (groups for groups in possible_groups(n_iter) if all(map(fits, groups)))
    return min(fitting, key=lambda groups: sum(map(cost, groups)))
