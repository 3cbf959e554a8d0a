# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""files: content, mode, what was there before, check mode, diff, failures, a damaged record."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import data_places, services
from ansible_collections.kubewright.cluster.plugins.modules import files


@pytest.fixture
def put(run_module, record, me):
    return lambda *entries, **more: run_module(files, files=[{**me, **entry} for entry in entries], **more)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_files_and_directories_are_made_once(put, record, tmp_path):
    one, two = (
        {"path": str(tmp_path / "a/b/one"), "content": "1\n"},
        {"path": str(tmp_path / "c"), "state": "directory", "mode": "0700"},
    )
    first = put(one, two)
    assert first["changed"] and first["changed_paths"] == [one["path"], two["path"]]
    assert (tmp_path / "a/b/one").read_text() == "1\n" and mode(one["path"]) == 0o644 and mode(two["path"]) == 0o700
    assert record()["files"] == {one["path"]: {"backup": None}}
    assert {str(tmp_path / name) for name in ("a", "a/b", "c")} <= set(record()["directories"])
    second = put(one, two)
    assert not second["changed"] and second["changed_paths"] == [] and second["diff"] == []


def test_a_directory_of_ours_gets_its_mode_whatever_the_umask_is(put, tmp_path):
    entry = {"path": str(tmp_path / "c"), "state": "directory", "mode": "0755"}
    former = os.umask(0o077)
    try:
        assert put(entry)["changed"] and mode(entry["path"]) == 0o755
        os.chmod(entry["path"], 0o700)
        assert put(entry)["changed"] and mode(entry["path"]) == 0o755
    finally:
        os.umask(former)
    (tmp_path / "theirs").mkdir(mode=0o700)
    assert not put({**entry, "path": str(tmp_path / "theirs")})["changed"]


def test_what_a_killed_run_left_beside_a_file_is_removed(put, tmp_path):
    for name, age in ((".kubewright-old", 3600), (".kubewright-new", 0), ("theirs", 3600)):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    put({"path": str(tmp_path / "one"), "content": "1\n"})
    assert {".kubewright-new", "theirs"} <= set(os.listdir(tmp_path)) and ".kubewright-old" not in os.listdir(tmp_path)


def test_what_is_in_data_directories_is_recorded_before_the_service_starts(put, record, tmp_path, monkeypatch):
    monkeypatch.setattr(services.Systemd, "path", staticmethod(lambda name: "%s/units/%s" % (tmp_path, name)))
    monkeypatch.setattr(data_places, "of_service", lambda name: [str(tmp_path / part) for part in ("etcd", "pki")])
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_text("theirs")
    unit = {"path": str(tmp_path / "units/kubelet"), "content": "x"}
    put(unit, check=True)
    put({"path": str(tmp_path / "other"), "content": "x"})
    assert record()["data"] == {}
    put(unit)
    known = {str(tmp_path / "etcd"): {"before": []}, str(tmp_path / "pki"): {"before": ["ca.crt"]}}
    assert record()["data"] == known
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd/member").write_text("ours by now")
    put({**unit, "content": "changed"})
    assert record()["data"] == known


def test_check_mode_says_the_same_and_writes_nothing(put, tmp_path):
    entry = {"path": str(tmp_path / "a/one"), "content": "1\n"}
    checked = put(entry, check=True)
    assert checked["changed_paths"] == [entry["path"]] and not os.listdir(tmp_path)
    assert put(entry)["changed_paths"] == checked["changed_paths"]


def test_mode_and_content_are_compared(put, tmp_path):
    entry = {"path": str(tmp_path / "one"), "content": "1\n"}
    put(entry)
    assert put({**entry, "mode": "0664"})["changed"] and mode(entry["path"]) == 0o664
    changed = put({**entry, "content": "2\n", "mode": "0664"})
    assert changed["diff"] == [
        {"before_header": entry["path"], "after_header": entry["path"], "before": "1\n", "after": "2\n"}
    ]


def test_a_secret_is_in_no_diff(put, tmp_path):
    entry = {"path": str(tmp_path / "one"), "content": "hunter2", "secret": True}
    assert "hunter2" not in str(put(entry)) and (tmp_path / "one").read_text() == "hunter2"
    changed = put({**entry, "content": "hunter3"})
    assert "hunter" not in str(changed) and changed["diff"][0]["before"] == "secret, not shown\n"


def test_what_was_there_before_comes_back(put, record, tmp_path):
    path = tmp_path / "one"
    path.write_text("theirs")
    put({"path": str(path), "content": "ours"})
    put({"path": str(path), "content": "ours again"})
    assert path.read_text() == "ours again"
    gone = put({"path": str(path), "state": "absent"})
    assert gone["changed"] and path.read_text() == "theirs" and record()["files"] == {}
    assert not os.listdir(tmp_path / "own/before")
    assert not put({"path": str(path), "state": "absent"})["changed"] and path.read_text() == "theirs"


