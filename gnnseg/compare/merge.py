"""Results of several machines side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gnnseg.compare.cells import Fingerprints, list_cells
from gnnseg.compare.config import make_config
from gnnseg.compare.folder import FORMAT_VERSION, MARKER, Folder, read_json, write_json
from gnnseg.compare.summary import Results, Row, summarise
from gnnseg.errors import StateError, UsageError
from gnnseg.io.atomic import disk_errors

KIND_MERGED = "merged comparisons"


def load(folder: str | Path) -> Results:
    """The results of a folder, by the configuration and the fingerprints that it keeps.

    Raises `InputError` where it is no folder of a comparison.
    """
    there = Folder(Path(folder))
    config = make_config(there.configuration())
    return Results.of(there, list_cells(config, there.fingerprints()))


def merge(folders: Sequence[str | Path]) -> dict[str, Any]:
    """The tables of several comparisons, and one of machine against machine.

    Parameters
    ----------
    folders : sequence of paths
        Two or more folders that `compare` wrote; they stay as they are.

    Returns
    -------
    dict
        As `compare` returns, and `against`: a row for every piece of work, with the figures of
        each machine by its label, `alike` if all had the same settings; `differing`: splits whose
        images differ between the folders.

    Raises
    ------
    UsageError, InputError
        There are fewer than two folders, one is named twice, or one holds no comparison.
    """
    if len(folders) < 2:
        raise UsageError("to merge, name at least two folders: --merge DIR1 --merge DIR2")
    paths = [Path(folder).resolve() for folder in folders]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UsageError(f"--merge names {twice[0]} twice: name the folders of different runs")
    results = [load(folder) for folder in folders]
    there = [Folder(Path(folder)) for folder in folders]
    summary = summarise(results, there[0].configuration())
    differing = _differing([folder.fingerprints() for folder in there])
    return {**summary, "against": against(summary), "differing": differing}


def _differing(parts: Sequence[Fingerprints]) -> list[Row]:
    """Splits of data sets that are not the same in all folders that tell."""
    found: dict[tuple[str, str], set[str]] = {}
    for part in parts:
        for dataset, splits in part.items():
            for split, fingerprint in splits.items():
                found.setdefault((dataset, split), set()).add(fingerprint)
    pairs = [pair for pair, fingerprints in found.items() if len(fingerprints) > 1]
    return [{"dataset": dataset, "split": split} for dataset, split in pairs]


def against(summary: dict[str, Any]) -> list[Row]:
    """Seconds and peaks of the same work on several machines; work of one machine is left out."""
    rows: dict[tuple[str, ...], Row] = {}
    for row in summary["accuracy"]:
        training = 60 * row["training_minutes"], row["training_peak_above_bytes"]
        measuring = row["seconds"], row["peak_above_bytes"]
        if row["model"] == row["trained_as"]:
            _put(rows, row, "training", _figures(row["training_settings"], "done", *training))
        found = _figures(row["settings"], "done", *measuring)
        _put(rows, row, f"measuring on {row['split']}", found)
    for row in summary["large"]:
        work = f"{row['size']} x {row['size']} within {row['memory']}"
        cost = row.get("seconds"), row.get("peak_above_bytes")
        _put(rows, row, work, _figures(row["settings"], row["status"], *cost))
    return [{**row, "alike": _alike(row)} for row in rows.values() if len(row["machines"]) > 1]


def _alike(row: Row) -> bool:
    return len({found["settings"] for found in row["machines"].values()}) == 1


def _figures(settings: str, status: str, seconds: float | None, peak: int | None) -> Row:
    about = {"settings": settings, "status": status}
    return {**about, "seconds": seconds, "peak_above_bytes": peak}


def _put(rows: dict[tuple[str, ...], Row], row: Row, work: str, figures: Row) -> None:
    about = {"dataset": row["dataset"], "model": row["model"], "work": work}
    kept = rows.setdefault(tuple(about.values()), {**about, "machines": {}})
    kept["machines"][row["machine"]] = figures


def claim_merged(out: str | Path, folders: Sequence[str | Path]) -> None:
    """Make the folder of a merged report, or take over an earlier one.

    Raises `StateError` where it is something else, such as a folder that is merged.
    """
    path = Path(out)
    about = read_json(path / MARKER)
    ours = about is not None and about.get("kind") == KIND_MERGED
    if path.exists() and not ours and (not path.is_dir() or any(path.iterdir())):
        raise StateError(
            f"{path}: exists and is no earlier merge of comparisons; choose another folder"
        )
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    names = [str(folder) for folder in folders]
    write_json(
        path / MARKER,
        {"format_version": FORMAT_VERSION, "kind": KIND_MERGED, "folders": names},
    )
