"""Crops of labelled images for training, varied anew in every epoch."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gnnseg.training.augment import Variant, draw_variant
from gnnseg.training.augmentation import augmentation_of
from gnnseg.training.geometry import Scene, move
from gnnseg.training.light import relight

if TYPE_CHECKING:
    from gnnseg.baselines.config import CnnConfig
    from gnnseg.baselines.model import PixelModel
    from gnnseg.datasets.item import Item
    from gnnseg.io.classes import ClassInfo
    from gnnseg.superpixels import Scaling

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Picture:
    """A labelled image in memory: pixels (C, H, W) as they are stored, labels (H, W)."""

    stem: str
    pixels: np.ndarray
    labels: np.ndarray
    scaling: Scaling


def load_picture(item: Item, scaling: Scaling) -> Picture:
    """An image and its labels; grey is repeated where there are more channels."""
    image, labels = item.load()
    own = scaling.of(image)
    pixels = image.read(image.bounds)
    if pixels.dtype == np.float16:  # unknown to what turns and scales them
        pixels = pixels.astype(np.float32)
    if len(pixels) == 1:
        pixels = np.repeat(pixels, own.num_channels, axis=0)
    smallest = np.min_scalar_type(max(item.classes.ignore_index, item.classes.num_classes))
    return Picture(item.stem, pixels, labels.astype(smallest), own)


def count_pixels(picture: Picture, classes: ClassInfo) -> np.ndarray:
    """Labelled pixels by class, (classes,) float64."""
    known = picture.labels[picture.labels != classes.ignore_index]
    return np.bincount(known, minlength=classes.num_classes).astype(np.float64)


@dataclass(frozen=True)
class CropMaker:
    """Draws crops of pictures; crop `number` of a picture in an epoch is always the same one."""

    pictures: Sequence[Picture]
    model: PixelModel
    config: CnnConfig

    def numbers(self) -> list[tuple[int, int]]:
        """The crops of an epoch, (picture, number): as many as cover the pictures once."""
        area = self.config.crop**2
        counts = (max(1, round(picture.labels.size / area)) for picture in self.pictures)
        return [(index, n) for index, count in enumerate(counts) for n in range(count)]

    def __call__(self, epoch: int, index: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Network input (C, crop, crop) float32, and labels (crop, crop) int64."""
        picture = self.pictures[index]
        seed = [self.config.seed, epoch, zlib.crc32(picture.stem.encode()), number]
        rng = np.random.default_rng(seed)
        # A crop is itself moved and cut: it lies anywhere.
        ranges = augmentation_of(self.config).model_copy(update={"shift": 0, "crop": 1.0})
        variant = draw_variant(rng, len(picture.pixels), ranges, self.config.mirror)
        scene = self._cut(picture, variant, rng)
        lit = relight(scene.pixels, variant.light, picture.scaling)
        scene = move(Scene(lit, scene.labels), variant.pose, self.ignore_index)
        x, valid = self.model.standardise(_middle(scene.pixels, self.config.crop), picture.scaling)
        labels = _middle(scene.labels, self.config.crop).astype(np.int64)
        if valid is not None:
            labels[~valid] = self.ignore_index
        return x, labels

    @property
    def ignore_index(self) -> int:
        return self.model.classes.ignore_index

    def _cut(self, picture: Picture, variant: Variant, rng: np.random.Generator) -> Scene:
        """The part of a picture that a crop shows once it is turned and scaled."""
        crop, pose = self.config.crop, variant.pose
        turn = math.radians(pose.angle)
        seen = crop / pose.scale
        side = math.ceil(seen * (abs(math.cos(turn)) + abs(math.sin(turn)))) + 4
        corner = [round(_centre(length, seen, rng) - side / 2) for length in picture.labels.shape]
        pixels = _window(picture.pixels, corner, side, "symmetric")
        labels = _window(picture.labels, corner, side, "constant", self.ignore_index)
        return Scene(pixels, labels)


def _centre(length: int, seen: float, rng: np.random.Generator) -> float:
    """Where the middle of `seen` pixels may lie, so that they show as much picture as they can."""
    low, high = sorted((seen / 2, length - seen / 2))
    return float(rng.uniform(low, high))


def _window(
    array: np.ndarray, corner: Sequence[int], side: int, mode: str, outside: int = 0
) -> np.ndarray:
    """A square of the last two axes, which may reach beyond them."""
    slices: list[Any] = [...]
    pads = [(0, 0)] * (array.ndim - 2)
    for start, length in zip(corner, array.shape[-2:], strict=True):
        inside = max(start, 0), min(start + side, length)
        slices.append(slice(*inside))
        pads.append((inside[0] - start, start + side - inside[1]))
    more = {"constant_values": outside} if mode == "constant" else {}
    return np.pad(array[tuple(slices)], pads, mode=mode, **more)  # type: ignore[call-overload]


def _middle(array: np.ndarray, side: int) -> np.ndarray:
    """The middle of the last two axes."""
    top, left = ((length - side) // 2 for length in array.shape[-2:])
    return np.ascontiguousarray(array[..., top : top + side, left : left + side])


def prefetched(
    tasks: Sequence[Task], make: Callable[[Task], Result], ahead: int = 2
) -> Iterator[Result]:
    """What `make` gives for each task, in order, made on another thread before it is needed."""
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        waiting = [pool.submit(make, task) for task in tasks[:ahead]]
        try:
            for number in range(len(tasks)):
                result = waiting.pop(0).result()
                if number + ahead < len(tasks):
                    waiting.append(pool.submit(make, tasks[number + ahead]))
                yield result
        finally:
            for future in waiting:
                future.cancel()
