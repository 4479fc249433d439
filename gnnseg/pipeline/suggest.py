"""Which regions to label next: uncertain ones that are unlike each other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnseg.datasets.folder import open_images
from gnnseg.datasets.listing import list_images, stem_of
from gnnseg.errors import StateError, UsageError
from gnnseg.execution import default_workers
from gnnseg.io import open_image
from gnnseg.io.atomic import check_regular, check_replaceable, disk_errors, replacing
from gnnseg.io.picture import check_picture
from gnnseg.memory import default_budget, parse_size, peak_rss, reused_memory
from gnnseg.models import Model, load_model
from gnnseg.pipeline.found import Key
from gnnseg.pipeline.known import Known, known_of_image, known_of_item
from gnnseg.pipeline.overlay import save_overlay
from gnnseg.pipeline.search import KIND, Search, Source

if TYPE_CHECKING:
    from gnnseg.datasets.item import Item

FORMAT_VERSION = 1
MOST_COUNT = 1000
CANDIDATES = 20
"""Candidates for each region that is wanted, and `LEAST_POOL` at least."""
LEAST_POOL = 1000


@reused_memory()
def suggest(
    image: Any,
    model: Model | str | Path,
    out: str | Path,
    *,
    count: int = 20,
    labels: Any = None,
    overlay: str | Path | None = None,
    memory: int | str | None = None,
    block: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Rank the regions of an image whose labels would help a model most, and write the list.

    The `CANDIDATES` x `count` most uncertain regions (highest entropy; 1,000 at least) are
    candidates; of these, regions are taken one by one that are uncertain and unlike those taken
    before (`choose`). The list depends neither on `memory` nor on `block` and `workers`. The same
    call again goes on where an interrupted one stopped; meanwhile `<out>.candidates` keeps what was
    found in images that are done.

    Parameters
    ----------
    image : path, array or ImageSource
        An image of any size, or the folder of a dataset: then all its images are ranked together,
        labelled or not, but for those that val.txt and test.txt list.
    model : Model or path
    out : path
        `*.json`. With the entries `class` filled in it can be the `clicks.json` of a dataset.
    count : int
        How many regions, 1 to 1,000.
    labels : path, array or ImageSource, optional
        Label image of the same size: regions in which a pixel has a class of the model are left
        out. The labels of a dataset's folder are known by themselves.
    overlay : path, optional
        A PNG that shows where the regions are; for a dataset a folder of them. Of files that are
        there, only such pictures are replaced.
    memory, block, workers, overwrite
        As in `segment`.

    Returns
    -------
    dict
        `suggestions`: rank, image, y, x (a pixel of the region, near its centroid), id, area in
        pixels, entropy in nats, distance to the nearest region before, `classes` (the likeliest
        ones) and `class`, to be filled in; also num_images, num_candidates, regions, output,
        seconds, peak_rss_bytes.

    Raises
    ------
    InputError, UsageError
        An input or an argument cannot be used.
    MemoryBudgetError
        The budget is too small, before any work starts.
    StateError
        The output exists, or an unfinished run of other settings does.
    """
    started = time.monotonic()
    if not 1 <= count <= MOST_COUNT:
        raise UsageError(f"count must be 1 to {MOST_COUNT}, got {count}")
    out, picture = Path(out), None if overlay is None else Path(overlay)
    net = model if isinstance(model, Model) else load_model(model)
    folder = _dataset_folder(image)
    if folder is not None and labels is not None:
        raise UsageError("labels belong to an image; those of a dataset's folder are known")
    candidates = out.with_name(f"{out.name}.candidates")
    replace = overwrite or candidates.exists()
    _check_list(out, overwrite=replace)
    if picture is not None:
        _check_overlay(picture, folder, overwrite=replace)
    sources = _items(folder, net, out) if folder else _single(image, labels, out)
    search = Search(
        net,
        candidates,
        most=max(LEAST_POOL, CANDIDATES * count),
        budget=default_budget() if memory is None else parse_size(memory),
        workers=workers or default_workers(),
        block=block,
        keep=picture is not None,
        overwrite=overwrite,
    )
    for number, source in enumerate(sources):
        search.add(number, source, out, picture)
    rows, chosen = search.rows(count)
    if picture is not None:
        _draw(search, chosen, picture, is_folder=folder is not None)
    content = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "classes": list(net.classes.names),
        "num_images": len(search.sources),
        "num_candidates": len(search.found.pool),
        "regions": search.found.regions,
        "suggestions": rows,
    }
    with replacing(out) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    search.drop()
    return {
        **content,
        "output": str(out),
        "overlay": None if picture is None else str(picture),
        "seconds": time.monotonic() - started,
        "peak_rss_bytes": peak_rss(),
        "stages": search.ledger.as_dict(),
    }


