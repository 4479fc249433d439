"""Tables of a comparison, made of the results of its cells."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnnseg.compare.cells import Cell, settings_mark
from gnnseg.compare.convergence import flattened
from gnnseg.compare.folder import Folder
from gnnseg.machine import machine_name

Record = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """The results of one folder: those that are there, by kind, in the order of the cells.

    `seeds` are those that models were to be trained with.
    """

    label: str
    folder: Folder
    records: tuple[Record, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, folder: Folder, cells: Sequence[Cell]) -> Results:
        """All that were made with these very configurations."""
        found = map(folder.result, cells)
        records = tuple(record for record in found if record is not None)
        # A folder that went on elsewhere is no single machine's.
        names = dict.fromkeys(machine_name(record["machine"]) for record in records)
        label = "; ".join(names) or folder.path.name
        seeds = dict.fromkeys(c.configuration["seed"] for c in cells if c.kind == "train")
        return cls(label, folder, records, tuple(seeds))

    def of_kind(self, kind: str, *, done: bool = True) -> list[Record]:
        """Results of a kind, of those only that came to an end unless `done` is false."""
        return [r for r in self.records if r["kind"] == kind and (not done or is_done(r))]


def is_done(record: Record) -> bool:
    """Whether a cell came to its end."""
    return bool(record["status"] == "done")


def summarise(parts: Iterable[Results], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """All tables as rows; a row names its machine, data set and model."""
    results = _labelled(list(parts))
    return {
        "configuration": dict(configuration),
        "machines": [_machine(part) for part in results],
        "accuracy": [row for part in results for row in accuracy_rows(part)],
        "trainings": [row for part in results for row in training_rows(part)],
        "large": [row for part in results for row in large_rows(part)],
        "failures": [row for part in results for row in _failures(part)],
        "pictures": [row for part in results[:1] for row in _pictures(part)],
        "classes": _classes(results),
        "samplers": _samplers(results),
    }


def _labelled(results: list[Results]) -> list[Results]:
    """Machines of one name are told apart by their folders."""
    labels = [part.label for part in results]
    paths = [part.folder.path.resolve() for part in results]
    return [
        replace(part, label=f"{part.label} ({short_name(path, paths)})")
        if labels.count(part.label) > 1
        else part
        for part, path in zip(results, paths, strict=True)
    ]


def short_name(path: Path, others: Sequence[Path]) -> str:
    """The end of a path that none of the others has.

    >>> short_name(Path("/a/run"), [Path("/a/run"), Path("/b/run"), Path("/c")])
    'a/run'
    """
    for length in range(1, len(path.parts)):
        end = path.parts[-length:]
        if sum(other.parts[-length:] == end for other in others) == 1:
            return "/".join(end)
    return str(path)


def accuracy_rows(part: Results) -> list[Row]:
    """A row for every model on every data set: means over the seeds."""
    trained = {_key(r): r for r in part.of_kind("train")}
    groups: dict[tuple[str, str], list[tuple[Record, Record]]] = {}
    for record in part.of_kind("evaluate"):
        if _key(record) in trained:  # folders may be copied in parts
            pair = (trained[_key(record)], record)
            groups.setdefault(_shown(record), []).append(pair)
    return [_accuracy(part, key, pairs) for key, pairs in groups.items()]


def _accuracy(part: Results, key: tuple[str, str], pairs: list[tuple[Record, Record]]) -> Row:
    training = [train for train, _ in pairs]
    figures = [record["result"] for _, record in pairs]
    stages = [record["stages"]["evaluate"] for _, record in pairs]
    first, costs = figures[0], [record["stages"]["train"] for record in training]
    seeds = [record["configuration"]["seed"] for _, record in pairs]
    return {
        "machine": part.label,
        "dataset": key[0],
        "model": key[1],
        "trained_as": _key(training[0])[1],
        "training_settings": settings_mark(record["configuration"] for record in training),
        "settings": settings_mark(record["configuration"] for _, record in pairs),
        "seeds": seeds,
        "missing_seeds": [seed for seed in part.seeds if seed not in seeds],
        "split": first["split"],
        "miou": mean(f["miou"] for f in figures),
        "miou_spread": spread([f["miou"] for f in figures]),
        "per_class_iou": {
            name: mean(f["per_class_iou"][name] for f in figures) for name in first["per_class_iou"]
        },
        "pixel_accuracy": mean(f["pixel_accuracy"] for f in figures),
        "ceiling_miou": mean(f.get("ceiling_miou") for f in figures),
        "boundary_f1": mean(f.get("boundary_f1") for f in figures),
        "parameters": first["parameters"],
        "operations_per_pixel": first["operations_per_pixel"],
        "training_minutes": mean(record["result"]["minutes"] for record in training),
        "training_cpu_seconds": mean(cost["cpu_seconds"] for cost in costs),
        "training_peak_above_bytes": max(cost["peak_above_bytes"] for cost in costs),
        "training_device_bytes": highest(cost["peak_device_bytes"] for cost in costs),
        "resumed": any(record["result"]["resumed"] for record in training),
        "seconds": mean(stage["seconds"] for stage in stages),
        "cpu_seconds": mean(stage["cpu_seconds"] for stage in stages),
        "peak_above_bytes": max(stage["peak_above_bytes"] for stage in stages),
        "converged": all(_flattened(record)[0] for record in training),
    }


def training_rows(part: Results) -> list[Row]:
    """A row for every training, with its curve."""
    return [_training(part.label, record) for record in part.of_kind("train")]


def _training(label: str, record: Record) -> Row:
    result, (dataset, model, seed) = record["result"], _key(record)
    is_flat, why = _flattened(record)
    return {
        "machine": label,
        "dataset": dataset,
        "model": model,
        "seed": seed,
        "val_miou": result["history"]["val_miou"],
        "best_epoch": result["best_epoch"],
        "minutes": result["minutes"],
        "epoch_seconds": result.get("epoch_seconds"),  # results of earlier versions have none
        "flattened": is_flat,
        "why": why,
        "resumed": result["resumed"],
        **_staged(record, "train"),
    }


def _flattened(record: Record) -> tuple[bool, str]:
    result = record["result"]
    return flattened(result["history"]["val_miou"], result["config"]["patience"])


def large_rows(part: Results) -> list[Row]:
    """A row for every large image that a model segmented within a memory, or failed to."""
    return [_large(part.label, record) for record in part.of_kind("segment", done=False)]


_FIGURES = (
    *("seconds", "cpu_seconds", "idle_share", "peak_rss_bytes", "peak_above_bytes"),
    *("peak_device_bytes", "peak_device_reserved_bytes", "device_idle_share"),
    *("read_bytes", "written_bytes", "disk_read_bytes", "disk_written_bytes"),
    *("host_to_device_bytes", "device_to_host_bytes", "host_device_gb_per_second"),
    *("operations", "thread_seconds", "parameters"),  # results of earlier versions have none
)


def _large(label: str, record: Record) -> Row:
    about, (dataset, model, _) = record["configuration"], _key(record)
    row = {
        "machine": label,
        "dataset": dataset,
        "model": model,
        "size": about["size"],
        "memory": about["memory"],
        "settings": settings_mark([about]),
        "status": record["status"],
        "reason": record.get("reason"),
    }
    if not is_done(record):
        return row
    return {
        **row,
        "pixels": record["result"]["pixels"],
        "memory_bytes": record["result"]["memory_bytes"],
        "kept_promise": record["result"]["kept_promise"],
        **_staged(record, "segment"),
    }


def _staged(record: Record, name: str) -> Row:
    """The figures of the whole, the stage of that name, and those of the others."""
    stages = {key: _figures(stage) for key, stage in record["stages"].items()}
    return {**stages.pop(name), "stages": stages}


def _figures(stage: Mapping[str, Any]) -> Row:
    return {name: stage.get(name) for name in _FIGURES}


def _failures(part: Results) -> list[Row]:
    return [
        {"machine": part.label, "cell": r["cell"], "status": r["status"], "reason": r["reason"]}
        for r in part.records
        if not is_done(r)
    ]


def _machine(part: Results) -> Row:
    """What the results were measured on; that of the first one, where they differ."""
    machine = part.records[0]["machine"] if part.records else None
    return {"label": part.label, "folder": str(part.folder.path), "machine": machine}


def _pictures(part: Results) -> list[Row]:
    """A row for every image, with the labels of each model."""
    rows: dict[tuple[str, str], Row] = {}
    folder = part.folder.path / "pictures"
    for record in part.of_kind("evaluate"):
        dataset, model = _shown(record)
        for about in record["result"]["pictures"]:
            # Names only: results may come from elsewhere.
            files = {name: folder / Path(about[name]).name for name in _PICTURES}
            if not all(file.is_file() for file in files.values()):
                continue
            shown = {name: str(file) for name, file in files.items()}
            row = {"dataset": dataset, "stem": about["stem"], **shown, "labels": {}}
            rows.setdefault((dataset, about["stem"]), row)["labels"][model] = shown["labels"]
    return list(rows.values())


_PICTURES = ("image", "truth", "labels")


def _classes(results: list[Results]) -> dict[str, list[Row]]:
    """Names and colours of the classes, by data set."""
    records = [record for part in results for record in part.of_kind("evaluate")]
    return {_key(record)[0]: record["result"]["classes"] for record in records}


def _samplers(results: list[Results]) -> Row:
    """The share of a processor that the ledger's own sampling took: the median, and the most.

    Of work that was sampled: most is not, where peaks can be reset.
    """
    found = (r["sampler"]["share"] for part in results for r in part.records if is_done(r))
    shares = [share for share in found if share > 0]
    return {"median": statistics.median(shares), "most": max(shares)} if shares else {}


def _key(record: Record) -> tuple[str, str, int]:
    about = record["configuration"]
    return about["dataset"]["name"], about["model"]["name"], about["seed"]


def _shown(record: Record) -> tuple[str, str]:
    """Data set and model of an evaluation, as they are shown: a training may have several."""
    dataset, model, _ = _key(record)
    return dataset, record["configuration"].get("shown_as", model)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there; None where none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def spread(values: list[float | None]) -> float | None:
    """The standard deviation over seeds; None of fewer than two."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def highest(values: Iterable[int | None]) -> int | None:
    """The highest of those that are there."""
    return max((value for value in values if value is not None), default=None)
