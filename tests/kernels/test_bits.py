"""Bits of rows against NumPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnnseg.kernels.bits import WORD, add_where, count_bits, first_bit, pack

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 5), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_flags_become_bits_and_add_up_where_they_are_set(seed, num, share):
    rng = np.random.default_rng(seed)
    flags = (rng.random(WORD * num) < share).astype(np.uint8)
    words = rng.integers(0, 2**63, num).astype(np.uint64)
    pack(flags, words)
    np.testing.assert_array_equal(np.unpackbits(words.view(np.uint8), bitorder="little"), flags)
    row = rng.integers(0, 128, flags.size).astype(np.uint8)
    value = np.uint8(rng.integers(0, 129))
    expected = row + value * flags
    add_where(words, value, row)
    np.testing.assert_array_equal(row, expected)


@given(st.integers(1, 2**64 - 1))
def test_bits_are_counted_and_the_first_is_found(word):
    assert count_bits(np.uint64(word)) == word.bit_count()
    assert first_bit(np.uint64(word)) == (word & -word).bit_length() - 1


def test_no_bits_are_none():
    assert count_bits(np.uint64(0)) == 0
