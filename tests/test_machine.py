"""What a result was measured on."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from gnnseg import machine
from gnnseg.machine import machine_record


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit, and that commit."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("there is no git")

    def run(*arguments):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = [git, "-C", str(tmp_path), *who, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("init")
    run("commit", "--allow-empty", "-m", "first")
    return tmp_path, run("log", "-1", "--format=%H"), run


def test_a_record_tells_the_commit_of_a_checkout_and_of_its_worktrees(checkout, monkeypatch):
    root, commit, run = checkout
    run("worktree", "add", "tree")
    for folder in (root, root / "tree"):
        monkeypatch.setattr(machine, "ROOT", folder)
        record = machine_record()
        assert record["commit"] == commit
        assert json.loads(json.dumps(record)) == record


def test_elsewhere_there_is_none_and_no_error(checkout, monkeypatch):
    root, _, _ = checkout
    (root / "lib" / "broken" / ".git").mkdir(parents=True)
    for folder in (root / "lib", root / "lib" / "broken"):
        monkeypatch.setattr(machine, "ROOT", folder)
        assert machine_record()["commit"] is None
    monkeypatch.setattr(machine, "ROOT", root)
    monkeypatch.setenv("PATH", "")
    assert machine_record()["commit"] is None
