"""Public sets: what each one is, where it comes from, and how to lay it out."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from gnnseg.datasets.folder import FolderDataset, open_folder
from gnnseg.datasets.listing import LAYOUT
from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io.classes import ClassInfo

_MODULES = ("axon_sem", "camvid", "cfd_cracks", "dsb2018", "earth8k", "nasa_ebc", "sstem_vnc")


@dataclass(frozen=True)
class PublicDataset:
    """The facts of a public set.

    `sizes` are the images of train, val and test; `conversion` says how to make the labels from
    what `source` holds; `pixel_size` is (y, x) in micrometres.
    """

    name: str
    title: str
    source: str
    licence: str
    citation: str
    sizes: tuple[int, int, int]
    classes: ClassInfo
    conversion: str
    pixel_size: tuple[float, float] | None = None

    def open(self, root: str | Path | None = None) -> FolderDataset:
        """The set in the folder `root/name`; `root` is the variable GNNSEG_DATA by default.

        Raises `MissingInputError`, which says where to get the set, where it is absent, and
        `InputError` where its classes are others.
        """
        root = root or os.environ.get("GNNSEG_DATA")
        folder = Path(root, self.name) if root else None
        if folder is None or not folder.is_dir():
            raise MissingInputError(self._how_to_get(folder))
        dataset = open_folder(folder)
        if dataset.classes.names != self.classes.names:
            raise InputError(
                f"{folder}: the classes are {', '.join(dataset.classes.names)}, those of "
                f"{self.name} are {', '.join(self.classes.names)}: see its classes.json"
            )
        return replace(dataset, pixel_size=dataset.pixel_size or self.pixel_size)

    def _how_to_get(self, folder: Path | None) -> str:
        where = f"there is no folder {folder}" if folder else "GNNSEG_DATA is not set"
        return (
            f"{self.title} is not here: {where}. Get it from {self.source} ({self.licence}), "
            f"convert it ({self.conversion}), lay it out as GNNSEG_DATA/{self.name}:\n{LAYOUT}\n"
            "and set GNNSEG_DATA to the folder that holds it."
        )


def class_table(colors: dict[str, tuple[int, int, int]]) -> ClassInfo:
    """The classes of a set, in index order, from names and colours."""
    return ClassInfo(tuple(colors), tuple(colors.values()))


def public_names() -> tuple[str, ...]:
    """The names of the public sets."""
    return _MODULES


def describe(name: str) -> PublicDataset:
    """The facts of the public set `name`; raises `UsageError` for another name."""
    if name not in _MODULES:
        raise UsageError(f"{name!r} is no public set: the sets are {', '.join(_MODULES)}")
    dataset: PublicDataset = importlib.import_module(f"gnnseg.datasets.{name}").DATASET
    return dataset


def find(name: str, root: str | Path | None = None) -> FolderDataset:
    """Open the public set `name` in `root`, by default the folder that GNNSEG_DATA names."""
    return describe(name).open(root)
