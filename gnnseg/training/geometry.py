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
        rows, columns = (_kept(n, pose, axis) for axis, n in enumerate(scene.labels.shape))
        scene = _each(scene, lambda array: array[..., rows, columns])
    return scene


def move_point(
    point: tuple[int, int], shape: tuple[int, int], pose: Pose
) -> tuple[int, int] | None:
    """Where `move` puts a pixel (y, x) of a picture of `shape`; None: outside."""
    size, at = np.array(shape), np.array(point, np.float64)
    if pose.angle:
        matrix, offset, size = _rotation(size, pose)
        at = np.linalg.solve(matrix, at - offset)
    elif pose.scale != 1:
        at = (at + 0.5) * pose.scale - 0.5
        size = np.array([round(n * pose.scale) for n in shape])
    y, x = np.rint(at).astype(int).tolist()
    height, width = size.tolist()
    if pose.angle and not (0 <= y < height and 0 <= x < width):
        return None
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    x = width - 1 - x if pose.mirror else x
    y = height - 1 - y if pose.flip else y
    for _ in range(pose.turns % 4):
        y, x, height, width = width - 1 - x, y, width, height
    down, right = _whole_shift(pose.shift, height, width)
    y, x = y + down, x + right
    rows, columns = (_kept(n, pose, axis) for axis, n in enumerate((height, width)))
    y, x = y - rows.start, x - columns.start
    inside = 0 <= y < rows.stop - rows.start and 0 <= x < columns.stop - columns.start
    return (y, x) if inside else None


def _each(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    inside = None if scene.inside is None else change(scene.inside)
    return Scene(change(scene.pixels), change(scene.labels), inside)


def _zoom(array: np.ndarray, scale: float, order: int) -> np.ndarray:
    """Linear (`order` 1) or nearest (0) resampling of the last two axes."""
    from scipy.ndimage import zoom

    if array.ndim == 2:
        return zoom(array, scale, order=order, mode="nearest", grid_mode=True)
    return np.stack([_zoom(channel, scale, order) for channel in array])


def _rotation(size: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From new to old pixels, `matrix @ new + offset`, and the new size."""
    turned = np.maximum(1, np.rint(size * pose.scale).astype(int))
    turn = np.deg2rad(pose.angle)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / pose.scale
    return matrix, (size - 1) / 2 - matrix @ ((turned - 1) / 2), turned


def _rotate(scene: Scene, pose: Pose, ignore_index: int) -> Scene:
    from scipy.ndimage import affine_transform

    matrix, offset, size = _rotation(np.array(scene.labels.shape), pose)
    shape = tuple(size.tolist())

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
    down, right = _whole_shift(shift, height, width)
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


def _whole_shift(shift: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    down = min(max(shift[0], -(height // 2)), height // 2)
    return down, min(max(shift[1], -(width // 2)), width // 2)


def _kept(whole: int, pose: Pose, axis: int) -> slice:
    """What a crop keeps of the rows, or of the columns."""
    size = max(1, round(whole * pose.crop))
    start = round(pose.corner[axis] * (whole - size))
    return slice(start, start + size)
