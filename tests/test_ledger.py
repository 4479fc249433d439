"""The ledger of stages."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from gnnseg import counters
from gnnseg.counters import Used
from gnnseg.execution import default_workers
from gnnseg.ledger import Laps, Ledger
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


def test_what_is_told_stays_the_same_however_often():
    ledger = Ledger()
    for _ in range(3):
        ledger.add("network", tiles=2)
        ledger.tell("network", parameters=7)
    stage = ledger.as_dict()["network"]
    assert (stage["tiles"], stage["parameters"]) == (6, 7)


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


def test_bytes_that_pass_through_calls_are_counted(tmp_path):
    ledger, content = Ledger(), bytes(3 * MIB)
    with ledger.stage("write"):
        (tmp_path / "file").write_bytes(content)
    with ledger.stage("read"):
        (tmp_path / "file").read_bytes()
    written, read = ledger.as_dict()["write"], ledger.as_dict()["read"]
    if written["written_bytes"] is None:
        pytest.skip("the system does not count bytes")
    assert 3 * MIB <= written["written_bytes"] < 3.2 * MIB
    assert 3 * MIB <= read["read_bytes"] < 3.2 * MIB
    assert max(read["written_bytes"], written["read_bytes"]) < MIB / 4


def test_where_the_system_counts_no_bytes_there_are_none(tmp_path):
    found = counters._io(tmp_path / "absent")
    assert set(found.values()) == {None}
    spent = Used(**found, cpu_seconds=3.0) - Used(**found, cpu_seconds=1.0)
    assert (spent.cpu_seconds, spent.read_bytes, spent.device_seconds) == (2.0, None, 0.0)


def test_memory_above_the_base_is_that_of_the_work():
    held = np.ones(50 * MIB, np.uint8)
    ledger = Ledger()
    with ledger.stage("work"):
        block = np.ones(80 * MIB, np.uint8)
        time.sleep(0.05)
        del block
    record = ledger.as_dict()["work"]
    assert 75 * MIB < record["peak_above_bytes"] < 100 * MIB
    assert record["peak_rss_bytes"] == record["peak_above_bytes"] + ledger.base
    assert ledger.base > held.nbytes
    with (other := Ledger(base=0)).stage("nothing"):
        pass
    record = other.as_dict()["nothing"]
    assert record["peak_above_bytes"] == record["peak_rss_bytes"] > 50 * MIB


def test_a_sleeping_stage_leaves_the_processors_idle_and_a_busy_one_does_not():
    ledger = Ledger()
    with ledger.stage("sleep"):
        time.sleep(0.2)
    with ledger.stage("work"):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
    stages = ledger.as_dict()
    assert stages["sleep"]["idle_share"] > 0.8
    busy = 0.2 / (stages["work"]["seconds"] * default_workers())
    assert stages["work"]["idle_share"] <= 1 - busy + 1e-4


def test_the_sampler_tells_its_own_cost():
    ledger = Ledger(interval=0.001)
    assert ledger.sampler() == {"cpu_seconds": 0, "share": 0}
    with ledger.stage("sleep"):
        time.sleep(0.3)
    cost = ledger.sampler()
    assert 0 < cost["cpu_seconds"] <= ledger.as_dict()["sleep"]["cpu_seconds"] + 1e-3
    assert 0.2 * cost["cpu_seconds"] < cost["share"] * 0.3 < 1.1 * cost["cpu_seconds"]


def test_where_peaks_are_reset_nothing_is_sampled():
    if not reset_peak_rss():
        pytest.skip("the system forbids resetting the peak")
    ledger = Ledger(interval=0.001, reset_peak=True)
    with ledger.stage("sleep"):
        time.sleep(0.05)
    assert ledger.sampler()["cpu_seconds"] == 0
    assert ledger.as_dict()["sleep"]["peak_rss_bytes"] > 10 * MIB


def test_parts_add_up_over_threads_and_other_processes_have_their_stages():
    ledger, other = Ledger(), Ledger()
    assert Laps("read").seconds == {"read": 0.0}
    for stage in (ledger, other):
        stage.split("network", {"read": 1.0, "paint": 0.5})
    ledger.split("network", {"read": 0.25})
    other.add("updates", operations=7)
    assert ledger.as_dict()["network"]["thread_seconds"] == {"read": 1.25, "paint": 0.5}
    found = {"updates": other.as_dict()["updates"]}
    ledger.take(found)
    assert list(ledger.as_dict()) == ["network", "updates"]
    assert ledger.as_dict()["updates"] == found["updates"]
    assert found["updates"]["thread_seconds"] is None


def test_copies_between_host_and_device_are_counted():
    """The device `meta` stands in: tensors go there, though nothing is copied."""
    import torch

    cpu, device = torch.device("cpu"), torch.device("meta")
    before = counters.used()
    there = counters.moved(torch.zeros(1000, dtype=torch.float64), device)
    counters.moved(there, device)
    counters.moved(torch.zeros(5), cpu)
    spent = counters.used() - before
    assert (there.device, spent.host_to_device_bytes) == (device, 8000)
    assert (spent.device_to_host_bytes, spent.copy_seconds, spent.device_seconds) == (0, 0.0, 0.0)


class Clock:
    """A device whose events are milliseconds apart as told."""

    def __init__(self):
        self.now, self.peak, self.reset = 0.0, 0, 0
        clock = self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self, stream):
                self.at = clock.now

            def synchronize(self):
                pass

            def query(self):
                return True

            def elapsed_time(self, end):
                return end.at - self.at

        def reset(_device):
            clock.peak, clock.reset = 0, clock.reset + 1

        self.names = {
            "Event": Event,
            "current_stream": lambda _device: None,
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 1,
            "max_memory_allocated": lambda _device: clock.peak,
            "max_memory_reserved": lambda _device: 2 * clock.peak,
            "reset_peak_memory_stats": reset,
        }


def test_a_device_has_peaks_and_idle_time_of_its_own(monkeypatch):
    import torch

    clock = Clock()
    for name, value in clock.names.items():
        monkeypatch.setattr(torch.cuda, name, value)
    ledger = Ledger()
    with ledger.stage("outer"):
        clock.peak = 700
        with ledger.stage("inner"):
            assert clock.reset == 2
            clock.peak = 300
            with counters.device_work(torch.device("cuda")):
                clock.now += 40.0
            time.sleep(0.1)
    stages = ledger.as_dict()
    assert [stages[n]["peak_device_bytes"] for n in ("outer", "inner")] == [700, 300]
    assert stages["inner"]["peak_device_reserved_bytes"] == 600
    idle = 1 - 0.04 / stages["inner"]["seconds"]
    assert stages["inner"]["device_idle_share"] == pytest.approx(idle, abs=1e-3)
    assert stages["inner"]["host_to_device_bytes"] == 0
    assert stages["inner"]["host_device_gb_per_second"] is None


def test_events_of_a_device_do_not_pile_up(monkeypatch):
    import torch

    clock = Clock()
    for name, value in clock.names.items():
        monkeypatch.setattr(torch.cuda, name, value)
    before = counters.used()
    for _ in range(3 * counters._MOST_OPEN):
        with counters.device_work(torch.device("cuda")):
            clock.now += 1.0
        assert len(counters._DEVICE._open) <= counters._MOST_OPEN
    spent = (counters.used() - before).device_seconds
    assert spent == pytest.approx(3 * counters._MOST_OPEN / 1000)


def test_without_a_device_its_figures_are_none():
    ledger = Ledger()
    with ledger.stage("nothing"):
        pass
    if counters.has_device():
        pytest.skip("there is a device")
    record = ledger.as_dict()["nothing"]
    keys = [key for key in record if "device" in key]
    assert len(keys) == 6
    assert {record[key] for key in keys} == {None}
