"""Numba loops over pixels and nodes: one file is one operation, with its rule and its loops.

Every loop is single-threaded and releases the interpreter lock: threads run *blocks*, never a
loop. Arithmetic is integer (or float32 below 2**24, which is as exact), so no result depends on
the order of the work.

`arrays.py` tells where an array lies; one on a GPU is worked on by the operation of the same name
in `gnnseg.kernels.cuda`.
"""
