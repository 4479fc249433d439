"""Tables of accuracy and of what it costs."""

from __future__ import annotations

from statistics import fmean, mean
from typing import Any

from sections import section, spread

from gnnseg.compare.convergence import flattened

PRESETS = ("small", "default", "large", "jain2023", "mlp")


def accuracy(results: dict[str, dict[str, Any]]) -> str:
    """Test mIoU on pixels, by dataset and preset."""
    rows = [r for name, r in results.items() if name.startswith("accuracy_")]
    if not rows:
        return ""
    rows.sort(key=lambda r: (r["run"]["dataset"], PRESETS.index(r["run"]["preset"])))
    machine = rows[0]["machine"]
    return section(
        "Presets on public sets",
        f"Test mIoU on pixels after painting, {machine['cores']} cores of {machine['processor']}, "
        "no pretrained weights (`experiments/accuracy.py`). The ceiling is what labelling every "
        "region with its commonest class would reach. Runs of few epochs have not converged. "
        "Seeds but the first ran on one core, bounded by epochs.",
        (
            *("dataset", "preset", "step", "seed", "parameters", "training"),
            *("epochs", "val", "test", "ceiling"),
        ),
        [_accuracy_row(row) for row in rows],
    )


def _accuracy_row(row: dict[str, Any]) -> tuple[str, ...]:
    run, test, training = row["run"], row["test"], row["training"]
    return (
        run["dataset"],
        run["preset"],
        str(run["step"]),
        str(run["seed"]),
        f"{row['parameters']:,}",
        f"{training['seconds'] / 60:.1f} min",
        str(training["epochs"]),
        f"{training['val_miou']:.3f}",
        f"**{test['miou']:.3f}**",
        f"{test['ceiling_miou']:.3f}",
    )


def networks(results: dict[str, dict[str, Any]]) -> str:
    """Convolutional networks beside the default preset."""
    rows = [r for name, r in results.items() if name.startswith("network_")]
    if not rows:
        return ""
    return section(
        "Beside a U-Net",
        "MONAI's `BasicUNet` of some width (channels of its first level), trained on the pixels of "
        "the same images with the same losses, schedule and choice by val "
        "(`experiments/networks.py`), and the default preset of the main comparison, without and "
        "with `--refine`. A curve that had not flattened proves nothing. Test mIoU, one seed each:",
        (
            "dataset",
            "network",
            "parameters",
            "minutes",
            "epochs",
            "flattened",
            "val",
            "test",
            "default",
            "refined",
        ),
        [_network_row(row, results) for row in rows],
    )


