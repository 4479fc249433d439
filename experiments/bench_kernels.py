"""Time the stages of pixels and regions beside their peers, in turn.

    python experiments/bench_kernels.py

A measurement is a fresh process that runs a stage once to warm up and then three times; ours and
the peers' alternate, and medians of the least times are compared. The picture is scikit-image's
`ihc.png`, mirrored to 4096 x 4096 pixels (1024 x 1024 for peers below 5 Mpx/s, 8192 x 8192 for
message passing), about one superpixel to 16 x 16 pixels, on all cores. A small image is the size of
a street scene of CamVid, on one thread. Peers that are not installed are named and left out:
`pip install '.[bench]'`, and fast-slic from its source. Expected on 2 cores: superpixels with one
round 7 to 9 times as fast as fast-slic and 140 to 170 times scikit-image's `slic`. Writes
`experiments/results/bench_kernels.json`.
"""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_record
from untrained import label, untrained_model

RESULT = Path(__file__).parent / "results" / "bench_kernels.json"
SIDE, SMALL, STEP, REPEATS, RUNS = 4096, 1024, 16, 3, 3
WIDTH = 32
NUM_FEATURES = 85
SMALL_IMAGE = 360 * 480
PLANES, VOLUME_SIDE, VOLUME_STEP = 16, 512, 8
"""Of the volume: its planes drift over the picture, a pixel a plane."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Entry:
    """One way to do a stage: what prepares it, what it needs, and the size that it is given."""

    stage: str
    prepare: Callable[[np.ndarray], Work]
    package: str = "gnnseg"
    side: int = SIDE

    @property
    def name(self) -> str:
        return self.prepare.__name__

    @property
    def pixels(self) -> int:
        """How many pixels, or voxels, a run works on."""
        sizes = {"small image": SMALL_IMAGE, "supervoxels": PLANES * VOLUME_SIDE**2}
        return sizes.get(self.stage, self.side**2)


def picture(side: int) -> np.ndarray:
    """Stained tissue, (side, side, 3) uint8, mirrored where it repeats."""
    from skimage.data import immunohistochemistry

    image = immunohistochemistry()
    row = np.concatenate([image, image[:, ::-1]], axis=1)
    tile = np.concatenate([row, row[::-1]], axis=0)
    repeats = -(-side // len(tile))
    return np.tile(tile, (repeats, repeats, 1))[:side, :side].copy()


def gnnseg_one_round(image: np.ndarray) -> Work:
    """Slots with their connectivity, after one round."""
    import gnnseg

    return lambda: gnnseg.superpixels(image, step=STEP, n_iter=1)


def gnnseg_default(image: np.ndarray) -> Work:
    """The same with default settings."""
    import gnnseg

    return lambda: gnnseg.superpixels(image, step=STEP)


def fast_slic_avx2(image: np.ndarray) -> Work:
    """With its settings otherwise; it numbers at most 65,535 regions."""
    from fast_slic.avx2 import SlicAvx2

    regions = min(65_025, _regions(image))
    return lambda: SlicAvx2(num_components=regions).iterate(image)


def opencv_slic(image: np.ndarray) -> Work:
    """Ten iterations, the conversion to Lab not counted."""
    import cv2

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)

    def work() -> object:
        slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, STEP, 10.0)
        slic.iterate(10)
        slic.enforceLabelConnectivity()
        return slic.getLabels()

    return work


def scikit_image_slic(image: np.ndarray) -> Work:
    """With its settings otherwise: ten iterations."""
    from skimage.segmentation import slic

    return lambda: slic(image, n_segments=_regions(image), start_label=0)


def gnnseg_supervoxels(image: np.ndarray) -> Work:
    """Of a volume, at step 8 along every axis, with their connectivity."""
    import gnnseg

    volume = gnnseg.open_image(_volume(image), axes="ZYXC", rgb=True)
    return lambda: gnnseg.supervoxels(volume, step=VOLUME_STEP)


def scikit_image_supervoxels(image: np.ndarray) -> Work:
    """With its settings otherwise: ten iterations."""
    from skimage.segmentation import slic

    volume = _volume(image)
    regions = volume[..., 0].size // VOLUME_STEP**3
    return lambda: slic(volume, n_segments=regions, start_label=0, channel_axis=-1)


def gnnseg_features_and_graph(image: np.ndarray) -> Work:
    """Of given superpixels: 85 features, adjacency, contact and contrast; by blocks, all cores."""
    from dataclasses import replace

    from gnnseg.blocks import Block, blocks
    from gnnseg.execution import default_workers, run_tasks
    from gnnseg.graph.stage import SUM_HALO, add_up, describe
    from gnnseg.graph.table import FINE_REACH, RegionTable
    from gnnseg.superpixels.reader import MARGIN
    from gnnseg.superpixels.stage import block_cells

    reader, pixels = _regions_of(image)
    lattice, workers = reader.lattice, default_workers()
    size = block_cells(lattice, None, workers)
    tasks = list(blocks(lattice.cells, size, SUM_HALO, lattice.cells))

    def part(block: Block) -> RegionTable:
        near = lattice.pixels(block.read)
        some = replace(pixels, slots=pixels.slots[near.slices].copy())
        corner = MARGIN + near.y0, MARGIN + near.x0
        return describe(reader, add_up(reader, some, block.read, corner), block.write)

    def work() -> object:
        whole = RegionTable.empty(lattice.cells, lattice.step, NUM_FEATURES, FINE_REACH)

        def done(block: Block, table: RegionTable) -> None:
            for name, array in whole.arrays().items():
                array[block.write.slices] = getattr(table, name)

        run_tasks(part, tasks, workers=workers, done=done)
        return whole

    return work


def gnnseg_features_and_graph_one_thread(image: np.ndarray) -> Work:
    """The same at once."""
    from gnnseg.graph.stage import add_up, describe

    reader, pixels = _regions_of(image)
    cells = reader.lattice.cells
    return lambda: describe(reader, add_up(reader, pixels, cells), cells)


def scikit_image_properties_and_graph(image: np.ndarray) -> Work:
    """Mean and deviation of each colour, area and centroid, and the graph of mean colours."""
    from skimage.graph import rag_mean_color
    from skimage.measure import regionprops_table

    labels = _ids(image) + 1
    names = ("label", "area", "centroid", "intensity_mean", "intensity_std")

    def work() -> object:
        regionprops_table(labels, image, properties=names)
        return rag_mean_color(image, labels)

    return work


def gnnseg_graph(image: np.ndarray) -> Work:
    """Adjacency of given superpixels, with contact and contrast; on one thread."""
    from gnnseg.kernels.adjacency import CODES, adjacency

    _, pixels = _regions_of(image)
    cells = tuple(-(-size // STEP) for size in pixels.slots.shape)
    contact, contrast = (np.zeros((*cells, CODES), np.int32) for _ in range(2))
    boundary = np.zeros(cells, np.int32)
    margin = (pixels.grey.shape[0] - pixels.slots.shape[0]) // 2
    tables = contact, contrast, boundary
    return lambda: adjacency(pixels.grey, pixels.slots, STEP, *tables, (margin, margin))


def bioimage_cpp_graph(image: np.ndarray) -> Work:
    """Of the same superpixels, as ids."""
    from bioimage_cpp.graph import region_adjacency_graph

    labels = _ids(image).astype(np.uint32)
    return lambda: region_adjacency_graph(labels)


def gnnseg_paint(image: np.ndarray) -> Work:
    """Of given superpixels, on all cores, into a new array as NumPy's."""
    import gnnseg

    regions = gnnseg.superpixels(image, step=STEP)
    labels = np.arange(regions.lattice.num_cells).astype(np.uint8)
    return lambda: gnnseg.paint(regions, labels)


