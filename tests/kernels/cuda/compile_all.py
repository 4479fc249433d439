"""Compile every kernel for a GPU that need not be there, and print the kernels' names.

The simulator runs kernels as Python and checks no types; this does. A product that is added to
something without being rounded, which a processor would not do, is an error. NVIDIA's compiler is
found through CUDA_HOME.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import SimpleNamespace

from numba import cuda, types

import gnnseg.kernels.cuda as package

HOPPER = 9, 0
INT = types.int64
U8, I16, U16, I32, I64, F32, F64 = (
    types.uint8, types.int16, types.uint16, types.int32, types.int64, types.float32, types.float64
)  # fmt: skip


def of(dtype, ndim):
    return types.Array(dtype, ndim, "C")


def strided(dtype, ndim):
    return types.Array(dtype, ndim, "A")


def of_ints(number):
    return types.UniTuple(INT, number)


SLOTS, PLACES, LIST = of(U8, 2), of(I32, 3), of(I64, 1)
VOXELS, PAIR, PLACE, PART = of(U8, 3), of_ints(2), of_ints(3), of_ints(6)
HOMES = of(I32, 2)
LATTICES = [(PAIR, types.UniTuple(of(I16, 1), 2), PLACE, HOMES, PLACE, of_ints(n)) for n in (1, 3)]
POOLED = of(I64, 3), of(I64, 4), of(I32, 4), of(I32, 4)
EDGES = of(I64, 2), of(F32, 2)
TREES = of(I32, 1), of(I64, 1)
GREY, TABLE = strided(I16, 2), of(I32, 4)
PIXELS, KINDS = (of(I16, 3), GREY, SLOTS), (of(I64, 2), LIST, INT)
SIDES = TABLE, TABLE, PLACES, INT, INT, INT
SIGNATURES = {
    "adjacency._count_along_z": [(GREY, GREY, SLOTS, SLOTS, INT, INT, *SIDES)],
    "adjacency._count_in_plane": [(grey, SLOTS, INT, *SIDES) for grey in (of(I16, 2), GREY)],
    "arrays._copy": [
        *((strided(t, 2), of(t, 2)) for t in (U8, U16, I16, types.float32)),
        (strided(types.boolean, 2), of(U8, 2)),
        (strided(types.float16, 2), of(types.float32, 2)),
        *((strided(t, 2), strided(t, 2)) for t in (I32, I64)),
    ],
    "arrays._copy_row": [(strided(t, 1), strided(t, 1)) for t in (U8, types.float32, I64)],
    "arrays._fill": [(of(I32, 1), I32), (LIST, I64), (of(types.boolean, 1), types.boolean)],
    "arrays._find_zero": [(of(types.boolean, 2), of(I32, 1))],
    "arrays._mean_of_channels": [(of(I16, 3), of(I16, 2))],
    "arrays._repeat_edges": [(of(I16, 3), INT, INT, INT, INT)],
    "arrays._write_where_zero": [(strided(t, 2), INT, SLOTS) for t in (U8, types.boolean)],
    "centres._put": [(of(t, 2), INT, HOMES) for t in (I32, types.boolean)],
    "centres._take": [(HOMES, INT, of(t, 2)) for t in (I32, types.boolean)],
    "centroids._write": [
        (LIST, of(I64, 2), *[types.UniTuple(INT, axes)] * 3, of(F64, 2)) for axes in (2, 3)
    ],
    "clustering._add_up": [
        (of(U16, 4), VOXELS, *lattice, INT, INT, types.boolean, PART, of(I64, 2))
        for lattice in LATTICES
    ],
    "clustering._assign": [
        (of(U16, 3), SLOTS, INT, *lattice, PART, INT, SLOTS) for lattice in LATTICES
    ],
    "clustering._settle": [(of(I64, 2), INT, INT, HOMES)],
    "coarsen._pool": [(*POOLED, *POOLED, INT, INT, PLACE, INT, INT, INT)],
    "colour._oppose": [(of(I16, 3), INT, INT, INT, INT)],
    "colour._scale_floats": [
        (of(t, 3), of(F64, 1), of(F64, 1), F64, of(types.boolean, 2), of(I16, 3), INT, INT)
        for t in (types.float32, F64, I32)
    ],
    "colour._scale_integers": [
        (of(t, 3), of(I32, 2), INT, of(I16, 3), INT, INT) for t in (U8, U16, I16)
    ],
    "connectivity_volume._list_orphans": [(VOXELS, LIST, LIST)],
    "connectivity_volume._move": [(of(U8, 1), LIST, of(U8, 1))],
    "connectivity_volume._release": [(of(U8, 1), LIST, LIST, LIST)],
    "connectivity_volume._vote": [(VOXELS, PAIR, PAIR, INT, LIST, of(U8, 1))],
    "deciles._write": [(strided(I32, 2), LIST, of(F64, 2))],
    "derive._write_rows": [
        (of(I64, 2), of(F64, 2), of(I32, 2), of(I64, 2), of(I32, 1), of(I32, 2), of(F64, 2),
         of(F64, 1), INT, INT, F64, F64, of(F32, 2))
    ],
    "edges._count": [(of(I32, 2), of(I64, 2), PLACE, of(I32, 1))],
    "edges._fill": [
        (of(I32, 2), of(I32, 2), of(F64, 2), LIST, of(I64, 2), PLACE, types.UniTuple(INT, axes),
         INT, LIST, *EDGES)
        for axes in (2, 3)
    ],
    "fill._fill_ring": [(SLOTS, INT, of(I16, 3), INT, INT)],
    "gated._add": [(of(F32, 2), of(F32, 2), *EDGES, of(F32, 2), of(F32, 1), LIST, of(F32, 2))],
    "gated._find_starts": [(of(I64, 2), LIST, of(I32, 1))],
    "homes_volume._mark_homes": [(VOXELS, *(INT,) * 5, of(types.boolean, 3))],
    "nearest._mark": [(of(F64, 3), of(I64, 2), INT, PLACES)],
    "paint._paint": [
        (SLOTS, INT, of(t, 2), INT, INT, t, of(t, 2)) for t in (U8, U16, types.float32)
    ],
    "paint._paint_volume": [
        (VOXELS, INT, INT, of(t, 3), INT, INT, INT, t, of(t, 3))
        for t in (U8, U16, types.float32)
    ],
    "pieces._begin": [(VOXELS, tree) for tree in TREES],
    "pieces._find_first": [
        (VOXELS, PAIR, tree, of(I32, 1), PLACES, of(I64, 3)) for tree in TREES
    ],
    "pieces._find_largest": [
        (VOXELS, PAIR, tree, of(I32, 1), PLACES) for tree in TREES
    ],
    "pieces._join_neighbours": [(VOXELS, PAIR, tree) for tree in TREES],
    "pieces._mark_orphans": [
        (VOXELS, PAIR, tree, of(I64, 3), LIST) for tree in TREES
    ],
    "pieces._measure": [(tree, of(I32, 1)) for tree in TREES],
    "pool._pool": [(of(F32, 3), SLOTS, INT, INT, of(F32, 3))],
    "refine._flag": [(of(t, 2), INT, INT, of(types.boolean, 2)) for t in (U8, U16)],
    "refine._mix": [
        (SLOTS, INT, PLACES, PLACES, of(I64, 3), PLACES, of(types.boolean, 2), INT, INT,
         of(I16, 3), INT, INT, of(I32, 2), INT, LIST, of(types.float32, 2))
    ],
    "region_sums._add_up": [(*PIXELS, INT, *KINDS, of(I64, 3), PLACES, INT, INT)],
    "region_sums._add_up_layers": [
        (*PIXELS, INT, INT, INT, *KINDS, of(I64, 4), TABLE, of(I64, 4), INT, INT)
    ],
    "scan._add_up": [(of(I32, 1), LIST)],
    "scan._write_starts": [(of(I32, 1), LIST, LIST)],
    "smooth._smooth": [(of(I16, 3), of(I32, 1), INT, of(I16, 3))],
    "smooth._soften": [(of(I16, 3), INT, INT, of(U16, 3))],
}  # fmt: skip


def kernels():
    """Every kernel of the package by name; functions that only kernels call are left out."""
    from numba.cuda.dispatcher import CUDADispatcher  # which the simulator does not have

    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, CUDADispatcher) and not value.targetoptions["device"]:
                yield f"{found.name}.{name}", value


def main():
    from numba.cuda import dispatcher

    # Functions called by kernels are compiled for the GPU at hand: say that there is one.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=HOPPER)
    for name, kernel in kernels():
        for signature in SIGNATURES[name]:
            code, _ = cuda.compile_ptx(kernel.py_func, signature, cc=HOPPER)
            if ".extern .func" in code:
                raise SystemExit(f"{name} calls a function that another compiler must add")
            if "fma." in code:
                raise SystemExit(f"{name} adds a product without rounding it: use cuda/exact.py")
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
