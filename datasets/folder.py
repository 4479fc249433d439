"""A set of labelled images in a folder, or in a folder of images and one of labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnnseg.datasets.base import Dataset
from gnnseg.datasets.classes import infer_classes, read_classes
from gnnseg.datasets.clicks import Entry, class_numbers, read_entries, resolve
from gnnseg.datasets.item import Item
from gnnseg.datasets.listing import (
    LAYOUT,
    check_listed,
    check_pairs,
    list_images,
    read_list,
    read_splits,
)
from gnnseg.datasets.splits import hash_split
from gnnseg.errors import InputError, MissingInputError, UsageError
from gnnseg.io.classes import ClassInfo


@dataclass(frozen=True, eq=False)
class FolderDataset(Dataset):
    """Labelled images in files: the images and labels of its items are paths.

    `inferred` tells whether the classes are but the numbers that occur in the labels.
    """

    inferred: bool = False


def open_dataset(source: Any, *, val: float = 0.2, seed: int = 0) -> Dataset:
    """Open a folder, a pair of folders (images, labels), or a public set by its name.

    A folder holds `images/` and `labels/`, whose files have the same names but for the ending.
    Labels may also come as clicks, in `clicks.csv` or `clicks.json`; images without any labels are
    then left out. Without lists of names the share `val` of the images validates, chosen by a hash
    of name and `seed`; without `classes.json` the classes are the label values. A dataset is given
    back as it is.

    Raises
    ------
    InputError
        Something is missing or contradicts itself: the message names it and shows the layout.
    UsageError
        `source` is nothing of the above.
    """
    from gnnseg.datasets.public import find, public_names

    if isinstance(source, Dataset):
        return source
    if isinstance(source, (tuple, list)) and len(source) == 2:
        images, labels = map(Path, source)
        return _open(str(images), images, labels, val=val, seed=seed)
    if not isinstance(source, (str, Path)):
        raise UsageError(
            "a dataset is a folder, a pair (images, labels) of folders, or an ArrayDataset; got "
            f"{type(source).__name__}"
        )
    if str(source) in public_names() and not Path(source).exists():
        return find(str(source))
    return open_folder(source, val=val, seed=seed)


def open_folder(folder: str | Path, *, val: float = 0.2, seed: int = 0) -> FolderDataset:
    """Open a folder with `images/` and `labels/`, as `open_dataset` does."""
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingInputError(f"{folder}: no such folder. A dataset looks like this:\n{LAYOUT}")
    images, labels = folder / "images", folder / "labels"
    return _open(str(folder), images, labels, folder=folder, val=val, seed=seed)


def open_images(folder: str | Path, classes: ClassInfo) -> list[Item]:
    """Every image of a dataset's folder that could get (more) labels, in order of names.

    Those are all but the ones that val.txt and test.txt list, with the labels that they have.
    Raises `InputError` where the folder's classes are not `classes`, as `fit_classes` does.
    """
    folder = Path(folder)
    files = list_images(folder / "images")
    items: dict[str, Item] = {}
    if (folder / "labels").is_dir() or read_entries(folder):
        dataset = fit_classes(open_folder(folder), classes)
        items = {item.stem: item for items in dataset.items.values() for item in items}
    held = {*read_list(folder / "val.txt"), *read_list(folder / "test.txt")}
    return [
        items.get(stem) or Item(stem, files[stem], None, classes)
        for stem in sorted(files)
        if stem not in held
    ]


def fit_classes(dataset: Dataset, classes: ClassInfo) -> Dataset:
    """A dataset with the classes of a model.

    Inferred ones give way to the model's if that has their numbers. Raises `InputError` where the
    classes are others.
    """
    own = dataset.classes
    if own.names == classes.names:
        return dataset
    inferred = isinstance(dataset, FolderDataset) and dataset.inferred
    if not inferred or not own.num_classes <= classes.num_classes <= own.ignore_index:
        raise InputError(
            f"{dataset.name} has the classes {', '.join(own.names)} and the model "
            f"{', '.join(classes.names)}: take the kind of data that the model was trained on; if "
            "this is, put the classes.json that it was trained with there"
        )
    table = replace(classes, ignore_index=own.ignore_index)
    items = {
        split: tuple(replace(item, classes=table) for item in members)
        for split, members in dataset.items.items()
    }
    return replace(dataset, classes=table, items=items)


def _open(
    name: str, images: Path, labels: Path, *, val: float, seed: int, folder: Path | None = None
) -> FolderDataset:
    entries = read_entries(folder) if folder else []
    image_files = list_images(images)
    label_files = list_images(labels, required=not entries)
    labelled = {*label_files, *(e.image for e in entries if e.image in image_files)}
    splits = read_splits(folder, val, seed) if folder else {}
    if not splits:
        check_pairs(image_files, label_files, name, some=bool(entries))
        splits["train"], splits["val"] = hash_split(sorted(labelled), val, seed)
    stems = [stem for split in splits.values() for stem in split]
    check_listed(stems, image_files, images)
    if not entries:
        check_listed(stems, label_files, labels)
    paths = [label_files[stem] for stem in stems if stem in label_files]
    classes, pixel_size, inferred = _classes(name, folder, paths, entries)
    clicks = resolve(entries, classes, image_files)
    items = {
        split: tuple(
            Item(s, image_files[s], label_files.get(s), classes, clicks=clicks.get(s, ()))
            for s in members
            if s in labelled
        )
        for split, members in splits.items()
    }
    return FolderDataset(name, classes, items, pixel_size, inferred)


def _classes(
    name: str, folder: Path | None, label_files: list[Path], entries: list[Entry]
) -> tuple[ClassInfo, tuple[float, float] | None, bool]:
    """The class table, the pixel size if it is told, and whether the table is inferred."""
    if folder and (folder / "classes.json").exists():
        return *read_classes(folder / "classes.json"), False
    return infer_classes(label_files, name, class_numbers(entries)), None, True
