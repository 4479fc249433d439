"""From errors to exit codes, without a process of its own."""

from __future__ import annotations

import errno
import importlib.util
import inspect
import json
import signal
import sys

import numpy as np
import pytest
import typer
import zarr

from gnnseg import errors
from gnnseg.cli.doctor import examine
from gnnseg.cli.guard import guarded, report, set_verbosity
from gnnseg.cli.info import describe_output
from gnnseg.cli.options import whole
from gnnseg.cli.segment import parse_roi
from gnnseg.progress import SHOW, progress_bar


@pytest.fixture(autouse=True)
def _no_verbosity(monkeypatch):
    monkeypatch.setenv("GNNSEG_TRACEBACK", "")  # which is undone, whatever sets it
    token = SHOW.set("bars")
    yield
    SHOW.reset(token)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.InputError("x"), 3),
        (errors.MissingInputError("x"), 3),
        (errors.StateError("x"), 4),
        (errors.MemoryBudgetError("x"), 5),
        (errors.KilledError("x"), 5),
        (errors.DiskError("x"), 6),
        (MemoryError(), 5),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), 5),
        (OSError(errno.ENOSPC, "No space left on device"), 6),
        (PermissionError(errno.EACCES, "Permission denied"), 6),
        (OSError(errno.EIO, "Input/output error"), 6),
        (OSError(errno.ESTALE, "Stale file handle"), 6),
        (OSError(errno.EMFILE, "Too many open files"), 6),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 5),
        (OSError(errno.EBADF, "Bad file descriptor"), 1),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 1),
        (OSError("without a number"), 1),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("division by zero"), 1),
        (SystemExit(7), 7),
    ],
)
def test_exit_codes(error, code):
    assert report(error) == code


def test_an_unexpected_error_is_one_line_that_tells_how_to_see_more(capsys):
    report(ValueError("two\nlines"))
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "ValueError: two lines" in message
    assert "GNNSEG_TRACEBACK" in message


def test_what_the_system_refuses_is_told_in_its_words_and_is_no_bug(capsys):
    report(PermissionError(errno.EACCES, "Permission denied", "out/done"))
    message = capsys.readouterr().err
    assert "Permission denied: 'out/done'" in message
    assert "bug" not in message


@pytest.mark.parametrize("text", ["9" * 5000, "0:10,0:" + "9" * 5000])
def test_numbers_of_thousands_of_digits_are_usage_errors(text):
    with pytest.raises((errors.UsageError, typer.BadParameter)) as error:
        (parse_roi if ":" in text else whole(1))(text)
    assert len(str(error.value)) < 200


def test_a_pytorch_that_cannot_be_loaded_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    found = examine()
    assert found["ready"] is False
    assert "torch" in found["cuda"]["error"]


def test_what_a_damaged_store_holds_is_an_input_error(tmp_path):
    group = zarr.open_group(tmp_path / "o.zarr", mode="w", attributes={"gnnseg": {"kind": "x"}})
    group.create_array("a", shape=(8, 8), chunks=(8, 8), dtype=np.uint8)
    assert describe_output(tmp_path / "o.zarr")["arrays"]["a"]["shape"] == [8, 8]
    about = json.loads((tmp_path / "o.zarr/a/zarr.json").read_text())
    (tmp_path / "o.zarr/a/zarr.json").write_text(json.dumps({**about, "shape": 8}))
    with pytest.raises(errors.InputError, match=r"o\.zarr"):
        describe_output(tmp_path / "o.zarr")


def test_sigterm_interrupts_and_has_its_own_code(capsys):
    cleaned = []

    def command():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit) as stop:
        guarded(command, resumes=True)()
    assert stop.value.code == 143
    assert cleaned
    assert capsys.readouterr().err == "interrupted: the same command goes on from here\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_ends_what_a_script_runs_in_the_background():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells start it
    try:
        with pytest.raises(SystemExit) as stop:
            guarded(lambda: signal.raise_signal(signal.SIGTERM))()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == 143


def test_a_caller_that_handles_sigterm_keeps_it():
    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append(True))
    try:
        guarded(lambda: signal.raise_signal(signal.SIGTERM))()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [True]


def test_verbose_shows_the_traceback(capsys):
    def command():
        raise errors.InputError("broken")

    with pytest.raises(SystemExit) as stop:
        guarded(command)(verbose=True)
    assert stop.value.code == 3
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("error: broken\n")


@pytest.mark.parametrize(
    ("resumes", "overwrite", "told"),
    [
        (True, False, "interrupted: the same command goes on from here\n"),
        (True, True, "interrupted: the same command without --overwrite goes on from here\n"),
        (False, True, "interrupted\n"),
    ],
)
def test_an_interrupt_tells_what_goes_on(capsys, resumes, overwrite, told):
    def command(*, overwrite: bool) -> None:
        assert overwrite in (True, False)
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        guarded(command, resumes=resumes, anew="overwrite")(overwrite=overwrite)
    assert stop.value.code == 130
    assert capsys.readouterr().err == told


def test_a_guarded_command_keeps_its_parameters():
    def command(path: str, *, step: int = 3) -> None:
        assert (path, step) == ("a", 3)

    guard = guarded(command)
    names = list(inspect.signature(guard).parameters)
    assert names == ["path", "step", "verbose", "quiet"]
    guard(path="a", step=3, quiet=True)
    assert SHOW.get() == "nothing"


@pytest.mark.parametrize("verbose", [False, True])
def test_progress_goes_to_a_pipe_only_when_more_is_asked_for(verbose, monkeypatch, capsys):
    monkeypatch.setattr("gnnseg.progress.LINE_SECONDS", 0.0)
    set_verbosity(verbose=verbose, quiet=False)
    with progress_bar("work", 2) as bar:
        bar.advance()
    assert ("work: 1 of 2" in capsys.readouterr().err) == verbose
