"""Pictures that are mirrored, turned, scaled, moved and cropped, and their labels with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pose:
    """How a picture is moved, in this order; by default not at all.

    Turned by `angle` degrees and scaled around its middle, mirrored, flipped upside down, turned
    by quarters, moved by `shift` (down, right) pixels, and cropped to a share of each side, whose
    `corner` is a share of what is left over.
    """

    mirror: bool = False
    flip: bool = False
    turns: int = 0
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[int, int] = (0, 0)
    crop: float = 1.0
    corner: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """Pixels (C, H, W), labels (H, W), and where there is picture, (H, W) uint8; None: all."""

    pixels: np.ndarray
    labels: np.ndarray
    inside: np.ndarray | None = None


def move(scene: Scene, pose: Pose, ignore_index: int) -> Scene:
    """A scene in another pose.

    Pixels are linearly, labels not interpolated. Outside the picture pixels are reflected, so
    that filters see no edge there, labels are `ignore_index`, and `inside` is 0.
    """
    if pose.angle:
        scene = _rotate(scene, pose, ignore_index)
    elif pose.scale != 1:
        scene = Scene(_zoom(scene.pixels, pose.scale, 1), _zoom(scene.labels, pose.scale, 0))
    if pose.mirror:
        scene = _each(scene, lambda array: array[..., ::-1])
    if pose.flip:
        scene = _each(scene, lambda array: array[..., ::-1, :])
    if pose.turns:
        scene = _each(scene, lambda array: np.rot90(array, pose.turns, axes=(-2, -1)))
    if pose.shift != (0, 0):
        scene = _shift(scene, pose.shift, ignore_index)
    if pose.crop != 1:
        rows, columns = (_kept(scene, pose, axis) for axis in (0, 1))
        scene = _each(scene, lambda array: array[..., rows, columns])
    return scene


def _each(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    inside = None if scene.inside is None else change(scene.inside)
    return Scene(change(scene.pixels), change(scene.labels), inside)


def _zoom(array: np.ndarray, scale: float, order: int) -> np.ndarray:
    """Linear (`order` 1) or nearest (0) resampling of the last two axes."""
    from scipy.ndimage import zoom

    if array.ndim == 2:
        return zoom(array, scale, order=order, mode="nearest", grid_mode=True)
    return np.stack([_zoom(channel, scale, order) for channel in array])


def _rotate(scene: Scene, pose: Pose, ignore_index: int) -> Scene:
    from scipy.ndimage import affine_transform

    size = np.array(scene.labels.shape)
    shape = tuple(max(1, round(n * pose.scale)) for n in size.tolist())
    turn = np.deg2rad(pose.angle)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / pose.scale
    offset = (size - 1) / 2 - matrix @ ((np.array(shape) - 1) / 2)

    def sample(array: np.ndarray, order: int, mode: str, outside: int = 0) -> np.ndarray:
        return affine_transform(
            array, matrix, offset, output_shape=shape, order=order, mode=mode, cval=outside
        )

    channels = [sample(channel, 1, "reflect") for channel in scene.pixels]
    labels = sample(scene.labels, 0, "constant", ignore_index)
    inside = sample(np.ones(scene.labels.shape, np.uint8), 0, "constant")
    return Scene(np.stack(channels), labels, inside)


def _shift(scene: Scene, shift: tuple[int, int], ignore_index: int) -> Scene:
    """Move by whole pixels, half the picture at most."""
    height, width = scene.labels.shape
    down = min(max(shift[0], -(height // 2)), height // 2)
    right = min(max(shift[1], -(width // 2)), width // 2)
    sides = ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)))
    rows = slice(max(-down, 0), height + max(-down, 0))
    columns = slice(max(-right, 0), width + max(-right, 0))
    pixels = np.pad(scene.pixels, ((0, 0), *sides), mode="symmetric")
    labels = np.pad(scene.labels, sides, constant_values=ignore_index)
    inside = scene.inside
    if inside is None:
        inside = np.ones((height, width), np.uint8)
    moved = Scene(pixels, labels, np.pad(inside, sides))
    return _each(moved, lambda array: array[..., rows, columns])


def _kept(scene: Scene, pose: Pose, axis: int) -> slice:
    """What a crop keeps of the rows, or of the columns."""
    whole = scene.labels.shape[axis]
    size = max(1, round(whole * pose.crop))
    start = round(pose.corner[axis] * (whole - size))
    return slice(start, start + size)
