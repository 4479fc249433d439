"""Labelled images: folders of any user, public sets, arrays in memory and a generator."""

from __future__ import annotations

from gnnseg.datasets.arrays import ArrayDataset
from gnnseg.datasets.folder import FolderDataset, open_dataset
from gnnseg.datasets.item import Item
from gnnseg.datasets.public import PublicDataset, find, public_names

__all__ = [
    "ArrayDataset",
    "FolderDataset",
    "Item",
    "PublicDataset",
    "find",
    "open_dataset",
    "public_names",
]
