"""What refining borders brings: settings compared on val, the chosen ones measured once on test.

    GNNSEG_DATA=... python experiments/refine.py models/

takes `<dataset>_default.safetensors` of the folder (`accuracy.py` trains them) and about fifteen
minutes on one thread. Expected: every set gains mIoU and boundary F1, the sets of large superpixels
in relation to their objects most.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from machine import machine_record

import gnnseg
from gnnseg.datasets import find
from gnnseg.datasets.item import Item
from gnnseg.graph import RegionTable, whole_table
from gnnseg.kernels.refine import border_band
from gnnseg.metrics import ConfusionMatrix
from gnnseg.models import Model, load_model
from gnnseg.pipeline import evaluate
from gnnseg.pipeline.refine import WIDTH, Mixture, Sharpness, refine
from gnnseg.superpixels import PixelReader

RESULT = Path(__file__).parent / "results" / "refine.json"
DATASETS = "camvid", "dsb2018", "sstem_vnc"
CHOSEN = Sharpness()
OTHERS = {
    "colour": (0.0003, 0.004),
    "spread": (0.0, 0.2, 1.0),
    "place": (0.4, 1.6),
}
WIDTHS = 1, 3, 4
SIDE, REPEATS = 2048, 4


@dataclass(frozen=True)
class Case:
    """One labelled image as far as refinement: labels of its regions, and what it mixes."""

    truth: np.ndarray
    slots: np.ndarray
    table: RegionTable
    logits: np.ndarray
    reader: PixelReader
    painted: np.ndarray
    work: np.ndarray


def main(models: Path) -> None:
    """Compare on val, measure on test, and time it."""
    torch.set_num_threads(1)
    rows = {}
    for name in DATASETS:
        model, dataset = load_model(models / f"{name}_default.safetensors"), find(name)
        cases = [prepare(item, model) for item in dataset.split("val")]
        val, most = compare(cases, model), limit(cases, model)
        del cases
        test = evaluate(dataset, model, split="test", refine=True, workers=1)
        rows[name] = {"step": model.settings.step, "val": val, "val_limit": most, "test": test}
        gain = {key: test[key] - test[f"{key}_unrefined"] for key in ("miou", "boundary_f1")}
        print(name, {key: f"{100 * value:+.2f}" for key, value in gain.items()}, file=sys.stderr)
    result = {
        "machine": machine_record(),
        "chosen": {**asdict(CHOSEN), "width": WIDTH},
        "datasets": rows,
        "cost": cost(load_model(models / "camvid_default.safetensors")),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def prepare(item: Item, model: Model) -> Case:
    """Everything up to the labels of the regions."""
    image, truth = item.load()
    reader = PixelReader(image, model.scaling, model.settings)
    slots, table = whole_table(reader)
    logits = model.logits(table)
    best = logits.argmax(axis=1).astype(np.uint8)
    painted = gnnseg.paint(slots, best, step=model.settings.step)
    work = reader.read(reader.lattice.bounds).work
    return Case(truth, slots, table, logits, reader, painted, work)


def compare(cases: list[Case], model: Model) -> list[dict[str, Any]]:
    """Figures of val without refinement, as chosen, and with one setting changed."""
    tried = [(CHOSEN, 0), (CHOSEN, WIDTH), *((CHOSEN, width) for width in WIDTHS)]
    for name, values in OTHERS.items():
        tried += [(replace(CHOSEN, **{name: value}), WIDTH) for value in values]
    rows = []
    for sharpness, width in tried:
        total = ConfusionMatrix.zeros(model.classes.num_classes)
        for case in cases:
            labels = case.painted if width == 0 else refined(case, sharpness, width)
            total += ConfusionMatrix.of(case.truth, labels, model.classes.num_classes)
        figures = {"miou": total.miou, "pixel_accuracy": total.pixel_accuracy}
        rows.append({"width": width, **asdict(sharpness), **figures})
    return rows


def limit(cases: list[Case], model: Model) -> dict[str, float]:
    """What true labels in the band would reach, and the shares of pixels and errors in it."""
    total = ConfusionMatrix.zeros(model.classes.num_classes)
    pixels = np.zeros(4, np.int64)
    for case in cases:
        band = np.empty(case.painted.shape, np.bool_)
        border_band(case.painted, WIDTH, 255, band)
        known, wrong = case.truth != 255, case.truth != case.painted
        best = np.where(band & known, case.truth, case.painted)
        total += ConfusionMatrix.of(case.truth, best, model.classes.num_classes)
        parts = known, known & band, known & wrong, known & wrong & band
        pixels += [np.count_nonzero(part) for part in parts]
    every, inside, errors, errors_inside = pixels.tolist()
    return {
        "miou": total.miou,
        "share_of_pixels": inside / every,
        "share_of_errors": errors_inside / errors,
    }


def refined(case: Case, sharpness: Sharpness, width: int) -> np.ndarray:
    """Labels of an image with its borders refined."""
    labels = case.painted.copy()

    def load() -> tuple[Mixture, np.ndarray]:
        given = case.table, case.logits, case.reader.scaling, (0, 0)
        mixture = Mixture.of(*given, sharpness=sharpness)
        return mixture, case.work

    bounds = case.reader.lattice.bounds
    given = {"width": width, "unlabelled": 255, "load": load}
    for places, mixed in refine(case.painted, case.slots, bounds, **given):
        labels[places] = mixed.argmax(axis=1)
    return labels


def cost(model: Model) -> dict[str, Any]:
    """Least seconds of painting with and without refinement, on one thread, in turn.

    Seconds of the processor as well: these suffer less from other work on the machine.
    """
    tile = skimage.data.immunohistochemistry()
    image = np.tile(tile, (SIDE // len(tile), SIDE // len(tile), 1))
    found: dict[str, list[dict[str, float]]] = {"plain": [], "refined": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2 * REPEATS):
            name, out = list(found)[turn % 2], Path(folder) / f"{turn}.zarr"
            given = {"workers": 1, "refine": name == "refined"}
            stages = gnnseg.segment(image, model, out, **given)["stages"]
            paint = {key: stages["paint"][key] for key in ("seconds", "cpu_seconds")}
            whole = sum(stage["cpu_seconds"] for stage in stages.values())
            found[name].append({**paint, "all_cpu_seconds": whole})
    least = {
        name: {key: min(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    return {"pixels": SIDE**2, **least}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
