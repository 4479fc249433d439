"""Which images train and which validate: by a hash of their names, never by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gnnseg.errors import InputError, UsageError

SPLITS = ("train", "val", "test")


def hash_split(
    stems: Sequence[str], val: float, seed: int = 0
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(train, val) stems, each in the order given; about the share `val` of them validates.

    A stem keeps its side when others come or go, but for one: of two stems or more, at least one
    trains and, where `val` is above 0, at least one validates.

    >>> hash_split(["a", "b", "c", "d", "e"], 0.4)
    (('a', 'b', 'c', 'e'), ('d',))
    """
    if not 0 <= val < 1:
        raise UsageError(f"val is a share from 0 to below 1, got {val}")
    place = {stem: _place(stem, seed) for stem in stems}
    chosen = {stem for stem in stems if place[stem] < val}
    if len(stems) > 1 and val > 0 and not chosen:
        chosen = {min(stems, key=place.__getitem__)}
    if len(chosen) == len(stems) and stems:
        chosen.remove(max(stems, key=place.__getitem__))
    train = tuple(stem for stem in stems if stem not in chosen)
    return train, tuple(stem for stem in stems if stem in chosen)


def check_split_name(name: str) -> None:
    """Raise `UsageError` unless `name` is a split."""
    if name not in SPLITS:
        raise UsageError(f"a split is one of {', '.join(SPLITS)}, got {name!r}")


def check_disjoint(splits: dict[str, tuple[str, ...]], name: str) -> None:
    """Raise `InputError` where a stem is in two splits, or twice in one."""
    seen: dict[str, str] = {}
    for split, stems in splits.items():
        for stem in stems:
            if stem in seen:
                raise InputError(
                    f"{name}: {stem!r} is listed in {seen[stem]}.txt and again in {split}.txt: "
                    "an image must be in one split, once"
                )
            seen[stem] = split


def _place(stem: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{stem}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
