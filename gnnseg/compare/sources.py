"""Data sets and large images of a comparison."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.compare.cells import VGG16, list_cells, weights_of
from gnnseg.compare.config import CompareConfig
from gnnseg.datasets import open_dataset
from gnnseg.datasets.base import Dataset
from gnnseg.datasets.item import Item
from gnnseg.datasets.mosaic import Mosaic, write_mosaic, write_square
from gnnseg.datasets.splits import SPLITS
from gnnseg.datasets.synthetic import SyntheticSource, synthetic_dataset
from gnnseg.errors import UsageError
from gnnseg.progress import progress_bar
from gnnseg.training.identity import dataset_identity, file_identity

_TEST_SEED = 1000
_LARGE_SEED = 2000


def open_set(about: dict[str, Any]) -> Dataset:
    """The data set that a comparison describes."""
    made = about["synthetic"]
    if made is None:
        return open_dataset(about["path"] or about["name"])
    size = {"height": made["height"], "width": made["width"], "num_classes": made["classes"]}
    known = synthetic_dataset(made["images"], **size, val=0.25)
    test = synthetic_dataset(made["test"], **size, seed=_TEST_SEED, val=0.0)
    splits = {name: tuple(known.split(name)) for name in ("train", "val")}
    return Dataset(
        name=about["name"],
        classes=known.classes,
        items={**splits, "test": tuple(map(_renamed, test.split("train")))},
    )


def fingerprints(config: CompareConfig) -> dict[str, dict[str, str]]:
    """What the images and labels of each data set are, split by split, wherever they lie.

    A synthetic one is what its settings are, and has none. Beside the splits stand the weights that
    trainings on the set begin with, where their file is there. Raises `InputError` where a label
    cannot be read.
    """
    splits = dict.fromkeys((*SPLITS[:2], config.split))
    found: dict[str, dict[str, str]] = {}
    with progress_bar("looking at data sets", len(config.datasets)) as bar:
        for about in config.datasets:
            if about.synthetic is None:
                data = open_set(about.model_dump())
                found[about.name] = {split: dataset_identity(data, (split,)) for split in splits}
            bar.advance(1, about.name)
    hashed = cache(file_identity)
    for cell in list_cells(config):
        weights = cell.configuration["model"]["training"].get(VGG16) if cell.kind == "train" else ""
        if weights and Path(weights).is_file():
            own = found.setdefault(cell.configuration["dataset"]["name"], {})
            own[weights_of(cell)] = hashed(Path(weights))
    return found


def _renamed(item: Item) -> Item:
    return Item(f"test_{item.stem}", item.image, item.label, item.classes)


def write_large(about: dict[str, Any], path: Path) -> None:
    """Write the image of a comparison, `size` x `size` pixels, chunk by chunk.

    It repeats the first image of the split by mirroring it; a synthetic one repeats nothing.
    """
    size, made = about["size"], about["dataset"]["synthetic"]
    if made is not None:
        source = SyntheticSource(size, size, _LARGE_SEED, made["classes"])

        def read(window: Window) -> np.ndarray:
            return np.moveaxis(source.read(window), 0, -1)

        write_square(read, path, shape=(3, size, size), dtype=np.uint8)
        return
    items = open_set(about["dataset"]).split(about["split"])
    if not items:
        raise UsageError(f"{about['dataset']['name']} has no images in the split {about['split']}")
    image = items[0].open_image()
    picture = np.ascontiguousarray(np.moveaxis(image.read(image.bounds), 0, -1))
    write_mosaic(Mosaic(picture, size), path)
