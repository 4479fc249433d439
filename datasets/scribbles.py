"""Scribbles in place of full labels: a few strokes of a pen in each patch of a class."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gnnseg.datasets.base import Dataset
from gnnseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnseg.datasets.item import Item

_SMALLEST = 12
"""Pixels of a patch that somebody with a pen would still see."""
_TURN = 0.25
"""Standard deviation, in radians, of the change of direction at each pixel of a stroke."""
_WAYS_OUT = (0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0)
"""Turns, in radians, that a stroke tries in turn where its next pixel lies outside the patch."""


def scribble(
    labels: np.ndarray,
    share: float = 0.01,
    *,
    width: int = 3,
    seed: int = 0,
    ignore_index: int = 255,
) -> np.ndarray:
    """Keep the labels under some pen strokes; everything else becomes `ignore_index`.

    Every stroke stays inside one connected patch of one class and away from its border where the
    patch is wide enough. It is about as long as the patch, but a class must not use up more than
    half of its part of all pixels with one. Classes take turns, each with its largest patch first.

    Parameters
    ----------
    labels : (H, W) integers
    share : float
        Share of the labelled pixels that stays labelled, above 0 to 1. Fewer do where patches are
        so small that no stroke fits any more.
    width : int
        Pixels across a stroke.
    seed : int
        0 or more; the same seed gives the same strokes.

    Returns
    -------
    (H, W) array
        A copy, of the type of `labels`.

    Examples
    --------
    >>> labels = np.repeat(np.array([0, 1], np.uint8), 50)[None].repeat(100, axis=0)
    >>> found = scribble(labels, 0.02)
    >>> int((found != 255).sum()), bool((found == labels)[found != 255].all())
    (200, True)
    """
    if not 0 < share <= 1:
        raise UsageError(f"share must be above 0 and at most 1, got {share}")
    if width < 1:
        raise UsageError(f"width must be at least 1 pixel, got {width}")
    rng = np.random.default_rng(seed)
    left = round(share * int((labels != ignore_index).sum()))
    kept = np.zeros(labels.shape, np.bool_)
    for stroke in _strokes(labels, left, width, rng, ignore_index):
        new = stroke[~kept[stroke[:, 0], stroke[:, 1]]][:left]
        kept[new[:, 0], new[:, 1]] = True
        left -= len(new)
        if left <= 0:
            break
    return np.where(kept, labels, np.asarray(ignore_index, labels.dtype))


def with_scribbles(
    dataset: Dataset, share: float = 0.01, *, width: int = 3, seed: int = 0
) -> Dataset:
    """The same set, whose training images have scribbles in place of their labels.

    Arguments as in `scribble`; every image has strokes of its own. Val and test stay as they are.
    """

    def sparse(item: Item) -> Item:
        own = zlib.crc32(f"{seed}:{item.stem}".encode())
        ignore = item.classes.ignore_index
        labels = scribble(item.read_labels(), share, width=width, seed=own, ignore_index=ignore)
        return replace(item, label=labels)

    items = {**dataset.items, "train": tuple(sparse(item) for item in dataset.split("train"))}
    return Dataset(
        name=dataset.name, classes=dataset.classes, items=items, pixel_size=dataset.pixel_size
    )


def _strokes(
    labels: np.ndarray, pixels: int, width: int, rng: np.random.Generator, ignore_index: int
) -> Iterator[np.ndarray]:
    """Pixels (n, 2) of one stroke after the other, in the order in which they are drawn.

    Ends after a turn in which no class had a patch left. In all about `pixels` are wanted.
    """
    classes = [int(c) for c in np.unique(labels) if c != ignore_index]
    longest = pixels // (2 * width * max(1, len(classes)))
    waiting = [_patches(labels == c) for c in classes]
    while True:
        drawn = False
        for patches in waiting:
            patch = next(patches, None)
            if patch is not None:
                drawn = True
                yield _stroke(*patch, width, longest, rng)
        if not drawn:
            return


def _patches(mask: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Connected patches of a mask as (mask, first corner), the largest first, again and again.

    A patch comes back as often as a square of its size is wide.
    """
    from scipy.ndimage import find_objects, label

    numbers, count = label(mask)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    boxes = find_objects(numbers)
    order = [n for n in np.lexsort((np.arange(count), -sizes)) if sizes[n] >= _SMALLEST]
    for turn in range(int(np.sqrt(sizes.max(initial=0)))):
        for n in order:
            if turn * turn < sizes[n]:
                yield numbers[boxes[n]] == n + 1, (boxes[n][0].start, boxes[n][1].start)


def _stroke(
    patch: np.ndarray,
    corner: tuple[int, int],
    width: int,
    longest: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Pixels (n, 2) of the image under one stroke in a patch, which is about as long as it."""
    free = _away_from_border(patch, width)
    length = min(longest, int(rng.uniform(0.7, 1.5) * np.sqrt(patch.sum())))
    path = _walk(free, max(1, length), rng)
    reach = np.arange(width) - width // 2
    dy, dx = (part.ravel() for part in np.meshgrid(reach, reach, indexing="ij"))
    pixels = np.stack([path[:, :1] + dy, path[:, 1:] + dx], axis=-1).reshape(-1, 2)
    inside = ((pixels >= 0) & (pixels < patch.shape)).all(axis=1)
    pixels = pixels[inside]
    pixels = pixels[patch[pixels[:, 0], pixels[:, 1]]]
    _, first = np.unique(pixels, axis=0, return_index=True)
    return pixels[np.sort(first)] + np.array(corner)


def _away_from_border(patch: np.ndarray, width: int) -> np.ndarray:
    """Pixels of a patch where a pen has room; where it has little, the deeper ones."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(patch, 1))[1:-1, 1:-1]
    return depth >= min(width / 2 + 1, np.quantile(depth[patch], 0.6))


def _walk(free: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels (n, 2) of a walk on `free` that keeps its direction, more or less."""
    starts = np.argwhere(free)
    y, x = starts[rng.integers(len(starts))] + 0.5
    heading = rng.uniform(0, 2 * np.pi)
    path = [(int(y), int(x))]
    for turn in rng.normal(0, _TURN, length - 1):
        heading += turn
        for way in (0.0, *_WAYS_OUT):
            there = y + np.sin(heading + way), x + np.cos(heading + way)
            if _is_free(free, *there):
                heading, (y, x) = heading + way, there
                path.append((int(y), int(x)))
                break
        else:
            break
    return np.array(path)


def _is_free(free: np.ndarray, y: float, x: float) -> bool:
    return 0 <= y < free.shape[0] and 0 <= x < free.shape[1] and bool(free[int(y), int(x)])
