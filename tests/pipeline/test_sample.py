"""Loops are there before memory is planned: what the compiler takes, and leaves behind, counts."""

from __future__ import annotations

import subprocess
import sys

from gnnseg.pipeline.sample import few_cells

SCRIPT = """
import numpy as np
from gnnseg.kernels.connectivity import _adopt
from gnnseg.kernels.paint import _paint
from gnnseg.kernels.region_sums import _sum_strips
from gnnseg.kernels.slic import _cluster
from gnnseg.pipeline import painting, stages

def loaded(*loops):
    def plan(*_args, **_options):
        assert all(loop.signatures for loop in loops), loops
        raise SystemExit("planned")
    return plan

assert not (_cluster.signatures or _paint.signatures)
stages.make_plan = loaded(_cluster, _adopt, _sum_strips)
painting._fitting = loaded(_paint)
if {paint}:
    slots = np.zeros((1, 8, 8), np.uint8)
    painting.open_slot_map = lambda path: (slots, painting.Lattice(8, 8, 4))
    np.save("values.npy", np.zeros(4, np.float32))
    painting.paint_file("slots.zarr", "values.npy", "out.zarr")
else:
    stages.write_graph(np.zeros((40, 50, 3), np.uint8), "out.zarr", step=4)
"""


def planned(folder, root, *, paint):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{paint}", str(paint))],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(root), "PATH": ""},
    )
    return done.stderr.strip()


def test_regions_are_planned_after_their_loops_are_loaded(tmp_path, repo_root):
    assert planned(tmp_path, repo_root, paint=False) == "planned"


def test_painting_is_planned_after_its_loops_are_loaded(tmp_path, repo_root):
    assert planned(tmp_path, repo_root, paint=True) == "planned"


def test_few_pixels_are_read_at_any_step():
    assert [few_cells(step) for step in (2, 16, 32, 100, 256)] == [8, 8, 8, 2, 1]