def gnnseg_paint_one_thread(image: np.ndarray) -> Work:
    """The same on one thread."""
    import gnnseg

    regions = gnnseg.superpixels(image, step=STEP)
    labels = np.arange(regions.lattice.num_cells).astype(np.uint8)
    return lambda: gnnseg.paint(regions, labels, workers=1)


def numpy_paint(image: np.ndarray) -> Work:
    """Labels taken by id."""
    ids = _ids(image).astype(np.int32)
    labels = np.arange(ids.max() + 1).astype(np.uint8)
    return lambda: labels[ids]


def gnnseg_edge_gated_layer(image: np.ndarray) -> Work:
    """The layer of the default preset without gradients, over the regions of the image."""
    import torch

    from gnnseg.models.layers import EdgeGatedConv

    graph = _graph_for_layers(image)
    layer = EdgeGatedConv(WIDTH, graph[2].shape[1]).eval()
    return lambda: torch.no_grad()(layer)(*graph)


def pyg_res_gated_graph_conv(image: np.ndarray) -> Work:
    """The same function of nodes and edges (`tests/kernels/test_gated.py`) by PyTorch Geometric."""
    import torch
    from torch_geometric.nn import ResGatedGraphConv

    graph = _graph_for_layers(image)
    layer = ResGatedGraphConv(WIDTH, WIDTH, edge_dim=graph[2].shape[1]).eval()
    return lambda: torch.no_grad()(layer)(*graph)


def pyg_res_gated_graph_conv_without_edge_attributes(image: np.ndarray) -> Work:
    """The layer of PyTorch Geometric that does less: gates that see no edge."""
    import torch
    from torch_geometric.nn import ResGatedGraphConv

    graph = _graph_for_layers(image)[:2]
    layer = ResGatedGraphConv(WIDTH, WIDTH).eval()
    return lambda: torch.no_grad()(layer)(*graph)


def gnnseg_small_image_superpixels(image: np.ndarray) -> Work:
    """360 x 480 pixels at step 8, on one thread."""
    import gnnseg

    small = image[:360, :480].copy()
    return lambda: gnnseg.superpixels(small, step=8, workers=1)


def gnnseg_small_image_to_labels(image: np.ndarray) -> Work:
    """The same, and features, graph, the default network with random weights, and paint."""
    return _to_labels(image, 8)


def gnnseg_small_image_to_labels_step_16(image: np.ndarray) -> Work:
    """The same at step 16."""
    return _to_labels(image, 16)


