"""Write the README's results and `docs/results.md` from the files in `experiments/results`.

    python experiments/tables.py

The text between the two `<!-- results -->` marks of either is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tables_accuracy as of_accuracy
import tables_compare as of_compare
import tables_kernels as of_kernels
import tables_volume as of_volumes

HERE = Path(__file__).parent
README, DETAILS = HERE.parent / "README.md", HERE.parent / "docs" / "results.md"
MARK = "<!-- results -->"


def main() -> None:
    """Render every table that has results and put them between the marks."""
    results = {path.stem: read(path) for path in sorted((HERE / "results").glob("*.json"))}
    fill(
        README,
        of_compare.headline(results.get("compare_main")),
        of_compare.longer(results),
        of_accuracy.gigapixel(results.get("gigapixel")),
        of_accuracy.earth(results.get("earth8k")),
    )
    fill(
        DETAILS,
        of_accuracy.costs(results),
        of_accuracy.accuracy(results),
        of_accuracy.ablation(results.get("ablation")),
        of_accuracy.ablation(results.get("ablation_sequence")),
        of_accuracy.networks(results),
        of_accuracy.crossval(results.get("crossval")),
        *comparisons(results),
        of_volumes.volume_models(results.get("volume_model")),
        *frontiers(results),
        of_accuracy.borders(results.get("borders")),
        of_accuracy.calibration(results.get("calibration")),
        of_kernels.stages(results.get("bench_kernels")),
        of_kernels.quality(results.get("superpixel_quality")),
        of_kernels.thin_structures(results.get("superpixel_quality")),
        of_kernels.volumes(results.get("volume")),
        of_kernels.first_calls(results.get("first_call")),
    )


def comparisons(results: dict[str, Any]) -> Iterator[str]:
    """Regions beside pixels, a table for each question."""
    yield of_compare.accuracy(
        results.get("compare_main"),
        "Region models beside a U-Net",
        "Every training, measurement and segmentation in a process of its own, {machine} "
        "(`experiments/configs/compare_main.toml`); `default-refined` is the same training "
        "with `--refine`. Peaks are those above imports; a training whose curve had not "
        "flattened is a lower bound:",
    )
    yield of_compare.by_class(results.get("compare_main"))
    yield of_accuracy.foreground(results.get("foreground"))
    yield of_compare.accuracy(
        results.get("compare_nuclei"),
        "Nuclei, for longer",
        "The default preset and the U-Net for as many epochs as tell whether the latter has "
        "flattened, {machine} (`experiments/configs/compare_nuclei.toml`); other programs ran "
        "beside, so that minutes say little:",
    )
    yield of_compare.accuracy(
        results.get("compare_tissue"),
        "Tissue, by epochs",
        "The default preset and the U-Net, {machine} (`experiments/configs/compare_tissue.toml`). "
        "Both keep the epoch that is best once class weights are undone, as all trainings do now; "
        "those of the table above and of most others kept the one that was best before. Other "
        "programs ran beside, so that minutes say little:",
    )
    yield of_compare.accuracy(
        results.get("compare_sizes"),
        "A larger network",
        "The preset `large` at the steps of the table above, {machine} "
        "(`experiments/configs/compare_sizes.toml`). Epochs bound it; other programs ran beside, "
        "so that its minutes say little:",
    )
    yield of_compare.accuracy(
        results.get("equal_compute"),
        "Equal minutes",
        "The same minutes of training for both kinds, {machine} "
        "(`experiments/configs/equal_compute.toml`). Only points that have flattened say what "
        "a model can reach:",
    )
    yield of_compare.accuracy(
        results.get("camvid_segnet"),
        "SegNet's recipe",
        "A SegNet of an eighth of the width, with the optimiser, rate, class weights and "
        "batches of its paper (`experiments/configs/camvid_segnet.toml`), beside the default "
        "preset; {machine}:",
    )
    yield of_compare.accuracy(
        results.get("jain_table"),
        "A claim",
        "Jain et al. 2023 found graphs of superpixels 10 to 1000 times cheaper than a U-Net "
        "for -2 to +0.3 points of accuracy. Here, on {machine} "
        "(`experiments/configs/jain_table.toml`; what holds of it is in "
        "[comparison.md](design/comparison.md)):",
    )
    yield of_compare.large_images(
        results.get("jain_table"),
        "Large images",
        "Seconds, and the peak of the whole process, of the models of the claim:",
    )


def frontiers(results: dict[str, Any]) -> Iterator[str]:
    """The largest images that fit."""
    yield of_compare.large_images(
        results.get("memory_frontier"),
        "What fits",
        "The largest image for a given memory (`experiments/configs/memory_frontier.toml`): "
        "networks that see an image in one piece (*whole*), in blended tiles, and on "
        "superpixels of step 16. Seconds, and the peak of the whole process, imports included. "
        "Of two threads the U-Net has room for one within 1 GiB:",
    )
    yield of_compare.peaks(
        results.get("memory_peak"),
        "Peaks",
        "Of networks that see an image in one piece, beside region models, within {memory} "
        "(`experiments/configs/memory_peak.toml`): seconds and peak memory above imports, and how "
        "many times that of the first row it is:",
    )
    yield of_compare.large_images(
        results.get("memory_gigapixels"),
        "Gigapixels",
        "The same up to a gigapixel (`experiments/configs/memory_gigapixels.toml`); the U-Net has "
        "room for one thread of two:",
    )


def fill(page: Path, *parts: str) -> None:
    """Put tables between the marks of a page."""
    text = "\n\n".join(part for part in parts if part)
    before, _, after = page.read_text(encoding="utf-8").split(MARK)
    page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """One result file."""
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
