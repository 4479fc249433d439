"""Tables of the single stages beside other tools."""

from __future__ import annotations

from typing import Any

from sections import section

THIN = {
    "camvid": ("pole", "sign_symbol", "pedestrian"),
    "dsb2018": ("boundary",),
    "sstem_vnc": ("membrane", "synapse"),
    "cfd_cracks": ("crack",),
}


def stages(result: dict[str, Any] | None) -> str:
    """The stages beside other tools."""
    if result is None:
        return ""
    return section(
        "Stages",
        "Beside other tools, in turn, on the same machine (`experiments/bench_kernels.py` says "
        "on how many threads; megavoxels for supervoxels):",
        ("stage", "tool", "Mpx/s"),
        [
            (row["stage"], row["name"].replace("_", " "), f"{row['mpx_per_second']:.1f}")
            for row in result["rows"]
        ],
    )


def quality(result: dict[str, Any] | None) -> str:
    """What superpixels can carry, beside other tools."""
    if result is None:
        return ""
    return section(
        "Superpixels",
        "Beside other tools that make no fewer, on test images "
        "(`experiments/superpixel_quality.py`). The settings of the others were chosen on val of "
        "each set, and so was the compactness of *gnnseg, chosen*; the other rows of ours have one "
        "default for all sets:",
        (
            "dataset",
            "tool",
            "regions",
            "ceiling mIoU",
            "achievable accuracy",
            "boundary recall",
            "undersegmentation error",
        ),
        [
            (
                row["dataset"],
                row["tool"],
                f"{row['regions_per_image']:,.0f}",
                f"{row['ceiling_miou']:.4f}",
                f"{row['achievable_accuracy']:.4f}",
                f"{row['boundary_recall']:.4f}",
                f"{row['undersegmentation_error']:.4f}",
            )
            for row in result["rows"]
        ],
    )


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
    return section(
        "Supervoxels",
        "Of the twelve training sections of sstem_vnc as one volume, or of a crop of them, on "
        "one thread, and on all cores where a tool uses them (`experiments/volume.py`; spacing is "
        "that which cells are made for):",
        (
            "voxels",
            "step, spacing",
            "tool",
            "regions",
            "achievable accuracy",
            "ceiling mIoU",
            "seconds",
            "all cores",
        ),
        [
            (
                " x ".join(str(size) for size in row["shape"]),
                f"{row['cells_for']['step']}, "
                + " x ".join(f"{size:g}" for size in row["cells_for"]["spacing"]),
                row["tool"],
                f"{row['regions']:,}",
                f"{row['achievable_accuracy']:.3f}",
                f"{row['ceiling_miou']:.3f}",
                f"{row['seconds']:.2f}",
                f"{row['seconds_on_all_cores']:.2f}" if "seconds_on_all_cores" in row else "",
            )
            for row in result["rows"]
        ],
    )


def first_calls(result: dict[str, Any] | None) -> str:
    """How long the first call of a process takes."""
    if result is None:
        return ""
    return section(
        "First calls",
        "Seconds in a new process, on one thread, with a 480 x 360 image "
        "(`experiments/first_call.py`; cold: no loop has been compiled yet):",
        ("call", "imports", "first, cold", "first, warm", "second"),
        [
            (
                row["call"],
                f"{row['warm']['imports']:.2f}",
                f"{row['cold']['first']:.1f}",
                f"{row['warm']['first']:.2f}",
                f"{row['warm']['second']:.3f}",
            )
            for row in result["calls"]
        ],
    )