def test_a_link_of_the_users_is_replaced_and_comes_back(put, record, tmp_path):
    """Also where the file that it leads to is as ours would be."""
    path, target = tmp_path / "one", tmp_path / "theirs"
    target.write_text("ours")
    path.symlink_to(target)
    assert put({"path": str(path), "content": "ours"})["changed"] and not path.is_symlink()
    assert put({"path": str(path), "content": "changed"})["changed"] and target.read_text() == "ours"
    assert put({"path": str(path), "state": "absent"})["changed"]
    assert path.is_symlink() and path.read_text() == "ours"


def test_a_removal_that_was_killed_is_finished(put, record, tmp_path):
    path = tmp_path / "one"
    path.write_text("theirs")
    put({"path": str(path), "content": "ours"})
    backup = record()["files"][str(path)]["backup"]
    os.replace(backup, path)  # restored, and killed before the record was written
    put({"path": str(path), "state": "absent"})
    assert path.read_text() == "theirs" and record()["files"] == {}


def test_a_file_of_others_is_not_removed(put, tmp_path):
    (tmp_path / "one").write_text("theirs")
    assert not put({"path": str(tmp_path / "one"), "state": "absent"})["changed"] and (tmp_path / "one").exists()


def test_every_wrong_entry_is_named_and_nothing_written(put, tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "file").write_text("x")
    failed = put(
        {"path": "relative", "content": "x"},
        {"path": str(tmp_path / "none")},
        {"path": str(tmp_path / "place"), "content": "x"},
        {"path": str(tmp_path / "file"), "state": "directory"},
        {"path": str(tmp_path / "mode"), "content": "x", "mode": "rw"},
        {"path": str(tmp_path / "owner"), "content": "x", "owner": "no-such-user"},
        {"path": str(tmp_path / "fine"), "content": "x"},
    )
    assert failed["failed"] and not (tmp_path / "fine").exists()
    for part in (
        "not an absolute path",
        "has no content",
        "is a directory",
        "exists and is not a directory",
        "'rw'",
        "no-such-user",
    ):
        assert part in failed["msg"]


def test_a_file_that_cannot_be_written_does_not_keep_the_others_back(put, tmp_path):
    (tmp_path / "blocked").write_text("a file where a directory is needed")
    failed = put(
        {"path": str(tmp_path / "blocked/one"), "content": "x"}, {"path": str(tmp_path / "two"), "content": "2"}
    )
    assert failed["failed"] and "blocked/one" in failed["msg"] and (tmp_path / "two").read_text() == "2"


@pytest.mark.parametrize("check", [False, True])
def test_a_damaged_record_stops_it(put, tmp_path, check):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/owned.json").write_text("{")
    failed = put({"path": str(tmp_path / "one"), "content": "x"}, check=check)
    assert failed["failed"] and "owned.json is damaged" in failed["msg"]
    assert not (tmp_path / "one").exists() and (tmp_path / "own/owned.json").read_text() == "{"


def test_directories_that_are_empty_go_with_their_last_file(put, record, tmp_path):
    one, two = str(tmp_path / "certs.d/docker.io/hosts.toml"), str(tmp_path / "certs.d/quay.io/hosts.toml")
    (tmp_path / "certs.d").mkdir()
    (tmp_path / "certs.d/quay.io").mkdir()
    put({"path": one, "content": "1\n"}, {"path": two, "content": "2\n"})
    assert put({"path": one, "state": "absent"}, {"path": two, "state": "absent"})["changed"]
    # What was there before us stays, and what is empty and ours does not.
    assert os.listdir(tmp_path / "certs.d") == ["quay.io"]
    assert record()["files"] == {} and str(tmp_path / "certs.d/docker.io") not in record()["directories"]


def test_a_file_that_is_not_text_comes_as_base64(put, tmp_path):
    content = bytes(range(256))
    entry = {"path": str(tmp_path / "program"), "content": base64.b64encode(content).decode(), "encoding": "base64"}
    entry["mode"] = "0600"
    checked = put(entry, check=True)
    first = put(entry)
    assert first["changed"] and (tmp_path / "program").read_bytes() == content and mode(entry["path"]) == 0o600
    # The diff has the digest in place of the content.
    digest = hashlib.sha256(content).hexdigest()
    assert checked["diff"] == first["diff"] and first["diff"][0]["after"] == "256 bytes, SHA-256 %s\n" % digest
    assert first["diff"][0]["before"] == "" and not put(entry)["changed"]
