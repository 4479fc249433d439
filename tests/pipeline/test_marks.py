"""Blocks by number and the marks of those that are done."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.blocks import Lattice, Window, blocks
from gnnseg.errors import DiskError
from gnnseg.pipeline.manifest import Run
from gnnseg.pipeline.marks import Marks
from gnnseg.pipeline.tiling import MANY, BoxTiling, Tiling, chunk_tiling
from gnnseg.superpixels import VolumeLattice

TILING = chunk_tiling((40, 60), 10)


@st.composite
def tilings(draw):
    y0, x0 = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    bounds = Window(y0, y0 + draw(st.integers(1, 40)), x0, x0 + draw(st.integers(1, 40)))
    limits = bounds.grow(draw(st.integers(0, 5))).clip(Window(0, 100, 0, 100))
    sizes = draw(st.integers(1, 17)), draw(st.integers(0, 6))
    return Tiling(bounds, *sizes, limits, planes=draw(st.integers(1, 3)))


@given(tilings())
def test_tasks_are_the_blocks_of_every_plane_in_order(tiling):
    tasks = list(tiling.tasks())
    assert [task.index for task in tasks] == list(range(tiling.count))
    made = list(blocks(tiling.bounds, tiling.size, tiling.halo, tiling.limits))
    assert [(t.plane, t.block) for t in tasks] == [
        (plane, block) for plane in range(tiling.planes) for block in made
    ]


@st.composite
def box_tilings(draw):
    lattice = VolumeLattice(
        draw(st.integers(1, 12)),
        draw(st.integers(1, 3)),
        Lattice(draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(2, 5))),
    )
    size = tuple(draw(st.integers(1, 6)) for _ in range(3))
    return BoxTiling(lattice, size, (draw(st.integers(0, 3)), draw(st.integers(0, 3))))


@given(st.one_of(tilings(), box_tilings()), st.integers(1, 5))
def test_the_busiest_thread_takes_a_block_whenever_it_is_free(tiling, threads):
    sizes = [task.block.read.size for task in tiling.tasks()]
    free = [0] * threads
    for size in sizes:
        free[free.index(min(free))] += size
    few = tiling.count <= MANY * threads
    assert tiling.busiest(threads) == (max(free) if few else sum(sizes) / threads)


def filled(path, indices, tiling=TILING):
    marks = Marks.open(path, tiling)
    for index in indices:
        marks.add(index, {"pixels": [index, 1], "max_density": float(index), "crc32": 7})
    marks.close()
    return marks


def test_marks_are_read_back(tmp_path):
    path = tmp_path / "paint.jsonl"
    written = filled(path, [3, 0, 17])
    found = Marks.read(path)
    assert [index for index in range(TILING.count) if index in found] == [0, 3, 17]
    assert found.totals == written.totals == {"pixels": [20, 3], "max_density": 17.0}
    assert (found.count, found.size, found.complete) == (3, 24, False)
    left = [task.index for task in TILING.tasks(done=found)]
    assert left == sorted(set(range(24)) - {0, 3, 17})


def test_a_line_that_was_cut_short_is_dropped_wherever_it_was_cut(tmp_path):
    path = tmp_path / "paint.jsonl"
    filled(path, [3, 5])
    whole = path.read_bytes()
    start = whole.rstrip().rindex(b"\n") + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        marks = filled(path, [9])
        assert (3 in marks, 5 in marks, 9 in marks) == (True, False, True)
        assert marks.totals["pixels"] == [12, 2]
        assert path.read_bytes()[:start] == whole[:start]
    for cut in range(whole.index(b"\n")):
        path.write_bytes(whole[:cut])
        assert filled(path, [1]).count == 1


def test_a_full_disk_is_an_error_and_half_a_line_is_no_mark(tmp_path):
    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, line):
            return self.file.write(line[:5])

        def close(self):
            self.file.close()

    path = tmp_path / "paint.jsonl"
    marks = Marks.open(path, TILING)
    marks.add(3, {})
    marks._file = Full(marks._file)
    with pytest.raises(DiskError, match="full"):
        marks.add(4, {})
    marks.close()
    assert 4 not in marks
    assert filled(path, [5]).count == 2


def test_garbage_at_the_end_is_dropped(tmp_path):
    path = tmp_path / "paint.jsonl"
    filled(path, [3])
    with path.open("ab") as file:
        file.write(b"\0" * 100)
    assert Marks.read(path).count == 1


def test_marks_of_blocks_of_another_size_count_only_if_all_are_done(tmp_path):
    path, other = tmp_path / "paint.jsonl", chunk_tiling((40, 60), 20)
    filled(path, range(24))
    marks = filled(path, [], other)
    assert marks.complete
    assert marks.totals["pixels"] == [276, 24]
    path.unlink()
    filled(path, range(23))
    assert filled(path, [], other).count == 0
    filled(path, range(6), other)
    assert filled(path, [], chunk_tiling((40, 70), 20)).count == 0


@pytest.mark.parametrize("planes", [1, 4])
def test_a_block_takes_bits_of_memory(tmp_path, planes):
    run = Run.start(tmp_path / "labels.zarr.gnnseg", {})
    tiling = chunk_tiling((250 // planes * 100, 40_000), 100, planes=planes)
    result = {"pixels": [10**9, 3, 4, 5], "unlabelled": 3, "crc32": 2**32 - 1}
    tracemalloc.start()
    totals = run.phase("paint", tiling, lambda _task: result, workers=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert totals["pixels"][1] == 3 * tiling.count > 250_000
    assert peak / tiling.count < 2
    run.close()
    tracemalloc.start()
    again = Run.start(tmp_path / "labels.zarr.gnnseg", {})
    assert again.phase("paint", tiling, lambda _task: {}, workers=1) == totals
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / tiling.count < 2
    again.close()
