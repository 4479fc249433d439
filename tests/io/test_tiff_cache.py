"""Decoded strips and tiles of a TIFF are shared by threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from gnnseg.io.tiff_reader import SegmentCache


def test_threads_share_one_decoding_of_a_strip():
    cache, data, entered, goes_on = SegmentCache(100), np.ones(10), Event(), Event()

    def decode():
        entered.set()
        assert goes_on.wait(10)
        return data

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get, "strip", decode)
        assert entered.wait(10)
        others = [pool.submit(cache.get, "strip", pytest.fail) for _ in range(2)]
        other = cache.get("another strip", data.copy)
        goes_on.set()
        assert all(found.result(10) is data for found in (first, *others))
    assert other is not data


def test_an_error_of_a_decoding_reaches_all_who_wait_and_the_next_tries_again():
    cache, entered, goes_on = SegmentCache(100), Event(), Event()

    def fail():
        entered.set()
        assert goes_on.wait(10)
        raise OSError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "strip", fail)
        assert entered.wait(10)
        second = pool.submit(cache.get, "strip", pytest.fail)
        time.sleep(0.05)  # it waits by now
        goes_on.set()
        for found in (first, second):
            assert isinstance(found.exception(10), OSError)
    assert cache.get("strip", np.ones(3).copy).sum() == 3
