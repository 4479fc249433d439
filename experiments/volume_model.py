"""Train networks on sections of tissue as a volume and one by one: what the third axis brings.

    python experiments/volume_model.py

Jain et al. 2023 claim that graphs of superpixels are 10 to 1000 times cheaper than a U-Net, for -2
to +0.3 points of accuracy. Here on sstem_vnc, whole sections (12 train, 3 val, 3 test; 47 x 4.6 x
4.6 nm), in slabs of three, as val and test are, and one by one: networks of regions with the same
columns of 256 x 256 pixels, seeds and updates; U-Nets on as many voxels an epoch, in crops of one
slab or one section. Val chooses the epoch, test is looked at once. Operations are those of networks
alone, on whole sections: products and messages of those on regions (without the weighted sums of
`jain2023`), convolutions of U-Nets. Peaks lie above imports.

Expected on one core: 16 minutes in all. Test mIoU of `jain2023` 0.40 either way; of `small` after
24 epochs 0.475 in slabs and 0.485 one by one, after 96 epochs 0.55 and 0.59, at step 16 0.45 either
way; of the U-Net after 8 epochs 0.39 in slabs, far from trained, and 0.61 one by one. Predicted
before any of it ran: `jain2023` 0.44 and 0.45, `small` 0.58 for both, the U-Net in slabs 0.58. So
the third axis was expected to bring nothing, but not to cost three points.

Writes `experiments/results/volume_model.json`; rows that it has are skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from machine import machine_record
from torch import nn
from volume_graphs import GraphMaker, Piece, Stack, read_stack
from volume_loop import CPU, PartLoop
from volume_unet import CropTrainer, make_unet

from gnnseg.baselines import make_cnn_config
from gnnseg.graph import VOLUME_EDGE_NAMES
from gnnseg.memory import peak_rss, reset_peak_rss, reused_memory, rss
from gnnseg.metrics import ConfusionMatrix, ceiling_labels, count_regions
from gnnseg.models import PRESETS
from gnnseg.models.group import FEATURES, run_groups
from gnnseg.models.jain2023 import Jain2023
from gnnseg.models.lattice_gnn import LatticeGNN
from gnnseg.models.operations import counted_operations
from gnnseg.models.size import num_parameters
from gnnseg.training import TrainConfig, make_config
from gnnseg.training.imbalance import regions_by_class
from gnnseg.training.loop import Loop
from gnnseg.training.loss import Loss
from gnnseg.training.state import State

RESULT = Path(__file__).parent / "results" / "volume_model.json"
TURNS = 4
"""Each column is trained on in all its quarter turns, one of them an epoch."""


@dataclass(frozen=True)
class Row:
    """One network on slabs of so many sections: 1 is section by section."""

    network: str
    depth: int
    epochs: int
    step: int = 8
    learning_rate: float = 2e-3
    seeds: tuple[int, ...] = (0, 1, 2)


ROWS = [
    Row("jain2023", 3, 15, learning_rate=1e-2),
    Row("jain2023", 1, 15, learning_rate=1e-2),
    Row("small", 3, 24, learning_rate=4e-3),
    Row("small", 1, 24, learning_rate=4e-3),
    Row("unet", 3, 8, seeds=(0,)),
    Row("small", 3, 96, learning_rate=4e-3, seeds=(0,)),
    Row("small", 1, 96, learning_rate=4e-3, seeds=(0,)),
    Row("small", 3, 24, step=16, learning_rate=4e-3),
    Row("small", 1, 24, step=16, learning_rate=4e-3),
    Row("unet", 1, 8, seeds=(0,)),
]


class GraphTrainer(PartLoop):
    """Trains a network of regions on columns, one of the turns of each in an epoch."""

    config: TrainConfig

    def __init__(
        self, network: nn.Module, train: list[list[Piece]], val: Piece, config: TrainConfig
    ) -> None:
        super().__init__(State(network, config, range(1)), config)
        self.train, self.val = train, val
        counts = torch.cat([turns[0].counts for turns in train])
        self.loss = Loss.fit(counts.sum(0).numpy(), regions_by_class(counts), config, CPU)

    def _train_epoch(self, asked: Callable[[], bool]) -> None:
        place, network = self.state.place, self.state.network
        network.train()
        order = torch.randperm(len(self.train), generator=self.state.shuffle).tolist()
        turns = torch.randint(TURNS, (len(order),), generator=self.state.shuffle).tolist()
        for n, column in enumerate(order):
            self._begin_update(place.epoch + n / len(order), asked)
            piece = self.train[column][turns[n]]
            self._learn(partial(logits, network, piece), piece.counts.float())

    def _validate(self) -> list[ConfusionMatrix]:
        return [ConfusionMatrix(count_regions(self.labels(self.val), self.val.counts.numpy()))]

    def labels(self, piece: Piece) -> np.ndarray:
        """The class that the averaged weights give each region, (N,) uint8."""
        with torch.no_grad():
            found = logits(self.state.average.eval(), piece)
        return found.argmax(1).numpy().astype(np.uint8)


def logits(network: nn.Module, piece: Piece) -> torch.Tensor:
    """Of each region, (N, classes)."""
    return run_groups(network, {FEATURES: piece.x}, piece.levels)  # type: ignore[arg-type]


def make_network(row: Row, num_features: int, num_classes: int) -> nn.Module:
    """The network of a preset; its edges have a way along z as well."""
    if row.network == "jain2023":
        return Jain2023(num_features, num_classes)
    with patch("gnnseg.models.lattice_gnn.EDGE_NAMES", VOLUME_EDGE_NAMES):
        return LatticeGNN(num_features, num_classes, **PRESETS[row.network].options)


def graph_maker(row: Row) -> GraphMaker:
    """Graphs as the network of a row reads them."""
    preset = PRESETS[row.network]
    num_levels = len(preset.options.get("widths", (1,)))
    return GraphMaker(row.step, row.depth, num_levels, grey=preset.features == "grey")


def standardise(train: list[list[Piece]], others: list[Piece]) -> None:
    """Bring all features to mean 0 and deviation 1 over the first turn of the training columns."""
    first = torch.cat([turns[0].x for turns in train])
    mean, std = first.mean(0), first.std(0).clamp(min=1e-5)
    for piece in [*others, *(piece for turns in train for piece in turns)]:
        piece.x.sub_(mean).div_(std)


def run_regions(row: Row) -> dict[str, Any]:
    """Train a network of regions with each seed, and measure it on voxels of test."""
    make, before = graph_maker(row), time.process_time()
    train = [
        [make.piece(column.turned(turn))[0] for turn in range(TURNS)]
        for column in read_stack("train").columns()
    ]
    test, (val, _) = read_stack("test"), make.piece(read_stack("val"))
    piece, ids = make.piece(test)
    standardise(train, [val, piece])
    made = time.process_time() - before

    def one(seed: int) -> tuple[Loop, Callable[[], ConfusionMatrix]]:
        torch.manual_seed(seed)
        network = make_network(row, piece.x.shape[1], test.num_classes)
        trainer = GraphTrainer(network, train, val, _settings(row, seed))
        return trainer, lambda: confusion(test, trainer.labels(piece)[ids])

    trained = [train_once(one, seed, test.classes.names) for seed in row.seeds]
    network = make_network(row, piece.x.shape[1], test.num_classes).eval()
    with counted_operations() as operations, torch.no_grad():
        logits(network, piece)
    best = ceiling_labels(test.labels, ids, ignore_index=test.ignore_index)
    return {
        "parameters": num_parameters(network),
        "operations_per_voxel": operations.total / test.pixels.size,
        "regions_of_test": len(piece.x),
        "edges_of_test": piece.levels[0].edge_index.shape[1],
        "graphs_cpu_seconds": made,
        "ceiling_miou": confusion(test, best).miou,
        "trainings": trained,
    }


def run_voxels(row: Row) -> dict[str, Any]:
    """Train a U-Net with each seed, and measure it on test."""
    train, val, test = (read_stack(split) for split in ("train", "val", "test"))

    def make(seed: int) -> CropTrainer:
        torch.manual_seed(seed)
        network = make_unet(test.num_classes, volume=row.depth > 1)
        config = make_cnn_config(epochs=row.epochs, learning_rate=row.learning_rate, seed=seed)
        return CropTrainer(network, train, val, config, row.depth)

    def one(seed: int) -> tuple[Loop, Callable[[], ConfusionMatrix]]:
        trainer = make(seed)
        return trainer, lambda: trainer.measure(test)

    trained = [train_once(one, seed, test.classes.names) for seed in row.seeds]
    trainer = make(0)
    return {
        "parameters": num_parameters(trainer.state.network),
        "operations_per_voxel": trainer.operations(test),
        "trainings": trained,
    }


def train_once(
    make: Callable[[int], tuple[Loop, Callable[[], ConfusionMatrix]]],
    seed: int,
    names: Sequence[str],
) -> dict[str, Any]:
    """One training: how it went, and the figures of test, which is looked at once."""
    trainer, measure = make(seed)
    before, start = time.process_time(), time.perf_counter()
    history = trainer.run(lambda history: print(history.note(), file=sys.stderr, flush=True))
    spent = {
        "cpu_seconds": time.process_time() - before,
        "seconds": time.perf_counter() - start,
    }
    found = measure()
    return {
        "seed": seed,
        **spent,
        "val_miou": history.val_miou,
        "best_epoch": history.best_epoch,
        "test": found.as_dict(names),
    }


def confusion(stack: Stack, labels: np.ndarray) -> ConfusionMatrix:
    """Labels of voxels beside the truth."""
    return ConfusionMatrix.of(stack.labels, labels, stack.num_classes, stack.ignore_index)


def _settings(row: Row, seed: int) -> TrainConfig:
    rate = {"learning_rate": row.learning_rate}
    return make_config(preset=row.network, step=row.step, epochs=row.epochs, seed=seed, **rate)


def measure_row(number: int) -> None:
    """Carry out a row in this process, and add it to the results."""
    row = ROWS[number]
    torch.set_num_threads(1)
    base = rss()
    reset_peak_rss()
    with reused_memory():
        found = (run_voxels if row.network == "unet" else run_regions)(row)
    found = {"row": asdict(row), "peak_above_bytes": peak_rss() - base, **found}
    kept = results()
    kept["rows"].append({**found, "machine": machine_record()})
    RESULT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def staying(stack: Stack, step: int) -> dict[str, dict[str, float]]:
    """Of each class's voxels, the share whose neighbours have the class as well.

    One section further, and a cell of `step` pixels further along y and along x.
    """
    labels, found = stack.labels, {}
    for index, name in enumerate(stack.classes.names):
        is_it = labels == index
        found[name] = {
            "z": float(is_it[1:][is_it[:-1]].mean()),
            "y": float(is_it[:, step:][is_it[:, :-step]].mean()),
            "x": float(is_it[..., step:][is_it[..., :-step]].mean()),
        }
    return found


def results() -> dict[str, Any]:
    """What has been measured so far."""
    return json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"rows": []}


def main() -> None:
    """Carry out each row that has no result in a fresh process: peaks are its own."""
    if "staying" not in (kept := results()):
        kept["staying"] = staying(read_stack("train"), Row.step)
        RESULT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for number, row in enumerate(ROWS):
        done = [found["row"] for found in results()["rows"]]
        if json.loads(json.dumps(asdict(row))) not in done:
            subprocess.run([sys.executable, __file__, str(number)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_row(int(sys.argv[1]))
    else:
        main()
