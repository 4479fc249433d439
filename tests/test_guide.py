"""The guide: its commands and its Python run, page by page, on small stand-ins."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from gnnseg import errors
from gnnseg.blocks import Window
from gnnseg.cli import guard
from gnnseg.datasets.synthetic import SyntheticSource
from gnnseg.io import write_rgb_png

PAGES = [
    "install", "first-segmentation", "dataset", "training", "labelling-little", "huge-images",
    "stacks", "outputs", "stages", "comparing", "python", "troubleshooting",
]  # fmt: skip


@pytest.fixture(scope="module")
def guide(repo_root):
    return repo_root / "docs" / "guide"


def text_of(guide, page):
    return (guide / f"{page}.md").read_text(encoding="utf-8")


def blocks(text, *languages):
    """Blocks of code as (language, code), in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(language, code) for language, code in found if language in languages]


def commands(code):
    return [shlex.split(line[2:]) for line in code.splitlines() if line.startswith("$ gnnseg ")]


def write_stand_ins(folder):
    """A small dataset, picture, mask and settings of the names that the guide uses."""
    import tifffile
    import zarr

    for part in ("images", "labels"):
        (folder / "my-set" / part).mkdir(parents=True)
    for seed in range(6):
        source = SyntheticSource(160, 192, seed)
        pixels = np.ascontiguousarray(np.moveaxis(source.read(source.bounds), 0, -1))
        write_rgb_png(folder / "my-set" / "images" / f"{seed}.png", pixels)
        write_rgb_png(folder / "my-set" / "labels" / f"{seed}.png", source.labels())
    (folder / "my-set" / "train.txt").write_text("0\n1\n2\n3\n")
    (folder / "my-set" / "val.txt").write_text("4\n")
    (folder / "my-set" / "test.txt").write_text("5\n")
    source = SyntheticSource(420, 520, 9)
    pixels = np.moveaxis(source.read(source.bounds), 0, -1)
    tifffile.imwrite(folder / "slide.tif", pixels, photometric="rgb", tile=(128, 128))
    planes = [SyntheticSource(90, 110, 9).read(Window(0, 90, 0, 110))[0] for _ in range(6)]
    zarr.create_array(
        str(folder / "stack.zarr"), data=np.stack(planes), dimension_names=list("zyx")
    )
    mask = np.zeros((420, 520), np.uint8)
    mask[100:, 50:] = 255
    write_rgb_png(folder / "mask.png", mask)
    scribbles = np.full((420, 520), 255, np.uint8)
    scribbles[200:203, 100:400] = 1
    write_rgb_png(folder / "scribbles.png", scribbles)


def run_command(arguments, folder, root):
    """Run a command in a process like this one; trainings are short, comparisons only planned."""
    short = {"train": ["--epochs", "1", "--overwrite"], "compare": ["--dry-run"]}
    command = [sys.executable, "-m", "gnnseg", *arguments, *short.get(arguments[0], [])]
    return run(command, folder, root)


def run(command, folder, root):
    env = {"PYTHONPATH": str(root), "PATH": "", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    write_stand_ins(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(guide, repo_root, desk, page):
    """In order: pages build upon those before them."""
    found = blocks(text_of(guide, page), "console", "python", "toml")
    for language, group in itertools.groupby(found, key=lambda block: block[0]):
        code = "".join(text for _, text in group)
        if language == "toml":
            (desk / "settings.toml").write_text(code)
        elif language == "python":
            run([sys.executable, "-c", code], desk, repo_root)
        else:
            for command in commands(code):
                if command[1] != "demo":
                    run_command(command[1:], desk, repo_root)


def test_every_option_exists(guide):
    from typer.testing import CliRunner

    from gnnseg.cli.app import app

    every = [blocks(text_of(guide, page), "console") for page in PAGES]
    found = [c for _, code in itertools.chain(*every) for c in commands(code)]
    assert {"demo", "train", "segment", "superpixels", "graph", "paint"} <= {c[1] for c in found}
    for _, verb, *rest in found:
        shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120"}).output
        for option in (word for word in rest if re.fullmatch(r"--?[a-z-]+", word)):
            assert option in shown, (verb, option)


def test_options_named_in_the_text_exist(guide):
    from typer.testing import CliRunner

    from gnnseg.cli.app import app

    verbs = [
        "segment",
        "train",
        "superpixels",
        "evaluate",
        "ceiling",
        "paint",
        "demo",
        "suggest",
        "compare",
    ]
    runs = (CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120"}) for verb in verbs)
    known = "".join(run.output for run in runs)
    for page in PAGES:
        for option in re.findall(r"`(--[a-z-]+)", text_of(guide, page)):
            assert option in known, (page, option)


def test_links_lead_to_files(guide, repo_root):
    assert "docs/guide/README.md" in (repo_root / "README.md").read_text(encoding="utf-8")
    for page in guide.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (guide / link).exists(), (page.name, link)
    index = (guide / "README.md").read_text(encoding="utf-8")
    assert {page.name for page in guide.glob("*.md")} == {"README.md"} | {f"{p}.md" for p in PAGES}
    assert re.findall(r"^\| \[(.+)\.md\]", index, re.MULTILINE) == PAGES


def test_exit_codes_and_messages_are_those_of_the_program(guide, repo_root):
    text = text_of(guide, "troubleshooting")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    found = {kind.exit_code for kind in kinds if hasattr(kind, "exit_code")}
    assert found | {0, guard.INTERRUPTED, guard.BROKEN_PIPE, guard.TERMINATED} == codes
    files = [*(repo_root / "gnnseg").rglob("*.py"), *(repo_root / "datasets").rglob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    joined = re.sub(r'"\s*f?"', "", source)
    messages = re.findall(r"^\| `([^`]+)` \|", text.split("## By message")[1], re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        assert message in joined or message == "No space left", message
