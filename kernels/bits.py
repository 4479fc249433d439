"""Rows of flags as bits: 64 pixels to a word, the lowest bit the first of them."""

from __future__ import annotations

import numpy as np

from gnnseg.kernels.compiled import inlined, loop

WORD = 64
"""Pixels of a word."""
# One bit of each of eight bytes, brought together in the highest byte of a product.
_GATHER = np.uint64(0x0102040810204080)
# Eight copies of a byte, and of each copy another bit.
_COPIES, _PICK = np.uint64(0x0101010101010101), np.uint64(0x8040201008040201)
_CARRY = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)


@loop
def pack(flags, words):
    """Write flags (64 n,) uint8, each 0 or 1, as words (n,) uint64."""
    eights, out = flags.view(np.uint64), words.view(np.uint8)
    for k in range(out.size):
        out[k] = (eights[k] * _GATHER) >> np.uint64(56)


@inlined
def add_where(words, value, row):
    """Add `value` to the bytes (64 n,) whose bits are set; sums stay below 256."""
    bits, eights = words.view(np.uint8), row.view(np.uint64)
    for k in range(bits.size):
        picked = (np.uint64(bits[k]) * _COPIES) & _PICK
        eights[k] += (((picked + _CARRY) >> np.uint64(7)) & _COPIES) * np.uint64(value)


@inlined
def count_bits(word):
    """How many bits of a word are set."""
    word -= (word >> _ONE) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * _COPIES) >> np.uint64(56))


@inlined
def first_bit(word):
    """Where the lowest bit of a word that is not zero stands."""
    return count_bits((word & (~word + _ONE)) - _ONE)
