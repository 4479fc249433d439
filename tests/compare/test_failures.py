"""What comes to no end: on record, unless the whole must stop."""

from __future__ import annotations

import signal

import pytest

from gnnseg.compare import compare, make_config
from gnnseg.compare.folder import Folder
from gnnseg.errors import DiskError, StateError
from gnnseg.report.figures import TOO_LARGE


def test_what_was_killed_is_on_record_and_the_rest_goes_on(again, settings, execute, names, record):
    for name in (*names[:2], names[7]):
        (again / "cells" / f"{name}.json").unlink()

    def kill(cell, folder):
        return -signal.SIGKILL if cell.name == names[7] else execute(cell, folder)

    config = make_config(settings())
    summary = compare(config, again, execute=kill)
    assert execute.names == names[:2]
    (row,) = [row for row in summary["failures"] if row["status"] == "killed"]
    assert (row["cell"], "SIGKILL" in row["reason"]) == (names[7], True)
    assert record(again, names[7])["status"] == "killed"
    compare(config, again, execute=kill)
    assert execute.names == names[:2]
    compare(config, again, execute=execute, retry=True)
    assert execute.names == [*names[:2], names[7]]


def test_what_is_done_stays_done_though_its_process_dies_at_the_end(
    again, settings, execute, names, record
):
    (again / "cells" / f"{names[1]}.json").unlink()

    def die(cell, folder):
        execute(cell, folder)
        return -signal.SIGSEGV

    summary = compare(make_config(settings()), again, execute=die)
    assert execute.names == [names[1]]
    assert record(again, names[1])["status"] == "done"
    assert len(summary["accuracy"]) == 2


def test_an_earlier_result_is_not_taken_for_that_of_a_process_that_dies(
    again, settings, names, record
):
    """Other signals than SIGKILL say nothing of memory."""
    (again / "models" / "made-published-0.safetensors").unlink()
    folder = Folder(again)
    folder.write(names[1], {**record(again, names[1]), "status": "failed", "reason": "before"})

    def die(cell, folder):
        folder.log(cell).write_text("it was raining\n")
        return -signal.SIGSEGV

    summary = compare(make_config(settings()), again, execute=die, retry=True)
    for name in (names[1], names[2]):
        found = record(again, name)
        assert (found["status"], found["reason"]) == (
            "crashed",
            "ended by SIGSEGV: it was raining",
        )
    assert "crashed" not in TOO_LARGE
    assert summary["accuracy"] == []


def test_a_training_that_fails_leaves_out_what_needs_its_model(again, settings, names, record):
    (again / "cells" / f"{names[2]}.json").unlink()

    def fail(cell, folder):
        folder.log(cell).write_text("it was raining\n")
        return 1

    summary = compare(make_config(settings()), again, execute=fail)
    assert "it was raining" in record(again, names[2])["reason"]
    assert [row["model"] for row in summary["accuracy"]] == ["perceptron"]
    assert [row["cell"] for row in summary["failures"]] == [names[2], *names[5:7]]


def test_errors_inside_a_cell_are_its_result(again, settings, execute, names, record):
    (again / "models" / "made-published-0.safetensors").write_bytes(b"broken")
    (again / "cells" / f"{names[3]}.json").unlink()
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [names[3]]
    assert record(again, names[3])["status"] == "failed"
    assert "safetensors" in record(again, names[3])["reason"]


@pytest.mark.parametrize(("code", "kind"), [(6, DiskError), (4, StateError)])
def test_a_full_disk_and_a_wrong_state_stop_the_whole(settings, tmp_path, code, kind, names):
    with pytest.raises(kind, match=names[0]):
        compare(make_config(settings()), tmp_path / "out", execute=lambda *_: code)
    assert not list((tmp_path / "out" / "cells").iterdir())
