"""`gnnseg compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnseg.cli.options import AsJson
from gnnseg.cli.output import emit, percent, seconds, table
from gnnseg.errors import UsageError
from gnnseg.memory import format_size


def compare(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CONFIG.toml]", show_default=False, help="Data sets, models, sizes and seeds."
        ),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results.")
    ] = Path("comparison"),
    merge: Annotated[
        list[Path] | None,
        typer.Option(
            "--merge",
            metavar="DIR",
            help="In place of a CONFIG: results that are there; repeat it.",
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Also repeat what failed, crashed or was killed.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of other settings or images.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the pieces of work and do nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train, measure and time models beside each other, and write a report.

    Each piece of work runs in a fresh process, so that memory is its own.
    Results are kept as they come: stopped at any time, the same command goes
    on. What does not fit in memory is a result as well. With --merge, the
    results of several machines stand beside each other.
    """
    if (config is None) == (not merge):
        raise UsageError("give either the CONFIG of a comparison, or folders of results: --merge")
    if merge:
        if retry or overwrite or dry_run:
            raise UsageError("--retry, --overwrite and --dry-run are for work; --merge does none")
        _merge(merge, out, as_json=as_json)
        return
    from gnnseg.compare import compare as run
    from gnnseg.compare import make_config
    from gnnseg.compare.run import plan
    from gnnseg.report import write_report

    settings = make_config(config) if config is not None else None
    assert settings is not None
    if dry_run:
        _show_plan(plan(settings, out, overwrite=overwrite), as_json=as_json)
        return
    summary = run(settings, out, retry=retry, overwrite=overwrite)
    write_report(summary, out / "report.html")
    _show(summary, out, as_json=as_json)


def _merge(folders: list[Path], out: Path, *, as_json: bool) -> None:
    from gnnseg.compare.merge import claim_merged, merge
    from gnnseg.report import write_report

    summary = merge(folders)
    claim_merged(out, folders)
    write_report(summary, out / "report.html")
    _show(summary, out, as_json=as_json)


def _show_plan(cells: list[dict[str, Any]], *, as_json: bool) -> None:
    rows = [(cell["cell"], "done" if cell["done"] else "to do") for cell in cells]
    left = sum(not cell["done"] for cell in cells)
    emit(
        {"cells": cells, "left": left},
        [("", table(("cell", "state"), rows)), ("left", f"{left} of {len(cells)}")],
        as_json=as_json,
    )


def _show(summary: dict[str, Any], out: Path, *, as_json: bool) -> None:
    several = len(summary["machines"]) > 1
    emit(
        {**summary, "report": str(out / "report.html")},
        [
            ("accuracy", _accuracy(summary["accuracy"])),
            ("large images", _large(summary["large"])),
            ("machines", _machines(summary["against"]) if several else ""),
            ("other images", "\n".join(map(_differing, summary.get("differing", [])))),
            ("no result", "\n".join(f"{r['cell']}: {r['reason']}" for r in summary["failures"])),
            ("report", str(out / "report.html")),
        ],
        as_json=as_json,
    )


def _accuracy(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    header = ("data set, model", "mIoU", "ceiling", "training", "its peak", "parameters", "")
    return table(
        header,
        [
            (
                f"{row['dataset']}, {row['model']}",
                percent(row["miou"]),
                percent(row["ceiling_miou"]),
                seconds(60 * row["training_minutes"]),
                format_size(row["training_peak_above_bytes"]),
                f"{row['parameters']:,}",
                ", ".join(_marks(row)),
            )
            for row in rows
        ],
    )


def _marks(row: dict[str, Any]) -> list[str]:
    """What to bear in mind."""
    seeds, missing = len(row["seeds"]), len(row["missing_seeds"])
    found = [] if row["converged"] else ["not converged"]
    return [*found, f"{seeds} of {seeds + missing} seeds"] if missing else found


def _large(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = []
    for row in rows:
        name = f"{row['dataset']}, {row['model']}, {row['size']}² in {row['memory']}"
        done = row["status"] == "done"
        figures = (
            (seconds(row["seconds"]), format_size(row["peak_rss_bytes"])) if done else ("", "")
        )
        lines.append((name, *figures, row["status"]))
    return table(("data set, model, image", "time", "peak", ""), lines)


def _differing(row: dict[str, Any]) -> str:
    return f"{row['dataset']}, {row['split']}: not the same in all folders"


def _machines(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row["machines"]))
    lines = []
    for row in rows:
        found = [row["machines"].get(name, {}).get("seconds") for name in names]
        times = ("-" if value is None else seconds(value) for value in found)
        other = "" if row["alike"] else " (other settings)"
        lines.append((f"{row['dataset']}, {row['model']}, {row['work']}{other}", *times))
    return table(("work", *names), lines)