ENTRIES = [
    Entry("superpixels", gnnseg_one_round),
    Entry("superpixels", gnnseg_default),
    Entry("superpixels", fast_slic_avx2, "fast_slic"),
    Entry("superpixels", opencv_slic, "cv2", SMALL),
    Entry("superpixels", scikit_image_slic, "skimage", SMALL),
    Entry("supervoxels", gnnseg_supervoxels, side=SMALL),
    Entry("supervoxels", scikit_image_supervoxels, "skimage", SMALL),
    Entry("features and graph", gnnseg_features_and_graph),
    Entry("features and graph", gnnseg_features_and_graph_one_thread),
    Entry("features and graph", scikit_image_properties_and_graph, "skimage", SMALL),
    Entry("graph", gnnseg_graph),
    Entry("graph", bioimage_cpp_graph, "bioimage_cpp"),
    Entry("message passing", gnnseg_edge_gated_layer, side=2 * SIDE),
    Entry("message passing", pyg_res_gated_graph_conv, "torch_geometric", 2 * SIDE),
    Entry(
        "message passing",
        pyg_res_gated_graph_conv_without_edge_attributes,
        "torch_geometric",
        2 * SIDE,
    ),
    Entry("small image", gnnseg_small_image_superpixels, side=SMALL),
    Entry("small image", gnnseg_small_image_to_labels, side=SMALL),
    Entry("small image", gnnseg_small_image_to_labels_step_16, side=SMALL),
    Entry("paint", gnnseg_paint),
    Entry("paint", gnnseg_paint_one_thread),
    Entry("paint", numpy_paint, "numpy"),
]


def _to_labels(image: np.ndarray, step: int) -> Work:
    """From 360 x 480 pixels to labels, on one thread."""
    import torch

    torch.set_num_threads(1)
    small = image[:360, :480].copy()
    model = untrained_model(small, step)
    return lambda: label(small, model)


def _regions(image: np.ndarray) -> int:
    return image.shape[0] * image.shape[1] // STEP**2


def _volume(image: np.ndarray) -> np.ndarray:
    """(Z, Y, X, 3) uint8."""
    planes = [image[z : z + VOLUME_SIDE, z : z + VOLUME_SIDE] for z in range(PLANES)]
    return np.stack(planes)


def _graph_for_layers(image: np.ndarray) -> tuple[Any, Any, Any]:
    """Random states of the regions, and the edges of their graph with attributes."""
    import torch

    import gnnseg
    from gnnseg.superpixels import SlicSettings

    graph = gnnseg.region_graph(image, settings=SlicSettings(step=STEP))
    states = torch.rand(graph.num_nodes, WIDTH, generator=torch.Generator().manual_seed(0))
    return states, torch.as_tensor(graph.edge_index), torch.as_tensor(graph.edge_attr)


def _ids(image: np.ndarray) -> np.ndarray:
    import gnnseg

    return gnnseg.superpixels(image, step=STEP).ids()


def _regions_of(image: np.ndarray) -> tuple[Any, Any]:
    """A reader, and the pixels of the image with their slots."""
    from dataclasses import replace

    import gnnseg
    from gnnseg.superpixels import SlicSettings, make_reader

    reader = make_reader(image, settings=SlicSettings(step=STEP))
    pixels = reader.read(reader.lattice.bounds)
    return reader, replace(pixels, slots=gnnseg.superpixels(image, step=STEP).slots)


def main() -> None:
    """Run every entry in turn, again and again, and write the medians."""
    found = [entry for entry in ENTRIES if _is_installed(entry.package)]
    missing = sorted({entry.package for entry in ENTRIES if entry not in found})
    if missing:
        print(f"not installed, left out: {', '.join(missing)}", file=sys.stderr)
    seconds: dict[str, list[float]] = {entry.name: [] for entry in found}
    for _ in range(REPEATS):
        for entry in found:
            seconds[entry.name].append(seconds_of(entry))
    rows = [record(entry, seconds[entry.name]) for entry in found]
    for row in rows:
        print(f"{row['stage']}: {row['name']} {row['mpx_per_second']:.1f} Mpx/s", flush=True)
    result = {"step": STEP, "repeats": REPEATS, "missing": missing, "rows": rows}
    text = json.dumps({**result, "machine": machine_record()}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def record(entry: Entry, seconds: list[float]) -> dict[str, Any]:
    """One line of the result."""
    middle = statistics.median(seconds)
    return {
        "stage": entry.stage,
        "name": entry.name,
        "pixels": entry.pixels,
        "seconds": seconds,
        "mpx_per_second": entry.pixels / middle / 1e6,
    }


def _is_installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def seconds_of(entry: Entry) -> float:
    """Least seconds of an entry in a process of its own."""
    command = [sys.executable, __file__, entry.name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def measure(name: str) -> None:
    """Print the least seconds of an entry, after a run that warms up."""
    entry = next(entry for entry in ENTRIES if entry.name == name)
    print(least_seconds(entry.prepare(picture(entry.side))))


def least_seconds(work: Work) -> float:
    """The least of several runs, after one that warms up."""
    work()
    least = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - started)
    return least


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
