# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what is ours: atomic, kept before the thing itself, backups made once."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import write_atomically
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "BACKUPS", str(tmp_path / "before"))
    return tmp_path


def test_a_missing_record_is_empty(place):
    assert owned.read(str(place / "none")) == {
        "schema": 1,
        "files": {},
        "artifacts": {},
        "directories": [],
        "settings": {},
        "data": {},
        "interfaces": [],
    }


@pytest.mark.parametrize(
    "text",
    ["{", "", "[]", "null", '{"files": []}', '{"artifacts": {"/a": 1}}', '{"settings": "x"}', '{"data": {"/a": {}}}'],
)
def test_a_damaged_record_stops_who_reads_it(place, text):
    (place / "bad").write_text(text)
    with pytest.raises(owned.OwnershipError, match="bad is damaged.*nothing was changed.*Restore"):
        owned.read(str(place / "bad"))
    assert (place / "bad").read_text() == text


def test_a_record_that_cannot_be_read_is_not_an_empty_one(place):
    (place / "bad").mkdir()
    with pytest.raises(owned.OwnershipError, match="Is a directory"):
        owned.read(str(place / "bad"))


def test_a_lock_that_cannot_be_opened_names_the_way_out(place):
    with pytest.raises(owned.OwnershipError, match="ansible_become"):
        owned.lock_node(str(place / "missing/lock"))


def test_a_lock_that_is_not_released_ends_with_its_holder(place):
    held = owned.lock_node(str(place / "lock"))
    with pytest.raises(owned.OwnershipError, match="for 0 s .*/lock, process %d.*run this again" % os.getpid()):
        owned.lock_node(str(place / "lock"), seconds=0)
    held.close()
    owned.lock_node(str(place / "lock"), seconds=0).close()


def test_made_directories_have_their_mode_whatever_the_umask_is(place):
    former = os.umask(0o077)
    try:
        owned.make_directory(str(place / "a/b"), owned.read(str(place / "none")))
    finally:
        os.umask(former)
    assert [os.stat(place / name).st_mode & 0o777 for name in ("a", "a/b")] == [0o755, 0o755]


def test_written_and_read(place):
    record = owned.read(str(place / "x/owned.json"))
    record["files"]["/a"] = {"backup": None}
    owned.write(record, str(place / "x/owned.json"))
    assert owned.read(str(place / "x/owned.json")) == record
    assert os.stat(place / "x/owned.json").st_mode & 0o777 == 0o644


def test_atomic_write_leaves_nothing_on_failure(place):
    with pytest.raises(OSError):
        write_atomically(str(place / "missing/file"), b"x", 0o600)
    write_atomically(str(place / "file"), b"secret", 0o600)
    assert os.stat(place / "file").st_mode & 0o777 == 0o600
    assert os.listdir(place) == ["file"]


def test_former_file_is_kept_once(place):
    (place / "config").write_text("theirs")
    record = owned.read(str(place / "none"))
    owned.back_up_former(str(place / "config"), record)
    (place / "config").write_text("ours")
    owned.back_up_former(str(place / "config"), record)
    with open(record["files"][str(place / "config")]["backup"], encoding="utf-8") as stream:
        assert stream.read() == "theirs"


def test_a_backup_of_a_lost_record_is_not_overwritten(place):
    """Who moved a damaged record away has our file there now, and the user's only in the backup."""
    (place / "config").write_text("theirs")
    owned.back_up_former(str(place / "config"), owned.read(str(place / "none")))
    again = owned.read(str(place / "none"))
    owned.back_up_former(str(place / "config"), again)
    first = again["files"][str(place / "config")]["backup"]
    assert os.listdir(place / "before") == [os.path.basename(first)]
    (place / "config").write_text("ours")
    lost = owned.read(str(place / "none"))
    owned.back_up_former(str(place / "config"), lost)
    second = lost["files"][str(place / "config")]["backup"]
    with open(first, encoding="utf-8") as one, open(second, encoding="utf-8") as two:
        assert (one.read(), two.read()) == ("theirs", "ours")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_that_was_there_before_comes_back_and_its_target_is_left(place, there):
    path, target = place / "config", place / "theirs"
    if there:
        target.write_text("x")
        os.chmod(target, 0o640)
    path.symlink_to(target)
    record = owned.read(str(place / "none"))
    owned.back_up_former(str(path), record)
    owned.back_up_former(str(path), owned.read(str(place / "none")))  # the same link is one backup
    assert len(os.listdir(place / "before")) == 1
    path.unlink()
    path.write_text("ours")
    owned.copy_with_attributes(record["files"][str(path)]["backup"], str(path))
    assert os.readlink(path) == str(target) and (not there or os.stat(target).st_mode & 0o777 == 0o640)


def test_what_a_killed_copy_left_is_replaced(place):
    (place / "source").write_text("theirs")
    (place / ".kubewright-config").symlink_to(place / "source")
    owned.copy_with_attributes(str(place / "source"), str(place / "config"))
    assert (place / "config").read_text() == "theirs" and not (place / "config").is_symlink()
    assert sorted(os.listdir(place)) == ["config", "source"]


def test_a_lock_that_is_held_is_waited_for(place, monkeypatch):
    held = owned.lock_node(str(place / "lock"))
    monkeypatch.setattr(owned.time, "sleep", lambda _seconds: held.close())
    owned.lock_node(str(place / "lock"), seconds=60).close()


@pytest.mark.parametrize("check_mode", [False, True])
def test_changes_hold_the_lock_of_the_node(place, monkeypatch, check_mode):
    monkeypatch.setattr(owned, "LOCK", str(place / "lock"))
    monkeypatch.setattr(owned, "PATH", str(place / "none"))
    with owned.changing(check_mode) as record:
        assert record["files"] == {}
        if check_mode:
            owned.lock_node(seconds=0).close()
        else:
            with pytest.raises(owned.OwnershipError, match="another run"):
                owned.lock_node(seconds=0)
    owned.lock_node(seconds=0).close()


def test_a_copy_that_fails_leaves_nothing_and_the_former_file(place, monkeypatch):
    (place / "source").write_text("new")
    (place / "config").write_text("theirs")
    synced = []
    monkeypatch.setattr(owned.os, "fsync", synced.append)
    owned.copy_with_attributes(str(place / "source"), str(place / "copy"))
    assert len(synced) == 1  # a copy that is not on the disk may be empty after a loss of power

    def full(_source, target, follow_symlinks):
        with open(target, "w", encoding="utf-8") as stream:
            stream.write("ne")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owned.shutil, "copy2", full)
    with pytest.raises(OSError, match="No space"):
        owned.copy_with_attributes(str(place / "source"), str(place / "config"))
    assert sorted(os.listdir(place)) == ["config", "copy", "source"] and (place / "config").read_text() == "theirs"


def test_made_directories_are_noted(place):
    record = owned.read(str(place / "none"))
    owned.make_directory(str(place / "a/b"), record)
    owned.make_directory(str(place / "a/b"), record)
    assert record["directories"] == [str(place / "a"), str(place / "a/b")]
