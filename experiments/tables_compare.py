"""Tables of comparisons, from what `experiments/comparison.py` kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sections import section

Row = dict[str, Any]


def beside_networks(result: dict[str, Any] | None) -> str:
    """Accuracy and cost of region models and U-Nets of one run."""
    if result is None:
        return ""
    machine = result["machines"][0]["machine"]
    return section(
        "Resources and accuracy",
        "Jain et al. 2023 found graphs of superpixels 10 to 1000 times cheaper than a U-Net for "
        "-2 to +0.3 points of accuracy. Here, every training, measurement and segmentation in a "
        f"process of its own, {machine['cores']} cores of {machine['processor']} "
        "(`experiments/configs/jain_table.toml`). Peaks are those above imports; a training whose "
        "curve had not flattened is a lower bound:",
        (
            "dataset",
            "model",
            "parameters",
            "operations a pixel",
            "training, min",
            "its peak",
            "flattened",
            "test mIoU",
            "ceiling",
        ),
        [_accuracy(row) for row in result["accuracy"]],
    )


def _accuracy(row: Row) -> tuple[str, ...]:
    ceiling = row["ceiling_miou"]
    return (
        row["dataset"],
        row["model"],
        f"{row['parameters']:,}",
        f"{row['operations_per_pixel']:,.0f}",
        f"{row['training_minutes']:.1f}",
        f"{row['training_peak_above_bytes'] / 2**20:,.0f} MiB",
        "yes" if row["converged"] else "no",
        f"**{row['miou']:.3f}**",
        "" if ceiling is None else f"{ceiling:.3f}",
    )


def large_images(result: dict[str, Any] | None, title: str, text: str) -> str:
    """Seconds and peaks by size; a column for each model within each memory."""
    if result is None or not result["large"]:
        return ""
    rows = result["large"]
    pairs = list(dict.fromkeys((row["model"], row["memory"]) for row in rows))
    columns = ("dataset", "pixels", *(f"{model}, {memory}" for model, memory in pairs))
    return section(title, text, columns, _sizes(rows, pairs))


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
