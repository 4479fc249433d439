"""Tables of comparisons, from what `experiments/comparison.py` kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean
from typing import Any

from sections import row as line
from sections import section, spread

Row = dict[str, Any]


COLUMNS = (
    "dataset",
    "model",
    "parameters",
    "operations a pixel",
    "training, min",
    "epochs",
    "its peak",
    "flattened",
    "test mIoU",
    "ceiling",
)


SHOWN = ("small", "default", "default-refined", "unet-8")


def headline(result: dict[str, Any] | None) -> str:
    """Accuracy on every data set in one line each."""
    if result is None:
        return ""
    machine = result["machines"][0]["machine"]
    found = {(row["dataset"], row["model"]): row for row in result["accuracy"]}
    tiled = [r["operations_per_pixel"] for r in result["accuracy"] if r["model"] == SHOWN[3]]
    whole, most = min(tiled), max(tiled) / min(tiled)  # some images are one tile
    minutes = [row["training_minutes"] for row in result["accuracy"] if row["model"] in SHOWN]
    lines = [
        (
            "Test mIoU on pixels beside a U-Net (MONAI's, 8 channels on its first level), trained "
            f"for {min(minutes):.0f} to {max(minutes):.0f} minutes on {machine['cores']} cores of "
            f"{machine['processor']}, no "
            "pretrained weights; costs and curves are in [docs/results.md](docs/results.md). "
            "A star: the curve had not flattened, so more minutes may bring more. The last column "
            f"takes the U-Net in one piece; in tiles it does up to {most:.1f} times as much. Of "
            "each training the epoch was kept that was best before class weights were undone; by "
            "the rule that holds now both kinds may come out higher (the same page, on tissue)."
        ),
        "",
        "| dataset | small | default | default, `--refine` | U-Net | its operations : default's |",
        "|---|---|---|---|---|---|",
    ]
    for dataset in dict.fromkeys(row["dataset"] for row in result["accuracy"]):
        rows = [found[dataset, model] for model in SHOWN]
        ratio = whole / rows[1]["operations_per_pixel"]
        cells = (f"{row['miou']:.3f}{'' if row['converged'] else '*'}" for row in rows)
        lines.append(f"| {dataset} | {' | '.join(cells)} | {ratio:.0f} |")
    return "\n".join(lines)


def longer(results: dict[str, dict[str, Any]]) -> str:
    """What more minutes, finer cells and learnt borders bring, in two sentences."""
    if not {"accuracy_camvid_default_fine", "compare_nuclei", "borders"} <= results.keys():
        return ""
    minutes = results["accuracy_camvid_default_fine"]["training"]["seconds"] / 60
    found = results["borders"]["datasets"]
    camvid, [nuclei] = found["camvid"], found["dsb2018"]
    [unet] = (r["miou"] for r in results["compare_nuclei"]["accuracy"] if r["model"] == "unet-8")
    plain, learnt = ([row[way]["miou"] for row in camvid] for way in ("unrefined", "learnt"))
    return (
        f"With finer cells and more time, `default` has {spread(plain)} on camvid by {len(camvid)} "
        f"seeds, after {minutes:.0f} minutes at step {camvid[0]['step']}, and {mean(learnt):.3f} "
        "with `--refine` and borders that `gnnseg borders` learnt. On dsb2018, at step "
        f"{nuclei['step']}, it has {nuclei['mixed']['miou']:.3f} with `--refine`, "
        f"{nuclei['learnt']['miou']:.3f} with learnt borders, and the U-Net {unet:.3f}, flattened."
    )


def accuracy(result: dict[str, Any] | None, title: str, text: str) -> str:
    """Accuracy and cost of one run's models; `{machine}` in the text is what it ran on."""
    if result is None:
        return ""
    machine = result["machines"][0]["machine"]
    cores = machine["cores"]
    where = f"{cores} core{'s' * (cores > 1)} of {machine['processor']}"
    epochs = _epochs(result)
    rows = [_accuracy(row, epochs) for row in result["accuracy"]]
    return section(title, text.format(machine=where), COLUMNS, rows)


def _epochs(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    """How many each training took, by data set and model."""
    return {
        (row["dataset"], row["model"]): str(len(row["val_miou"])) for row in result["trainings"]
    }


def _accuracy(row: Row, epochs: dict[tuple[str, str], str]) -> tuple[str, ...]:
    ceiling = row["ceiling_miou"]
    return (
        row["dataset"],
        row["model"],
        f"{row['parameters']:,}",
        f"{row['operations_per_pixel']:,.0f}",
        f"{row['training_minutes']:.1f}",
        epochs[row["dataset"], row["trained_as"]],
        f"{row['training_peak_above_bytes'] / 2**20:,.0f} MiB",
        "yes" if row["converged"] else "no",
        f"**{row['miou']:.3f}**",
        "" if ceiling is None else f"{ceiling:.3f}",
    )


def by_class(result: dict[str, Any] | None) -> str:
    """IoU of every class, a table for each data set."""
    if result is None:
        return ""
    rows = result["accuracy"]
    parts = ["IoU of test by class, of the same models:"]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        lines = [line((dataset, *(row["model"] for row in own))), f"|{'---|' * (len(own) + 1)}"]
        lines += [
            line((name, *(_iou(row["per_class_iou"][name]) for row in own)))
            for name in own[0]["per_class_iou"]
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _iou(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def large_images(result: dict[str, Any] | None, title: str, text: str) -> str:
    """Seconds and peaks by size; a column for each model within each memory."""
    if result is None or not result["large"]:
        return ""
    rows = result["large"]
    pairs = list(dict.fromkeys((row["model"], row["memory"]) for row in rows))
    columns = ("dataset", "pixels", *(f"{model}, {memory}" for model, memory in pairs))
    return section(title, text, columns, _sizes(rows, pairs))


def peaks(result: dict[str, Any] | None, title: str, text: str) -> str:
    """Memory above imports on one image."""
    if result is None:
        return ""
    rows = [row for row in result["large"] if row["status"] == "done"]
    first = rows[0]["peak_above_bytes"]
    return section(
        title,
        text.format(memory=rows[0]["memory"]),
        ("model", "pixels", "seconds", "peak above imports", "times the first"),
        [
            (
                row["model"],
                f"{row['size']:,}²",
                f"{row['seconds']:,.1f}",
                f"{row['peak_above_bytes'] / 2**20:,.0f} MiB",
                f"{row['peak_above_bytes'] / first:.1f}",
            )
            for row in rows
        ],
    )


def _sizes(rows: list[Row], pairs: list[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    found = {(r["dataset"], r["size"], r["model"], r["memory"]): r for r in rows}
    for dataset, size in dict.fromkeys((row["dataset"], row["size"]) for row in rows):
        cells = (_large(found.get((dataset, size, *pair))) for pair in pairs)
        yield (dataset, f"{size:,}²", *cells)


def _large(row: Row | None) -> str:
    if row is None:
        return ""
    if row["status"] != "done":
        return f"*{row['status']}*"
    return f"{row['seconds']:,.1f} s, {row['peak_rss_bytes'] / 2**20:,.0f} MiB"
