"""The files of a dataset's folder: which exist, which belong together, which are listed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gnnseg.datasets.splits import SPLITS, check_disjoint, hash_split
from gnnseg.errors import InputError, MissingInputError

LAYOUT = """\
    my-set/
    ├── images/        photo.jpg, slide.tif, ...: any image that gnnseg reads
    ├── labels/        photo.png, slide.png, ...: class numbers from 0, 255 = no label
    ├── clicks.csv     optional: labels by clicks, with the columns image, y, x, class
    ├── classes.json   optional: names and colours of the classes
    ├── train.txt      optional: names of the images to train on, one a line, without endings
    ├── val.txt        optional: names of the images to validate on
    └── test.txt       optional: names of the images to measure the result on"""

# Longer endings first: `a.ome.tif` is the image `a`.
_ENDINGS = (
    *(".ome.tif", ".ome.tiff", ".ome.zarr"),
    *(".tif", ".tiff", ".btf", ".svs", ".ndpi", ".scn", ".qptiff", ".zarr"),
    *(".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".pnm", ".npy"),
)


def list_images(folder: Path, *, required: bool = True) -> dict[str, Path]:
    """The images of a folder by name without ending; other files do not count.

    Unless `required`, there may be none, and no folder.
    """
    if not folder.is_dir():
        if not required:
            return {}
        raise MissingInputError(_missing_folder(folder))
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = stem_of(path.name)
        if stem is None:
            continue
        if stem in found:
            raise InputError(
                f"{folder}: {found[stem].name} and {path.name} are both named {stem!r}: keep one"
            )
        found[stem] = path
    if not found and required:
        raise InputError(f"{folder}: holds no image. A dataset looks like this:\n{LAYOUT}")
    return found


def read_splits(folder: Path, val: float, seed: int) -> dict[str, tuple[str, ...]]:
    """The names that train.txt, val.txt and test.txt list; empty where there are no such files.

    Without val.txt the share `val` of train.txt validates.
    """
    lists = {split: folder / f"{split}.txt" for split in SPLITS}
    splits = {split: read_list(path) for split, path in lists.items() if path.exists()}
    if splits and not any(splits.values()):
        raise InputError(f"{folder}: {', '.join(f'{s}.txt' for s in splits)} list no image at all")
    check_disjoint(splits, str(folder))
    if "train" in splits and "val" not in splits:
        splits["train"], splits["val"] = hash_split(splits["train"], val, seed)
    return splits


def check_pairs(
    images: Iterable[str], labels: Iterable[str], name: str, *, some: bool = False
) -> None:
    """Raise `InputError` unless every label file has an image and, but for `some`, the reverse."""
    images, labels = set(images), set(labels)
    for these, those, what, other in (
        (images, set(images) if some else labels, "images", "labels"),
        (labels, images, "labels", "images"),
    ):
        if alone := sorted(these - those):
            raise InputError(
                f"{name}: {len(alone)} of {len(these)} {what} have no {other} of the same name: "
                f"{_some(alone)}. Add them, or take these {what} away"
            )


def check_listed(listed: Iterable[str], files: dict[str, Path], folder: Path) -> None:
    """Raise `MissingInputError` where a listed name has no file."""
    if missing := [stem for stem in listed if stem not in files]:
        raise MissingInputError(
            f"{folder}: lacks {len(missing)} listed images: {_some(missing)}. The lists name "
            f"images without their endings; the folder holds {_some(sorted(files))}"
        )


def read_list(path: Path) -> tuple[str, ...]:
    """The names that a file lists, one a line; none where there is no such file."""
    if not path.exists():
        return ()
    if not path.is_file():
        raise InputError(f"{path}: is no regular file; it must be a text that lists image names")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no readable text: {error}") from error
    stems = tuple(line.strip() for line in text.splitlines() if line.strip())
    for stem in stems:
        if stem in {".", ".."} or any(mark in stem for mark in "/\\\0"):
            raise InputError(
                f"{path}: {stem!r} is a path. List the plain names of files in images/, "
                "without folder and ending"
            )
    return stems


def stem_of(name: str) -> str | None:
    """The name of an image file without its ending; None for other files.

    >>> stem_of("slide.ome.tif"), stem_of("notes.txt")
    ('slide', None)
    """
    if name.startswith("."):
        return None
    lower = name.lower()
    ending = next((e for e in _ENDINGS if lower.endswith(e) and len(name) > len(e)), None)
    return None if ending is None else name[: -len(ending)]


def _missing_folder(folder: Path) -> str:
    around = folder.parent
    found = sorted(p.name + "/" for p in around.iterdir() if p.is_dir()) if around.is_dir() else []
    there = f"{around} holds {_some(found) or 'no folders'}" if around.is_dir() else "it is missing"
    return (
        f"{folder}: no such folder ({there}). A dataset looks like this:\n{LAYOUT}\n"
        "or give the two folders by their own names: (images, labels)."
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
