"""The folder of a run: who may hold it, and what a new start of the machine leaves of it."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from gnnseg.errors import DiskError, StateError
from gnnseg.pipeline.lock import lock_folder
from gnnseg.pipeline.manifest import Run


def refusing(number):
    def flock(_handle, _operation):
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_system_has_no_locks_a_run_goes_on_with_one_warning(
    tmp_path, monkeypatch, caplog, number
):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    for _ in range(2):
        Run.start(tmp_path / "run", {}).close()
        assert lock_folder(tmp_path / "run") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EAGAIN, StateError), (errno.EACCES, StateError), (errno.EIO, DiskError)],
)
def test_only_a_lock_that_is_held_is_another_process(tmp_path, monkeypatch, number, kind):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(kind):
        lock_folder(tmp_path)


def test_a_lock_that_cannot_be_opened_is_a_disk_error(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(DiskError, match="lock: cannot be written"):
        lock_folder(tmp_path)
