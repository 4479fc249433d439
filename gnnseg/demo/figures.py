"""The pictures of the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.io.atomic import replacing

if TYPE_CHECKING:
    from gnnseg.io import ClassInfo

_ZOOM = (slice(150, 290), slice(205, 345))
_ENLARGE = 6
_INK = "#222222"


def region_borders(ids: np.ndarray) -> np.ndarray:
    """Pixels (Y, X) bool whose right or lower neighbour belongs to another superpixel.

    >>> region_borders(np.array([[1, 1, 2]])).tolist()
    [[False, True, False]]
    """
    borders = np.zeros(ids.shape, np.bool_)
    borders[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    borders[:-1] |= ids[1:] != ids[:-1]
    return borders


def blend(image: np.ndarray, labels: np.ndarray, classes: ClassInfo, share: float) -> np.ndarray:
    """An image (Y, X, 3) with the colours of its labels laid over; unlabelled pixels stay."""
    colors = np.zeros((256, 3))
    colors[: classes.num_classes] = classes.colors
    known = (labels < classes.num_classes)[..., None]
    mixed = (1 - share) * image + share * colors[labels]
    return np.where(known, mixed, image).astype(np.uint8)


def overlay_figure(
    path: Path,
    *,
    image: np.ndarray,
    scribbles: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    classes: ClassInfo,
) -> None:
    """Scribbles, superpixels and labels of one picture, side by side, with a legend."""
    panels = {
        "Labels to learn from": blend(image, scribbles, classes, 1.0),
        "Superpixels, enlarged": _superpixels(image, ids),
        "Result": _outlined(blend(image, labels, classes, 0.5), labels),
    }
    figure, axes = _figure(len(panels))
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        axis.imshow(panel, interpolation="lanczos")
        axis.set_title(title, fontsize=11, color=_INK, pad=6)
    _legend(figure, classes)
    _save(figure, path)


def mosaic_figure(path: Path, *, image: np.ndarray, labels: np.ndarray, classes: ClassInfo) -> None:
    """An overview of the mosaic and of its labels."""
    figure, axes = _figure(2)
    colored = blend(image, labels, classes, 1.0)
    for axis, title, panel in zip(axes, ("Mosaic", "Labels"), (image, colored), strict=True):
        axis.imshow(panel, interpolation="lanczos")
        axis.set_title(title, fontsize=11, color=_INK, pad=6)
    _legend(figure, classes)
    _save(figure, path)


def _superpixels(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """A part of the picture, enlarged, with the borders of its superpixels in black."""
    large, fine = (array[_ZOOM].repeat(_ENLARGE, 0).repeat(_ENLARGE, 1) for array in (image, ids))
    borders = region_borders(fine)
    # Two pixels wide: the figure shows them at about one.
    borders[1:, 1:] |= borders[:-1, :-1]
    large[borders] = 0
    return large


def _outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    image[region_borders(labels)] = (255, 255, 255)
    return image


def _figure(panels: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    # No pyplot: nothing global, no window system.
    figure = Figure(figsize=(3.4 * panels, 3.9), dpi=130, facecolor="white")
    axes = figure.subplots(1, panels)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.09, wspace=0.03)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    return figure, axes


def _legend(figure: Any, classes: ClassInfo) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(color="#{:02x}{:02x}{:02x}".format(*color), label=name)
        for name, color in zip(classes.names, classes.colors, strict=True)
    ]
    figure.legend(
        handles=patches,
        loc="lower center",
        ncols=len(patches),
        frameon=False,
        fontsize=10,
        labelcolor=_INK,
        handlelength=1.0,
        handleheight=1.0,
    )


def _save(figure: Any, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
