"""What `gnnseg demo` does, from the picture to the table of costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnseg.blocks import Window
from gnnseg.datasets.mosaic import Mosaic, write_mosaic
from gnnseg.demo.figures import mosaic_figure, overlay_figure
from gnnseg.demo.sample import picture, sample_classes, sample_dataset, scribbled_labels
from gnnseg.errors import StateError, UsageError
from gnnseg.io import open_output
from gnnseg.io.atomic import replacing
from gnnseg.ledger import Ledger

if TYPE_CHECKING:
    from gnnseg.models import Model

SIDE = 8192
STEP = 8
MEMORY = "1.5GiB"
KIND = "demo"
_SETTINGS = {
    "step": STEP,
    "epochs": 40,
    "tile": 32,
    "batch": 1500,
    "learning_rate": 1e-3,
    "device": "cpu",
}
_OVERVIEW = 1024


def run_demo(
    out: str | Path,
    *,
    side: int = SIDE,
    epochs: int | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Train on scribbles, segment a mosaic of `side` x `side` pixels, and draw what came out.

    Parameters
    ----------
    out : path
        Folder to write to; an earlier demonstration there is replaced, anything else is not.
    side : int
        Pixels on a side of the mosaic, at least those of the picture (512).
    epochs : int, optional
    tell : callable
        Takes a line for every step.

    Returns
    -------
    dict
        pixels, nodes, edges, seconds, val_miou, peak_rss_bytes, stages, classes, files.

    Raises
    ------
    StateError
        The folder exists and is no earlier demonstration.
    """
    from gnnseg.pipeline import segment

    started = time.monotonic()
    out, image = Path(out), picture()
    if side < max(image.shape):
        raise UsageError(f"the mosaic must have at least {max(image.shape)} pixels, got {side}")
    _claim(out)
    ledger = Ledger()
    tell(f"1/4  mosaic of {side} x {side} pixels")
    mosaic = Mosaic(image, side)
    with ledger.stage("mosaic"):
        write_mosaic(mosaic, out / "mosaic.zarr")
    tell("2/4  training on scribbles")
    with ledger.stage("training"):
        model = _train(out, epochs)
    tell(f"3/4  segmenting the mosaic within {MEMORY}")
    result = segment(out / "mosaic.zarr", model, out / "labels.zarr", memory=MEMORY, overwrite=True)
    tell("4/4  figures")
    with ledger.stage("figures"):
        _draw(out, mosaic)
    stages = ledger.as_dict()
    figures = stages.pop("figures")
    about = {key: result[key] for key in ("pixels", "nodes", "edges", "classes", "peak_rss_bytes")}
    about |= {
        "seconds": time.monotonic() - started,
        "val_miou": model.training["val_miou"],
        "stages": {**stages, **result["stages"], "figures": figures},
        "files": _files(out),
    }
    _write_marker(out, about)
    return about


def _claim(out: Path) -> None:
    """Make the folder, or make sure that it is an earlier demonstration's."""
    if out.exists() and not out.is_dir():
        raise StateError(f"{out}: exists and is no folder; choose another one with --out")
    if out.is_dir() and any(out.iterdir()) and not _is_demo(out):
        raise StateError(
            f"{out}: exists and is no earlier demonstration; choose another folder with --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_marker(out, {})


def _is_demo(out: Path) -> bool:
    try:
        about = json.loads((out / "demo.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("kind") == KIND


def _write_marker(out: Path, about: dict[str, Any]) -> None:
    with replacing(out / "demo.json") as partial:
        content = {"format_version": 1, "kind": KIND, **about}
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _train(out: Path, epochs: int | None) -> Model:
    from gnnseg.models import save_model
    from gnnseg.training import train
    from gnnseg.training.plot import save_plot

    settings: dict[str, Any] = _SETTINGS if epochs is None else {**_SETTINGS, "epochs": epochs}
    model = train(sample_dataset(), **settings)
    save_model(model, out / "model.safetensors")
    save_plot(model, out / "training.png")
    return model


def _draw(out: Path, mosaic: Mosaic) -> None:
    from gnnseg.superpixels import superpixels

    image, classes = mosaic.picture, sample_classes()
    levels = open_output(out / "labels.zarr", writable=False).levels
    part = Window(0, image.shape[0], 0, image.shape[1])
    overlay_figure(
        out / "overlay.png",
        image=image,
        scribbles=scribbled_labels(image.shape[:2]),
        ids=superpixels(image, step=STEP).ids(),
        labels=np.asarray(levels[0][part.slices]),
        classes=classes,
    )
    small = next((level for level in levels if max(level.shape) <= _OVERVIEW), levels[-1])
    rows, cols = (np.arange(n) * mosaic.side // n for n in small.shape)
    mosaic_figure(
        out / "mosaic.png",
        image=_thumbnail(mosaic, rows, cols),
        labels=np.asarray(small[:]),
        classes=classes,
    )


def _thumbnail(mosaic: Mosaic, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """The pixels of the mosaic at some rows and columns."""
    picked = [mosaic.read(Window(int(row), int(row) + 1, 0, mosaic.side))[0, cols] for row in rows]
    return np.stack(picked)


def _files(out: Path) -> dict[str, str]:
    names = {
        "model": "model.safetensors",
        "training plot": "training.png",
        "labels": "labels.zarr",
        "class table": "labels.zarr.classes.csv",
        "overlay": "overlay.png",
        "overview": "mosaic.png",
    }
    return {what: str(out / name) for what, name in names.items()}
