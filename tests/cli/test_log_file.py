"""`--log-file`: a line for every event, whatever happens to the command."""

from __future__ import annotations

import logging
import re
import warnings

import pytest

from gnnseg.cli.logfile import log_to
from gnnseg.cli.output import warnings_shown
from gnnseg.log import LOGGER, logged
from gnnseg.progress import progress_bar

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (INFO|WARNING|ERROR) (.+)")
LONG = ["demo", "train", "evaluate", "segment", "superpixels", "graph", "paint", "ceiling"]


def events(path):
    found = [LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(found)
    return [(match[1], match[2]) for match in found]


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(300, 400)


def test_every_long_command_takes_it(gnnseg):
    for verb in LONG:
        assert "--log-file" in gnnseg(verb, "--help").stdout, verb
    assert "--log-file" not in gnnseg("info", "--help").stdout


def test_a_segmentation_logs_every_stage(gnnseg, image, model, tmp_path):
    log = tmp_path / "run.log"
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "o.zarr"]
    plain = gnnseg(*arguments)
    done = gnnseg(*arguments, "--overwrite", "--log-file", log)
    assert done.stderr == plain.stderr
    assert done.stdout.splitlines()[0] == plain.stdout.splitlines()[0]
    lines = [text for _, text in events(log)]
    assert re.match(r"gnnseg \S+: segment .*--log-file", lines[0])
    assert re.match(r"exit code 0 after [\d.]+ s, peak memory [\d.]+ MiB", lines[-1])
    for stage in ("regions", "level_2", "network_down_0", "paint", "finish"):
        start = lines.index(f"{stage}: started")
        ended = [text for text in lines[start:] if text.startswith(f"{stage}: ended after ")]
        assert re.search(r"after [\d.]+ s, peak memory [\d.]+ MiB$", ended[0])
        assert lines.count(f"{stage}: started") == 1


def test_an_error_is_logged_and_a_second_run_is_appended(gnnseg, image, model, tmp_path):
    log = tmp_path / "run.log"
    arguments = ["segment", image, "-m", model, "-o", tmp_path / "o.zarr", "--log-file", log]
    refused = gnnseg(*arguments, "--memory", "64MiB", code=5)
    lines = events(log)
    assert lines[-2][0] == "ERROR"
    assert refused.stderr == f"error: {lines[-2][1]}\n"
    assert lines[-1][1].startswith("exit code 5 ")
    gnnseg(*arguments, "--overwrite")
    assert events(log)[: len(lines)] == lines
    assert events(log)[-1][1].startswith("exit code 0 ")


def test_other_commands_log_their_stages(gnnseg, dataset, model, image, tmp_path):
    log = tmp_path / "run.log"
    gnnseg("evaluate", dataset, "-m", model, "--log-file", log)
    gnnseg("ceiling", dataset, "--steps", "16", "--log-file", log)
    gnnseg("superpixels", image, "-o", tmp_path / "s.zarr", "--log-file", log)
    lines = [text for _, text in events(log)]
    for stage in ("evaluate", "ceiling", "regions"):
        assert f"{stage}: started" in lines
    assert sum(text.startswith("exit code 0") for text in lines) == 3


def test_what_is_no_log_is_never_written_to(gnnseg, image, tmp_path):
    photo = tmp_path / "photo.tif"
    photo.write_bytes(b"II*\0 precious")
    arguments = ["superpixels", image, "-o", tmp_path / "s.zarr", "--log-file"]
    assert "no log of gnnseg" in gnnseg(*arguments, photo, code=4).stderr
    assert photo.read_bytes() == b"II*\0 precious"
    assert "is a folder" in gnnseg(*arguments, tmp_path, code=4).stderr
    assert "cannot be written" in gnnseg(*arguments, tmp_path / "no" / "run.log", code=6).stderr
    assert not (tmp_path / "s.zarr").exists()


def test_warnings_are_logged_and_shown(tmp_path):
    log = tmp_path / "run.log"
    with pytest.warns(UserWarning, match="odd"), log_to(log):
        warnings.warn("odd\npixels", UserWarning, stacklevel=1)
    assert events(log) == [("WARNING", "UserWarning: odd pixels")]
    assert LOGGER.level == logging.NOTSET


def test_a_warning_is_shown_once_and_logged_once(tmp_path, capsys):
    log = tmp_path / "run.log"
    with warnings_shown(), log_to(log):
        LOGGER.warning("few %s", "labels")
        LOGGER.error("said by who reports it")
    with pytest.warns(UserWarning, match="odd"), warnings_shown(), log_to(log):
        warnings.warn("odd", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: few labels\n"
    assert len(events(log)) == 3
    LOGGER.warning("nobody listens")
    assert capsys.readouterr().err == ""


def test_a_bar_inside_a_stage_of_its_name_is_logged_once(caplog):
    with caplog.at_level(logging.INFO, "gnnseg"), logged("paint"), progress_bar("paint", 1):
        pass
    assert [record.message.split(" after")[0] for record in caplog.records] == [
        "paint: started",
        "paint: ended",
    ]


def test_a_stage_that_fails_says_so(caplog):
    with (
        caplog.at_level(logging.INFO, "gnnseg"),
        pytest.raises(KeyError),
        logged("outer"),
        logged("inner"),
    ):
        raise KeyError
    assert [m.split(" after")[0] for m in caplog.messages][2:] == [
        "inner: stopped",
        "outer: stopped",
    ]


def test_progress_is_logged_now_and_then(caplog, monkeypatch):
    monkeypatch.setattr("gnnseg.progress.LINE_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, "gnnseg"), progress_bar("work", 2) as bar:
        bar.advance(note="half")
    assert re.match(r"work: 1 of 2, [\d.]+ [MG]iB half", caplog.messages[1])
