"""The README: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def readme(repo_root):
    return (repo_root / "README.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_python_runs(readme, repo_root, tmp_path):
    (code,) = blocks(readme, "python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(repo_root), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "128 128 uint8"
    assert lines[1] == "256 superpixels"
    assert 0.5 < float(lines[-1].removeprefix("mIoU ")) <= 1
    assert (tmp_path / "labels.zarr").is_dir()


def test_the_commands_and_their_options_exist(readme):
    from typer.testing import CliRunner

    from gnnseg.cli.app import app

    console = "".join(blocks(readme, "console"))
    commands = re.findall(r"^\$ gnnseg (\w+)(.*)$", console, re.MULTILINE)
    assert len(commands) >= 5
    for verb, rest in commands:
        shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120"}).output
        for option in re.findall(r"(?<!\w)--?[a-z-]+", rest):
            assert option in shown, (verb, option)


def test_make_has_what_the_readme_names(readme, repo_root):
    targets = re.findall(r"^\$ make (\w+)$", "".join(blocks(readme, "console")), re.MULTILINE)
    assert targets == ["demo", "test"]
    makefile = (repo_root / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_links_lead_to_files(readme, repo_root):
    links = re.findall(r"\]\(([^)#]+)\)", readme)
    assert len(links) >= 4
    assert [link for link in links if not (repo_root / link).exists()] == []


def test_the_picture_is_small(repo_root):
    assert (repo_root / "docs" / "images" / "demo.png").stat().st_size < 300_000


def test_there_are_places_for_results(readme, repo_root):
    details = (repo_root / "docs" / "results.md").read_text(encoding="utf-8")
    assert readme.count("<!-- results -->") == details.count("<!-- results -->") == 2
