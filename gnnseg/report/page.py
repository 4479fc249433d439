"""From the summary of a comparison to a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gnnseg.compare.config import shown_names
from gnnseg.io.atomic import replacing
from gnnseg.memory import format_size, parse_size
from gnnseg.report import figures, stages
from gnnseg.report.theme import Picture, data_uri

Row = dict[str, Any]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Frontier:
    """What fits: a row for each model within each memory, a column for each size."""

    sizes: list[int]
    rows: list[tuple[str, str, list[Row | None]]]


@dataclass(frozen=True)
class Part:
    """All that the page shows of one data set."""

    dataset: str
    accuracy: list[Row]
    best: float | None
    trainings: list[Row]
    large: list[Row]
    frontier: Frontier
    staged: list[Row]
    pictures: list[Row]
    classes: list[Row]
    figures: list[Picture]
    trained: list[Row]
    training_figures: list[Picture]
    large_figures: list[Picture]


def write_report(summary: dict[str, Any], path: str | Path) -> None:
    """Write the page of a comparison: one file with all its pictures in it.

    Parameters
    ----------
    summary : dict
        As `gnnseg.compare.compare` and `gnnseg.compare.merge` return it.
    path : path
        `*.html`; replaced where it exists.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, size=size, count=count, seconds=seconds, spread=spread, shares=shares
    )
    text = environment.get_template("report.html.j2").render(**content(summary))
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def content(summary: dict[str, Any]) -> dict[str, Any]:
    """What the template fills in."""
    first = summary["machines"][0]["label"] if summary["machines"] else ""
    datasets = list(dict.fromkeys(row["dataset"] for row in _all_rows(summary)))
    machines = [part for part in summary["machines"] if part["machine"]]
    return {
        "parts": [_part(summary, dataset, first) for dataset in datasets],
        "failures": summary["failures"],
        "machines": machines,
        "several": len(summary["machines"]) > 1,
        "devices": any(part["machine"]["gpu"] for part in machines),
        "copied": copied,
        "dagger": stages.dagger,
        "ratio": ratio,
        "against": summary.get("against", []),
        "differing": summary.get("differing", []),
        "models": _models(summary),
        "configuration": json.dumps(summary["configuration"], indent=1, ensure_ascii=False),
        "sampler": summary["samplers"],
        "version": version("gnnseg"),
        "split": summary["configuration"]["split"],
        "seeds": summary["configuration"]["seeds"],
    }


def _all_rows(summary: dict[str, Any]) -> list[Row]:
    return [*summary["accuracy"], *summary["trainings"], *summary["large"]]


def _models(summary: dict[str, Any]) -> list[str]:
    """Names in the order of the configuration, then those that only other folders have."""
    models = summary["configuration"]["models"]
    named = [name for model in models for name in shown_names(model["name"], model.get("refine"))]
    return list(dict.fromkeys([*named, *(row["model"] for row in _all_rows(summary))]))


def _part(summary: dict[str, Any], dataset: str, machine: str) -> Part:
    """The tables of a data set, and figures of the first machine."""
    accuracy, trainings, large, pictures = (
        [row for row in summary[key] if row["dataset"] == dataset]
        for key in ("accuracy", "trainings", "large", "pictures")
    )
    for row in pictures:
        row["shown"] = [(name, _inlined(row[name])) for name in ("image", "truth")]
        row["shown"] += [(model, _inlined(file)) for model, file in row["labels"].items()]
    own = [[r for r in rows if r["machine"] == machine] for rows in (accuracy, trainings, large)]
    models, trained, staged = _models(summary), _trained(own[1]), _staged(own[2])
    return Part(
        dataset=dataset,
        accuracy=accuracy,
        best=max((row["miou"] for row in accuracy if row["miou"] is not None), default=None),
        trainings=trainings,
        large=large,
        frontier=_frontier(own[2]),
        staged=staged,
        pictures=pictures,
        classes=_legend(summary["classes"].get(dataset, [])),
        figures=[figures.accuracy_against_memory(own[0], models, dataset)] if own[0] else [],
        trained=trained,
        training_figures=_training_figures(own[1], trained, models, dataset),
        large_figures=_large_figures(own[2], staged, models, dataset),
    )


