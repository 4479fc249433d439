"""What every set of labelled images offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnnseg.datasets.item import Item
from gnnseg.datasets.splits import SPLITS, check_disjoint, check_split_name
from gnnseg.errors import InputError, UsageError
from gnnseg.io.classes import ClassInfo


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in the splits `train`, `val` and `test`, of which any may be empty.

    `pixel_size` is (y, x) in micrometres, for images whose files do not tell it. Raises
    `InputError` where there is no image at all, or one occurs twice.
    """

    name: str
    classes: ClassInfo
    items: Mapping[str, tuple[Item, ...]] = field(repr=False)
    pixel_size: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in self.items:
            check_split_name(name)
        if not any(self.items.values()):
            raise InputError(f"{self.name}: holds no labelled images")
        stems = {split: tuple(i.stem for i in items) for split, items in self.items.items()}
        check_disjoint(stems, self.name)

    @property
    def num_classes(self) -> int:
        return self.classes.num_classes

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all images, split by split."""
        return tuple(item.stem for split in SPLITS for item in self.split(split))

    def split(self, name: str) -> list[Item]:
        """The images of `train`, `val` or `test`; raises `UsageError` for another name."""
        check_split_name(name)
        return list(self.items.get(name, ()))

    def filled_split(self, name: str) -> list[Item]:
        """The same; raises `UsageError` where there are none, which names the splits with some."""
        items = self.split(name)
        if not items:
            filled = [split for split in SPLITS if self.items.get(split)]
            counts = (f"{split} ({len(self.items[split])})" for split in filled)
            raise UsageError(
                f"{self.name} has no images in the split {name!r}, but in {', '.join(counts)}: "
                f"use --split {' or '.join(filled)}"
            )
        return items
