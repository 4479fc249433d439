"""The operations of `gnnseg.kernels` on a GPU: the same names, the same bits.

A function of `gnnseg.kernels` that is given arrays on a GPU calls the one of its name here, so
that a process without one never loads Numba's CUDA target. Launches are asynchronous; the caller
allocates what comes out.
"""