def _frontier(rows: Sequence[Row]) -> Frontier:
    sizes = sorted({row["size"] for row in rows})
    found = {(row["model"], row["memory"], row["size"]): row for row in rows}
    pairs = list(dict.fromkeys((row["model"], row["memory"]) for row in rows))
    return Frontier(
        sizes,
        [
            (*pair, [found.get((*pair, size)) for size in sizes])
            for pair in sorted(pairs, key=_memory_of)
        ],
    )


def _memory_of(pair: tuple[str, str]) -> int:
    return parse_size(pair[1])


def _staged(rows: Sequence[Row]) -> list[Row]:
    """Those of the image and the memory that most models managed; of equal ones the largest."""
    done = [row for row in rows if row["status"] == "done"]
    pairs = [(row["size"], row["memory_bytes"]) for row in done]
    chosen = max(pairs, key=lambda pair: (pairs.count(pair), pair), default=None)
    return [row for row, pair in zip(done, pairs, strict=True) if pair == chosen]


def _trained(rows: Sequence[Row]) -> list[Row]:
    """The first training of each model, if it tells its stages."""
    first = {row["model"]: row for row in reversed(rows)}
    return [row for row in reversed(first.values()) if row["stages"]]


def _training_figures(
    rows: Sequence[Row], trained: Sequence[Row], models: list[str], dataset: str
) -> list[Picture]:
    found = [figures.curves(rows, models, dataset)] if rows else []
    return found + ([stages.training_bars(trained, models, dataset)] if trained else [])


def _large_figures(
    rows: Sequence[Row], staged: Sequence[Row], models: list[str], dataset: str
) -> list[Picture]:
    sized = [row for row in rows if row["status"] in ("done", *figures.TOO_LARGE)]
    found = [figures.memory_against_size(sized, models, dataset)] if sized else []
    return found + ([stages.stage_bars(staged, models, dataset)] if staged else [])


def _legend(classes: Sequence[Row]) -> list[Row]:
    """Classes and, unless one of them is black, what black stands for in pictures of labels."""
    taken = not classes or any(not any(item["color"]) for item in classes)
    return [*classes] if taken else [*classes, {"name": "no label", "color": [0, 0, 0]}]


def _inlined(file: str) -> str:
    return data_uri(Path(file).read_bytes(), "image/png")


def copied(row: Row) -> int | None:
    """Bytes between host and device, both ways; None without a device."""
    ways = (row["host_to_device_bytes"], row["device_to_host_bytes"])
    return None if None in ways else sum(ways)


def ratio(row: Row, label: str) -> str:
    """How much longer one machine took than the first one that has the work, in brackets.

    Nothing where these did other work.
    """
    (name, first), *_ = row["machines"].items()
    known = first["status"] == "done" and first["seconds"]
    if not known or not row["alike"] or label == name:
        return ""
    return f" ({row['machines'][label]['seconds'] / first['seconds']:.2f} ×)"


def percent(value: float | None) -> str:
    """A share in per cent, a dash where there is none.

    >>> percent(0.51234), percent(None)
    ('51.2', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}"


def spread(value: float | None) -> str:
    """A spread in per cent; nothing where there is none.

    >>> spread(0.004)
    ' ± 0.4'
    """
    return "" if value is None else f" ± {100 * value:.1f}"


def shares(stage: Row) -> str:
    """The shares of a stage's parts in per cent, in brackets; nothing where it has none.

    >>> shares({"thread_seconds": {"read": 1.0, "network": 3.0}})
    ' (read 25.0, network 75.0 %)'
    """
    found = stage["thread_seconds"] or {}
    whole = max(sum(found.values()), 1e-9)
    told = ", ".join(f"{name} {percent(spent / whole)}" for name, spent in found.items())
    return f" ({told} %)" if told else ""


def size(value: float | None) -> str:
    """Bytes, a dash where there is none."""
    return "–" if value is None else format_size(value)


def seconds(value: float | None) -> str:
    """Seconds with as many digits as matter; a dash where there is none.

    >>> seconds(0.123), seconds(12.34), seconds(1234.5)
    ('0.12', '12.3', '1,234')
    """
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def count(value: float | None) -> str:
    """A number in thousands, millions and so on.

    >>> count(433_803), count(31_037_633), count(224.0)
    ('434 k', '31.0 M', '224')
    """
    if value is None:
        return "–"
    for unit, mark in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            number = value / unit
            return f"{number:.1f} {mark}" if number < 100 else f"{number:.0f} {mark}"
    return f"{value:.0f}"
