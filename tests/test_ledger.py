"""The ledger of stages."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from gnnseg.ledger import Ledger
from gnnseg.memory import reset_peak_rss, rss

MIB = 2**20


def test_a_stage_has_seconds_and_memory():
    ledger = Ledger()
    with ledger.stage("sleep"):
        time.sleep(0.05)
    record = ledger.as_dict()["sleep"]
    assert 0.05 <= record["seconds"] < 1
    assert record["cpu_seconds"] < record["seconds"]
    assert record["peak_rss_bytes"] >= 10 * MIB
    json.dumps(ledger.as_dict())


def test_work_counts_as_processor_seconds():
    ledger = Ledger()
    with ledger.stage("work"):
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert ledger.as_dict()["work"]["cpu_seconds"] >= 0.1


def test_a_stage_run_twice_adds_up():
    ledger = Ledger()
    for _ in range(2):
        with ledger.stage("twice"):
            time.sleep(0.02)
    assert ledger.as_dict()["twice"]["seconds"] >= 0.04


def test_a_failed_stage_is_recorded_and_the_error_passes():
    ledger = Ledger()
    with pytest.raises(KeyError), ledger.stage("fails"):
        raise KeyError
    assert ledger.as_dict()["fails"]["seconds"] >= 0
    assert ledger._running == []


def test_stages_keep_the_order_in_which_they_began():
    ledger = Ledger()
    with ledger.stage("outer"), ledger.stage("inner"):
        pass
    ledger.add("later", blocks=1)
    assert list(ledger.as_dict()) == ["outer", "inner", "later"]


@pytest.mark.parametrize("reset_peak", [False, True])
def test_a_peak_inside_counts_for_the_stages_around_it_only(reset_peak):
    ledger = Ledger(reset_peak=reset_peak)
    start = rss()
    with ledger.stage("before"):
        pass
    with ledger.stage("outer"), ledger.stage("inner"):
        block = np.ones(200 * MIB, np.uint8)
        time.sleep(0.05)
        del block
    with ledger.stage("after"):
        time.sleep(0.05)
    peaks = {name: record["peak_rss_bytes"] - start for name, record in ledger.as_dict().items()}
    assert peaks["inner"] > 190 * MIB
    assert peaks["outer"] > 190 * MIB
    assert peaks["before"] < 100 * MIB
    assert peaks["after"] < 100 * MIB


@pytest.mark.skipif(not reset_peak_rss(), reason="the system forbids resetting the peak")
def test_with_a_reset_a_short_peak_is_exact():
    np.ones(300 * MIB, np.uint8)  # raises the peak of the process above what follows
    ledger = Ledger(interval=10, reset_peak=True)
    start = rss()
    with ledger.stage("outer"):
        with ledger.stage("short"):
            np.ones(200 * MIB, np.uint8)
        with ledger.stage("nothing"):
            pass
    record = ledger.as_dict()
    assert 190 * MIB < record["short"]["peak_rss_bytes"] - start < 230 * MIB
    assert 190 * MIB < record["outer"]["peak_rss_bytes"] - start < 230 * MIB
    assert record["nothing"]["peak_rss_bytes"] - start < 100 * MIB


def test_counts_add_up_over_threads():
    ledger = Ledger()

    def work():
        for _ in range(1000):
            ledger.add("paint", pixels=3, bytes=0.5)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = ledger.as_dict()["paint"]
    assert (record["pixels"], record["bytes"]) == (24_000, 4000)


def test_one_stage_may_run_in_many_threads():
    ledger = Ledger()

    def work():
        with ledger.stage("shared"):
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.as_dict()["shared"]["seconds"] >= 0.08
    assert ledger._running == []
