"""The same comparison again: what is done, what is done again, and what is refused."""

from __future__ import annotations

import pytest

from gnnseg.compare import compare, make_config
from gnnseg.compare.folder import Folder
from gnnseg.compare.run import plan
from gnnseg.errors import StateError, UsageError


def test_the_same_comparison_again_does_nothing(again, settings, execute):
    summary = compare(make_config(settings()), again, execute=execute)
    assert execute.names == []
    assert len(summary["accuracy"]) == 2
    assert all(cell["done"] for cell in plan(make_config(settings()), again))


def test_what_is_done_needs_no_machine_that_can_do_it(again, settings, execute, names, monkeypatch):
    def refuse(_settings):
        raise UsageError("this PyTorch sees no GPU")

    monkeypatch.setattr("gnnseg.compare.run.check_start", refuse)
    compare(make_config(settings()), again, execute=execute)
    assert not execute.names
    (again / "cells" / f"{names[2]}.json").unlink()
    with pytest.raises(UsageError, match="model published: this PyTorch sees no GPU"):
        compare(make_config(settings()), again, execute=execute)


def test_what_is_lost_or_cut_off_is_done_again(again, settings, execute, names):
    (again / "cells" / f"{names[1]}.json").unlink()
    (again / "cells" / f"{names[7]}.json").write_text('{"format_version": 1}')
    (again / "cells" / f"{names[8]}.json").write_text('{"status": "do')
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [names[1], *names[7:]]


def test_results_of_other_settings_are_kept_unless_told_otherwise(again, settings, execute, names):
    changed = settings()
    changed["models"][0]["training"]["epochs"] = 1
    before = {path: path.read_bytes() for path in again.rglob("*.json")}
    for act in (compare, plan):
        with pytest.raises(StateError, match=f"has a result of {names[0]} with other settings"):
            act(make_config(changed), again)
    planned = plan(make_config(changed), again, overwrite=True)
    assert [cell["cell"] for cell in planned if cell["done"]] == [
        name for name in names if "perceptron" not in name
    ]
    assert {path: path.read_bytes() for path in again.rglob("*.json")} == before
    compare(make_config(changed), again, execute=execute, overwrite=True)
    assert execute.names == [name for name in names if "perceptron" in name]


def test_a_comparison_may_grow(again, settings, execute):
    more = settings()
    more["models"].append({**more["models"][0], "name": "another"})
    compare(make_config(more), again, execute=execute)
    assert execute.names
    assert all("another" in name for name in execute.names)


def test_a_folder_of_another_format_is_left_alone(again, settings):
    (again / "comparison.json").write_text('{"kind": "comparison", "format_version": 99}')
    with pytest.raises(StateError, match="the format 99"):
        compare(make_config(settings()), again)


def test_what_another_model_gave_is_done_again(again, settings, execute, names, record):
    found = record(again, names[0])
    Folder(again).write(names[0], {**found, "model_id": "that of another training"})
    compare(make_config(settings()), again, execute=execute)
    assert execute.names == [names[1], names[7]]


def test_after_an_interruption_the_rest_is_done(settings, execute, tmp_path, names):
    def stop(cell, folder):
        if len(execute.names) == 3:
            raise KeyboardInterrupt
        return execute(cell, folder)

    config = make_config(settings(segment={}))
    with pytest.raises(KeyboardInterrupt):
        compare(config, tmp_path / "out", execute=stop)
    assert [cell["done"] for cell in plan(config, tmp_path / "out")] == [True] * 3 + [False]
    compare(config, tmp_path / "out", execute=execute)
    assert execute.names == names[:4]


def test_a_folder_of_something_else_is_not_touched(settings, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for act in (compare, plan):
        with pytest.raises(StateError, match="no earlier comparison"):
            act(make_config(settings()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
