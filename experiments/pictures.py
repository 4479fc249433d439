"""An example of a test image for a dataset: truth, superpixels, prediction and uncertainty.

    python experiments/pictures.py DATASET MODEL.safetensors docs/images/example_DATASET.png

The image is the one in the middle when those of test are sorted by mIoU, or a part of 512 x 512
pixels in its middle. Borders are refined. Look at the result.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.segmentation import mark_boundaries

import gnnseg
from gnnseg.datasets import Item, find
from gnnseg.io.classes import default_colors
from gnnseg.models import Model, load_model
from gnnseg.pipeline import evaluate
from gnnseg.superpixels import make_reader, superpixel_map

PART, DETAIL, MAGNIFIED = 512, 0.1875, 6
"""Most pixels on a side that are shown; the share of a side of which superpixels are, and how much
larger these are."""
BRIGHTEST = 99.5
"""Percentile that is shown white."""


def main(name: str, model_path: str, out: str) -> None:
    """Draw the example of one dataset."""
    model = load_model(model_path)
    item = middle_item(find(name).split("test"), model)
    image, truth = item.load()
    pixels = image.read(image.bounds).transpose(1, 2, 0).astype(np.float64)
    pixels = np.clip(pixels / np.percentile(pixels, BRIGHTEST), 0, 1)
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    labels, doubt = segment(image, model)
    reader = make_reader(image, settings=model.settings, scaling=model.scaling)
    ids = superpixel_map(reader).ids()
    shown = [min(length, PART) for length in truth.shape]
    part, detail = (middle(truth.shape, [round(n * share) for n in shown]) for share in (1, DETAIL))
    colours = palette(item)
    panels = {
        "image": pixels[part],
        "truth": colours[truth[part]],
        "superpixels in the middle": outlined(pixels[detail], ids[detail]),
        "prediction": colours[labels[part]],
        "uncertainty": doubt[part],
    }
    save(panels, out)


def middle(shape: Sequence[int], part: Sequence[int]) -> tuple[slice, ...]:
    """A part of that many pixels in the middle."""
    return tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(shape, part, strict=True))


def outlined(pixels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Pixels made larger, with thin lines between superpixels."""
    pixels, ids = (
        array.repeat(MAGNIFIED, axis=0).repeat(MAGNIFIED, axis=1) for array in (pixels, ids)
    )
    return mark_boundaries(pixels, ids, (1, 0.8, 0), mode="inner")


def middle_item(items: list[Item], model: Model) -> Item:
    """The one in the middle by mIoU."""
    scores = []
    for item in items:
        image, truth = item.load()
        scores.append(evaluate([image], model, [truth])["miou"])
    return items[int(np.argsort(scores)[len(scores) // 2])]


def segment(image: Any, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Labels and uncertainty (0 to 255), (H, W) each."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labels.zarr"
        gnnseg.segment(image, model, out, refine=True, uncertainty=True)
        labels = np.asarray(zarr.open_group(out, mode="r")["0"])
        maps = zarr.open_group(f"{out}.uncertainty.zarr", mode="r")
        return labels, np.squeeze(np.asarray(maps["0"]))


def palette(item: Item) -> np.ndarray:
    """(256, 3) colours of labels, grey where there is none."""
    colours = np.full((256, 3), 0.5)
    given = item.classes.colors or default_colors(item.classes.num_classes)
    colours[: item.classes.num_classes] = np.array(given)[:, :3] / 255
    return colours


def save(panels: dict[str, np.ndarray], out: str) -> None:
    """Write a row of pictures."""
    figure = Figure(figsize=(3 * len(panels), 3.3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, panel) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(panel, cmap="magma", vmin=0, vmax=None if panel.ndim == 3 else 255)
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(*sys.argv[1:])
