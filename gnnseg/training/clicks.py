"""Clicks as labels of regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.kernels.slots import MASKED
from gnnseg.training.geometry import move_point

if TYPE_CHECKING:
    from gnnseg.datasets.clicks import Click
    from gnnseg.datasets.item import Item
    from gnnseg.training.augment import Variant


def place_clicks(item: Item, variant: Variant, shape: tuple[int, int]) -> list[Click]:
    """Where the clicks of an image of `shape` lie in a variant of it; without those outside."""
    placed = []
    for y, x, label in item.clicks:
        point = move_point((y, x), shape, variant.pose)
        if point is not None:
            placed.append((*point, label))
    return placed


def label_clicked(
    slots: np.ndarray, step: int, clicks: Sequence[Click], area: np.ndarray, counts: np.ndarray
) -> None:
    """Let each click label the whole superpixel under it, in (cells_y, cells_x, classes) counts.

    That replaces what labelled its pixels before; several clicks share a superpixel, and one on a
    masked pixel labels nothing.
    """
    votes: dict[tuple[int, int], np.ndarray] = {}
    for y, x, label in clicks:
        slot = int(slots[y, x])
        if slot == MASKED:
            continue
        home = y // step + slot // 5 - 2, x // step + slot % 5 - 2
        votes.setdefault(home, np.zeros(counts.shape[2], np.int64))[label] += 1
    for home, share in votes.items():
        counts[home] = area[home] * share // share.sum()