def _network_row(row: dict[str, Any], results: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    dataset, training = row["run"]["dataset"], row["training"]
    is_flat, why = flattened(training["history"]["val_miou"], training["config"]["patience"])
    compared = {
        found["model"]: f"{found['miou']:.3f}"
        for found in results.get("compare_main", {"accuracy": []})["accuracy"]
        if found["dataset"] == dataset
    }
    return (
        dataset,
        row["run"]["name"],
        f"{row['parameters']:,}",
        f"{training['seconds'] / 60:.0f}",
        str(training["epochs"]),
        "yes" if is_flat else f"no: {why}",
        f"{training['val_miou']:.3f}",
        f"**{row['test']['miou']:.3f}**",
        compared.get("default", ""),
        compared.get("default-refined", ""),
    )


def foreground(result: dict[str, Any] | None) -> str:
    """Nuclei and their boundaries as one class."""
    if result is None:
        return ""
    found = [
        f"{model['title']}{', refined' * (way == 'refined')}"
        f"{' as learnt' * (way == 'refined' and name.endswith('borders'))}: {iou:.3f}"
        for name, model in result["models"].items()
        for way, iou in model["iou"].items()
    ]
    return (
        "IoU on test of dsb2018 of what is nucleus or boundary (`experiments/foreground.py`; "
        f"models of the table below): {'; '.join(dict.fromkeys(found))}."
    )


def crossval(result: dict[str, Any] | None) -> str:
    """Sets of few images, measured by folds."""
    if result is None:
        return ""
    return section(
        "Sets of few images",
        f"Every image measured once, in {result['folds']} folds by animal or specimen "
        "(`experiments/crossval.py`); the interval (95 %) is that of drawing these with "
        "replacement. Epochs bound the trainings (`experiments/configs/crossval.toml`); with so "
        "few images they are few updates for a U-Net, whose rows are lower bounds:",
        ("dataset", "model", "images", "groups", "epochs", "flattened", "pooled mIoU", "interval"),
        [
            (
                row["dataset"],
                row["name"],
                str(row["num_images"]),
                str(row["num_groups"]),
                str(row["settings"]["epochs"]),
                _folds_flattened(row["val_miou_by_epoch"]),
                f"**{row['miou']:.3f}**",
                "{:.3f} to {:.3f}".format(*row["interval"]),
            )
            for row in result["runs"]
        ],
    )


def _folds_flattened(curves: list[list[float]]) -> str:
    """In how many folds the training had flattened, of all."""
    found = sum(flattened(curve, len(curve))[0] for curve in curves)
    return f"{found} of {len(curves)}"


def ablation(result: dict[str, Any] | None) -> str:
    """What each part brings and costs."""
    if result is None:
        return ""
    rows, shared = result["runs"], result["shared"]
    seeds = [row["val_miou"] for row in rows if row["name"].startswith("reference")]
    base = fmean(seeds)
    held_out = result.get("held_out")
    val = f"the images of train named {held_out}..., held out" if held_out else "val"
    return section(
        f"What brings accuracy on {result['dataset']}{', a sequence held out' * bool(held_out)}",
        f"One change at a time against the default preset with cells of {shared['step']} pixels, "
        f"{shared['epochs']} epochs; mIoU on {val} (`experiments/ablation.py`). "
        f"{len(seeds)} seeds of the reference span {100 * (max(seeds) - min(seeds)):.1f} points "
        f"around {base:.3f}: "
        + ("those above spanned more." if held_out else "smaller differences mean nothing."),
        ("part", "change", "parameters", "operations a pixel", "val mIoU", "points"),
        [
            (
                row.get("part", ""),
                row["name"],
                f"{row['parameters']:,}",
                f"{row['operations_per_pixel']:,.0f}",
                f"{row['val_miou']:.3f}",
                f"{100 * (row['val_miou'] - base):+.1f}",
            )
            for row in rows
        ],
    )


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


def borders(result: dict[str, Any] | None) -> str:
    """What refining borders brings, by mixing and as learnt."""
    if result is None:
        return ""
    ways = "unrefined", "mixed", "learnt"
    return section(
        "Refined borders",
        "Figures of test, without `--refine`, with it, and with what `gnnseg borders` learnt, "
        "where val kept it (`experiments/borders.py`; boundary F1 within 2 pixels). Several seeds: "
        "the mean, and the lowest and the highest:",
        (
            *("dataset", "step", "seeds", *(f"mIoU, {way}" for way in ways), "kept by val"),
            *(f"boundary F1, {way}" for way in ways),
        ),
        [
            (
                name,
                str(rows[0]["step"]),
                str(len(rows)),
                *(spread([row[way]["miou"] for row in rows]) for way in ways),
                f"{sum(row['val']['kept'] for row in rows)} of {len(rows)}",
                *(f"{mean(row[way]['boundary_f1'] for row in rows):.3f}" for way in ways),
            )
            for name, rows in result["datasets"].items()
        ],
    )


def calibration(result: dict[str, Any] | None) -> str:
    """How sure models are, and how sure they should be."""
    if result is None:
        return ""
    return section(
        "Certainty",
        "Expected calibration error of test without and with the temperature that was fitted "
        "on val, and the area under the ROC of finding wrong pixels by the entropy "
        "(`experiments/calibration.py`):",
        ("dataset", "preset", "temperature", "error without", "with", "AUROC"),
        [
            (
                found["dataset"],
                found["preset"],
                f"{found['temperature']:.2f}",
                f"{found['ece_uncalibrated']:.4f}",
                f"{found['ece']:.4f}",
                f"{found['error_auroc']:.3f}",
            )
            for found in result["rows"]
        ],
    )


def costs(results: dict[str, dict[str, Any]]) -> str:
    """What each preset costs."""
    result = results.get("cost")
    if result is None:
        return ""
    side, trained = result["side"], _trained_on_camvid(results)
    return section(
        "Presets",
        f"On one thread, {side} x {side} pixels in colour, 11 classes (`experiments/cost.py`): "
        "operations of the network in floating point, halos included, and about how many integer "
        "ones superpixels and features take; times of these, and of the network; peak of a process "
        "beyond its imports and loops. Minutes of training on camvid on two cores, and what they "
        "brought (tables below).",
        (
            "preset",
            "step",
            "parameters",
            "operations a pixel",
            "of integers",
            "superpixels, features, ns a pixel",
            "network, ns a pixel",
            "peak",
            "training on camvid",
        ),
        [
            (
                found["preset"],
                str(found["step"]),
                f"{found['parameters']:,}",
                f"{found['operations_per_pixel']:,.0f}",
                f"{found['integer_operations_per_pixel']:,.0f}",
                f"{found['regions_ns_per_pixel']:.0f}",
                f"{found['network_ns_per_pixel']:.0f}",
                f"{found['peak_bytes'] / 2**20:.0f} MiB",
                trained.get((found["preset"], found["step"]), ""),
            )
            for found in result["presets"]
        ],
    )


def _trained_on_camvid(results: dict[str, dict[str, Any]]) -> dict[tuple[str, int], str]:
    """Minutes and test mIoU by preset and step: of a training of its own, or of the comparison."""
    found = {}
    compared = results.get("compare_main", {"accuracy": [], "configuration": {"models": []}})
    steps = {
        model["name"]: model["training_on"].get("camvid", {}).get("step")
        for model in compared["configuration"]["models"]
    }
    for row in compared["accuracy"]:
        if row["dataset"] == "camvid" and row["model"] in PRESETS:
            key = row["model"], steps[row["model"]]
            found[key] = f"{row['training_minutes']:.0f} min: {row['miou']:.3f}"
    for preset in PRESETS:
        row = results.get(f"accuracy_camvid_{preset}")
        if row:
            minutes, miou = row["training"]["seconds"] / 60, row["test"]["miou"]
            found[preset, row["run"]["step"]] = f"{minutes:.0f} min: {miou:.3f}"
    return found
