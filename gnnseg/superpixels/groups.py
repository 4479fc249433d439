"""Rounds of the clustering of a volume in groups, each of which reads the voxels once.

Between two groups there is nothing but the centres of all cells, so a block of a group needs only
the halo of its own rounds. Which groups cost least depends on how large blocks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

ROUND_HALO = 2
"""Cells around a block whose centres a round looks at: its voxels join homes a cell away, and the
voxels of these do."""
READ, LOOKED, SETTLED = 1.0, 1.0, 6.0
"""What a voxel costs that is read and sampled; that a round looks at; that is read, assigned and
connected in the end."""


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

    def cost(self, voxels: Callable[[int], int]) -> float:
        """What the group costs a block, which has so many `voxels` with a halo of so many cells."""
        looked = sum(voxels(ROUND_HALO * left - 1) for left in range(self.rounds, 0, -1))
        return READ * voxels(self.halo) + LOOKED * looked


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


def best_groups(
    n_iter: int,
    voxels: Callable[[int], int],
    fits: Callable[[Group], bool] = lambda _group: True,
) -> Groups:
    """The groups that cost a block least, of those that fit."""
    fitting = (groups for groups in possible_groups(n_iter) if all(map(fits, groups)))
    return min(fitting, key=lambda groups: sum(group.cost(voxels) for group in groups))
