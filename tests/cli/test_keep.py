"""The folder of `--keep`, without a run."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from gnnseg.cli.keep import check_keep, make_keep, move_scratch
from gnnseg.errors import DiskError, UsageError


@pytest.mark.parametrize("keep", ["o.zarr", "o.zarr/kept", "o.zarr.gnnseg/kept", "."])
def test_it_lies_neither_in_the_output_nor_around_it(tmp_path, keep):
    (tmp_path / "new").mkdir()
    with pytest.raises(UsageError, match="must lie beside"):
        check_keep(tmp_path / "new" / keep, tmp_path / "new" / "o.zarr")
    check_keep(tmp_path / "new" / "kept", tmp_path / "new" / "o.zarr")


def test_it_is_made_at_once(tmp_path):
    make_keep(tmp_path / "a" / "kept")
    assert list((tmp_path / "a" / "kept").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        make_keep(tmp_path / "file" / "kept")


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "o.zarr.gnnseg" / "scratch.zarr"
    folder.mkdir(parents=True)
    (folder / "zarr.json").write_text("{}")
    (tmp_path / "kept").mkdir()
    return folder


def other_disk(monkeypatch):
    rename = Path.rename

    def refused(self, target):
        if self.name == "scratch.zarr":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)


@pytest.mark.parametrize("far", [False, True])
def test_the_scratch_is_moved(tmp_path, scratch, monkeypatch, far):
    if far:
        other_disk(monkeypatch)
    target = move_scratch(tmp_path / "o.zarr", tmp_path / "kept")
    assert [path.name for path in target.iterdir()] == ["zarr.json"]
    assert [path.name for path in target.parent.iterdir()] == ["scratch.zarr"]
    assert not scratch.exists()


def test_a_copy_cut_short_does_not_look_whole(tmp_path, scratch, monkeypatch):
    other_disk(monkeypatch)

    def full(_source, target):
        Path(target).mkdir()
        raise shutil.Error([("a", "b", "No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(DiskError, match="is whole: No space left"):
        move_scratch(tmp_path / "o.zarr", tmp_path / "kept")
    assert not (tmp_path / "kept" / "scratch.zarr").exists()
    assert (scratch / "zarr.json").exists()
