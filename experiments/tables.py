"""Write the README's results and `docs/results.md` from the files in `experiments/results`.

    python experiments/tables.py

The text between the two `<!-- results -->` marks of either is replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README, DETAILS = HERE.parent / "README.md", HERE.parent / "docs" / "results.md"
MARK = "<!-- results -->"
PRESETS = ("default", "jain2023", "mlp")
THIN = {
    "camvid": ("pole", "sign_symbol", "pedestrian"),
    "dsb2018": ("boundary",),
    "sstem_vnc": ("membrane", "synapse"),
}


def main() -> None:
    """Render every table that has results and put them between the marks."""
    results = {path.stem: read(path) for path in sorted((HERE / "results").glob("*.json"))}
    fill(
        README,
        accuracy(results),
        gigapixel(results.get("gigapixel")),
        earth(results.get("earth8k")),
    )
    fill(
        DETAILS,
        stages(results.get("bench_kernels")),
        quality(results.get("superpixel_quality")),
        thin_structures(results.get("superpixel_quality")),
        volumes(results.get("volume")),
        first_calls(results.get("first_call")),
    )


def fill(page: Path, *parts: str) -> None:
    """Put tables between the marks of a page."""
    text = "\n\n".join(part for part in parts if part)
    before, _, after = page.read_text(encoding="utf-8").split(MARK)
    page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """One result file."""
    return json.loads(path.read_text(encoding="utf-8"))


def accuracy(results: dict[str, dict[str, Any]]) -> str:
    """Test mIoU on pixels, by dataset and preset."""
    rows = [r for name, r in results.items() if name.startswith("accuracy_")]
    if not rows:
        return ""
    rows.sort(key=lambda r: (r["run"]["dataset"], PRESETS.index(r["run"]["preset"])))
    machine = rows[0]["machine"]
    lines = [
        (
            f"Test mIoU on pixels after painting, {machine['cores']} cores of "
            f"{machine['processor']}, no pretrained weights. The ceiling is what labelling every "
            "region with its commonest class would reach. Runs of few epochs have not converged."
        ),
        "",
        "| dataset | preset | step | size | training | epochs | val | test | ceiling |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [accuracy_row(row) for row in rows]
    return "\n".join(lines)


def accuracy_row(row: dict[str, Any]) -> str:
    """One line of the table."""
    run, test, training = row["run"], row["test"], row["training"]
    cells = [
        run["dataset"],
        run["preset"],
        str(run["step"]),
        f"{row['parameters']:,}",
        f"{training['seconds'] / 60:.1f} min",
        str(training["epochs"]),
        f"{training['val_miou']:.3f}",
        f"**{test['miou']:.3f}**",
        f"{test['ceiling_miou']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def gigapixel(result: dict[str, Any] | None) -> str:
    """Time and memory of large images."""
    if result is None:
        return ""
    cores, slope = result["machine"]["cores"], result["seconds_per_gigapixel"]
    equal = "equal" if result["labels_equal"] else "NOT equal"
    lines = [
        f"Segmenting a colour zarr with `--memory {result['memory']}` on {cores} cores; the peak",
        f"is VmHWM read from outside. From the two sizes: {slope:.0f} s a gigapixel. The labels of",
        f"all runs of the large image are {equal}, byte for byte.",
        "",
        "| image | pixels | regions | seconds | peak |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {run['name']} | {run['pixels'] / 1e9:.2f} G | {run['nodes'] / 1e6:.2f} M "
        f"| {run['seconds']:.0f} | {run['peak_bytes'] / 2**20:.0f} MiB |"
        for run in result["runs"]
    ]
    return "\n".join(lines)


def earth(result: dict[str, Any] | None) -> str:
    """The large labelled image."""
    if result is None:
        return ""
    figures = result["right_half"]
    return (
        f"One satellite picture of 8192 x 4096 pixels, water and land, trained on its left half in "
        f"{result['train_seconds']:.0f} s at step {result['step']}: mIoU {figures['miou']:.3f} on "
        f"the right half (ceiling {figures['ceiling_miou']:.3f})."
    )


def quality(result: dict[str, Any] | None) -> str:
    """What superpixels can carry, beside other tools."""
    if result is None:
        return ""
    lines = [
        "## Superpixels",
        "",
        (
            "Beside other tools that make no fewer, on test images "
            "(`experiments/superpixel_quality.py`; the settings of the others were chosen on val "
            "like ours):"
        ),
        "",
        (
            "| dataset | tool | regions | ceiling mIoU | achievable accuracy | boundary recall "
            "| undersegmentation error |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['dataset']} | {row['tool']} | {row['regions_per_image']:,.0f} "
        f"| {row['ceiling_miou']:.4f} | {row['achievable_accuracy']:.4f} "
        f"| {row['boundary_recall']:.4f} | {row['undersegmentation_error']:.4f} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


def thin_structures(result: dict[str, Any] | None) -> str:
    """The ceilings of classes that are about as thin as a cell, beside other tools."""
    if result is None:
        return ""
    tools = list(dict.fromkeys(row["tool"] for row in result["rows"]))
    lines = [
        "The ceilings (IoU) of classes about as thin as a cell; mind the numbers of regions above:",
        "",
        f"| dataset | class | {' | '.join(tools)} |",
        f"|---|---|{'---|' * len(tools)}",
    ]
    for dataset, names in THIN.items():
        found = {
            row["tool"]: row["per_class_ceiling"]
            for row in result["rows"]
            if row["dataset"] == dataset
        }
        for name in names:
            cells = (f"{found[tool][name]:.3f}" if tool in found else "" for tool in tools)
            lines.append(f"| {dataset} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def volumes(result: dict[str, Any] | None) -> str:
    """Supervoxels beside superpixels of the planes and another tool."""
    if result is None:
        return ""
    lines = [
        "## Supervoxels",
        "",
        (
            "Of the twelve training sections of sstem_vnc as one volume, or of a crop of them, on "
            "one thread (`experiments/volume.py`; spacing is that which cells are made for):"
        ),
        "",
        (
            "| voxels | step, spacing | tool | regions | achievable accuracy | ceiling mIoU "
            "| seconds |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        cells, shape = row["cells_for"], " x ".join(str(size) for size in row["shape"])
        spacing = " x ".join(f"{size:g}" for size in cells["spacing"])
        lines.append(
            f"| {shape} | {cells['step']}, {spacing} | {row['tool']} | {row['regions']:,} "
            f"| {row['achievable_accuracy']:.3f} | {row['ceiling_miou']:.3f} "
            f"| {row['seconds']:.2f} |"
        )
    return "\n".join(lines)


def first_calls(result: dict[str, Any] | None) -> str:
    """How long the first call of a process takes."""
    if result is None:
        return ""
    lines = [
        "## First calls",
        "",
        (
            "Seconds in a new process, on one thread, with a 480 x 360 image "
            "(`experiments/first_call.py`; cold: no loop has been compiled yet):"
        ),
        "",
        "| call | imports | first, cold | first, warm | second |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['call']} | {row['warm']['imports']:.2f} | {row['cold']['first']:.1f} "
        f"| {row['warm']['first']:.2f} | {row['warm']['second']:.3f} |"
        for row in result["calls"]
    ]
    return "\n".join(lines)


def stages(result: dict[str, Any] | None) -> str:
    """The stages beside other tools."""
    if result is None:
        return ""
    lines = [
        "## Stages",
        "",
        (
            "Beside other tools, in turn, on the same machine (`experiments/bench_kernels.py` says "
            "on how many threads; megavoxels for supervoxels):"
        ),
        "",
        "| stage | tool | Mpx/s |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['stage']} | {row['name'].replace('_', ' ')} | {row['mpx_per_second']:.1f} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
