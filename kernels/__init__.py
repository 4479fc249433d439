"""Numba loops over pixels and nodes: one file is one operation, with its rule and its loops.

Every loop is single-threaded and releases the interpreter lock: threads run *blocks*, never a
loop. Arithmetic is integer (or float32 below 2**24, which is as exact), so no result depends on
the order of the work.
"""
