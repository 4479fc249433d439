"""No kernel reads or writes outside its arrays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import gnnseg
import numpy as np
from gnnseg.graph import RegionGraph, nearest_graph, whole_table
from gnnseg.io import open_image
from gnnseg.kernels.homes_volume import count_homes
from gnnseg.kernels.paint import count_labels, paint
from gnnseg.pipeline.refine import Mixture, refine
from gnnseg.superpixels import SlicSettings, make_reader

rng = np.random.default_rng(0)

def check(image, mask=None, **settings):
    settings = SlicSettings(**settings)
    reader = make_reader(open_image(image, axes="CYX"), settings=settings, mask=mask)
    slots, table = whole_table(reader, block=4 * settings.step)
    coarse = table.coarsen().coarsen()
    assert coarse.area.sum() == table.area.sum() == (slots < 25).sum()
    RegionGraph.from_table(coarse)
    nearest_graph(table, 10)
    out = np.empty(slots.shape, np.uint8)
    paint(slots, settings.step, np.ones(table.area.shape, np.uint8), 0, 0, np.uint8(9), out)
    assert ((out == 1) == (slots < 25)).all()
    counts = np.zeros((*table.area.shape, 2), np.int32)
    count_labels(slots, settings.step, rng.integers(0, 3, slots.shape).astype(np.uint16), counts)
    logits = rng.normal(size=(table.area.size, 3)).astype(np.float32)
    best = logits.argmax(axis=1).astype(np.uint8).reshape(table.area.shape)
    paint(slots, settings.step, best, 0, 0, np.uint8(255), out)
    whole = reader.lattice.bounds
    mixture = Mixture.of(table, logits, reader.scaling, (0, 0))
    given = {"width": 3, "unlabelled": 255, "load": lambda: (mixture, reader.read(whole).work)}
    for places, mixed in refine(out, slots, whole, **given):
        assert (out[places] < 3).all() and np.isfinite(mixed).all()
    places = np.argwhere(slots < 25).astype(np.int32)
    assert np.isfinite(mixture.inputs_at(slots, reader.read(whole).work, places)).all()

noise = rng.integers(0, 256, (3, 33, 41)).astype(np.uint8)
check(noise, step=3, n_iter=2, compactness=0.01, sigma=1.0)
check(noise, step=10, n_iter=3, compactness=0.0, stride=9)
check(np.tile(noise[:, :9], (2, 1, 9)), step=2, n_iter=1)
check(noise[:1], mask=rng.random((33, 41)) < 0.5, step=5, stride=5, rounds=11)
deep = rng.integers(0, 60000, (2, 17, 1)).astype(np.uint16)
check(deep, step=4)
real = rng.standard_normal((1, 1, 29)).astype(np.float32)
real[0, 0, ::5] = np.nan
check(real, step=4, compactness=196.0)
gnnseg.superpixels(noise.transpose(1, 2, 0), step=4, block=12, mask=noise[0] > 99)
volume = open_image(rng.integers(0, 256, (7, 25, 31)).astype(np.uint8), axes="ZYX")
mask = open_image((rng.random((7, 25, 31)) < 0.8).astype(np.uint8), axes="ZYX")
for spacing in ((5, 1, 1), (1, 1, 1), (0.3, 1, 1)):
    made = {"step": 4, "spacing": spacing, "mask": mask, "compactness": 0.1}
    regions = gnnseg.supervoxels(volume, block=(4, 8), **made)
    graph = gnnseg.supervoxel_graph(volume, block=(4, 8), **made)
    assert gnnseg.paint(regions, graph.area, fill=0).astype(bool).sum() == graph.area.sum()
    coarse = graph.table.coarsen(spacing[0]).coarsen(spacing[0])
    assert coarse.area.sum() == graph.area.sum()
    steps, cells = regions.lattice.steps[:2], regions.lattice.shape
    assert count_homes(regions.slots, steps, (0, 0, 0), cells) == (graph.area > 0).sum()
"""


@pytest.mark.timeout(900)  # every loop is compiled anew, with its checks
def test_all_kernels_stay_inside_their_arrays(tmp_path, repo_root):
    own = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(repo_root)}
    subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | own, check=True)