def _draw(search: Search, chosen: list[Key], picture: Path, *, is_folder: bool) -> None:
    """One picture, or one for each image with a chosen region."""
    if is_folder:
        with disk_errors(picture):
            picture.mkdir(exist_ok=True)
    for number in sorted({key[0] for key in chosen} if is_folder else {0}):
        source = search.sources[number]
        marks = [
            (rank, search.found.outlines[key])
            for rank, key in enumerate(chosen, start=1)
            if key[0] == number
        ]
        path = picture / f"{source.name}.png" if is_folder else picture
        image = source.open_image()
        save_overlay(image, search.model.scaling.of(image), marks, path)


def _dataset_folder(image: Any) -> Path | None:
    """The folder of a dataset, where `image` is one; a Zarr is an image."""
    if not isinstance(image, (str, Path)):
        return None
    folder = Path(image)
    is_zarr = any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))
    return folder if (folder / "images").is_dir() and not is_zarr else None


def _single(image: Any, labels: Any, out: Path) -> Iterator[Source]:
    source = open_image(image)
    name = Path(source.name).name
    known = None if labels is None else known_of_image(open_image(labels, indices=True))
    place = out.with_name(f"{out.name}.gnnseg")
    yield Source(stem_of(name) or name, lambda: source, lambda: known, place)


def _items(folder: Path, model: Model, out: Path) -> Iterator[Source]:
    for item in open_images(folder, model.classes):
        place = out.with_name(f"{out.name}.{item.stem}.gnnseg")
        yield Source(item.stem, item.open_image, partial(_labels_of, item), place)


def _labels_of(item: Item) -> Known | None:
    """What is labelled in an image of a dataset."""
    if item.label is None and not item.clicks:
        return None
    return known_of_item(item)


def _check_list(out: Path, *, overwrite: bool) -> None:
    """What could keep the list from being written, before the work."""
    if out.suffix.lower() != ".json":
        raise UsageError(f"{out}: the list is written as JSON; name it *.json")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; create it first")
    check_regular(out)
    if out.exists() and not overwrite:
        raise StateError(f"{out}: exists; use --overwrite to make it anew")
    if out.exists():
        _check_ours(out)


def _check_overlay(picture: Path, folder: Path | None, *, overwrite: bool) -> None:
    """The same of the picture, or of those of a dataset's folder."""
    if folder is None:
        if picture.suffix.lower() != ".png":
            raise UsageError(f"{picture}: a picture ends in .png")
        check_picture(picture)
        check_replaceable(picture, overwrite=overwrite)
    elif picture.is_dir():
        for stem in list_images(folder / "images"):
            check_picture(picture / f"{stem}.png")
    elif picture.exists():
        raise StateError(f"{picture}: exists and is no folder; pictures of a dataset go into one")


def _check_ours(out: Path) -> None:
    """Raise StateError for what is no list of suggestions, or was filled in by somebody."""
    try:
        found = json.loads(out.read_text("utf-8"))
        rows = found["suggestions"] if found["kind"] == KIND else None
        filled = None if rows is None else any(row["class"] is not None for row in rows)
    except (OSError, ValueError, KeyError, TypeError):
        filled = None
    if filled is None:
        raise StateError(f"{out}: exists and is no list of suggestions; choose another name")
    if filled:
        raise StateError(f"{out}: holds classes that somebody filled in; choose another name")
