# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""artifacts checks files before it installs them once, records them, and leaves nothing behind on failures."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.modules import artifacts

URL = "https://dl.example.com/v1/tool"


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def mirror(tmp_path):
    """A directory with upstream's layout; returns a function that puts a file there, with its digest beside it."""

    def put(url, data, published=None):
        path = tmp_path / "mirror" / url.split("://")[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        (path.parent / (path.name + ".sha256")).write_text(published or digest(data))

    put.path = str(tmp_path / "mirror")
    return put


@pytest.fixture
def install(run_module, record, mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "ROOM", 1)
    (tmp_path / "bin").mkdir()

    def run(*items, **more):
        return run_module(artifacts, items=list(items), **{"source": mirror.path, **more})

    return run


@pytest.fixture
def tool(tmp_path):
    return {"url": URL, "checksum_url": URL + ".sha256", "version": "v1", "dest": str(tmp_path / "bin/tool")}


def names(tmp_path):
    return sorted(os.listdir(tmp_path / "bin"))


def test_a_program_is_installed_once(install, mirror, tool, record, tmp_path):
    mirror(URL, b"one")
    done = install(tool)
    assert done["changed"] and done["changed_paths"] == [tool["dest"]] and done["artifacts"][0]["status"] == "installed"
    assert os.stat(tool["dest"]).st_mode & 0o777 == 0o755 and names(tmp_path) == ["tool"]
    entry = record()["artifacts"][tool["dest"]]
    assert entry["sha256"] == digest(b"one") and entry["version"] == "v1" and "backup" not in entry
    again = install(tool)
    assert not again["changed"] and again["artifacts"] == [{"url": URL, "status": "up to date"}]


def test_check_mode_says_so_and_installs_nothing(install, mirror, tool, tmp_path):
    mirror(URL, b"one")
    checked = install(tool, check=True)
    assert checked["changed"] and checked["diff"] == [{"before": "", "after": URL + " v1\n"}]
    assert names(tmp_path) == [] and not (tmp_path / "own").exists()


@pytest.mark.parametrize("change", ["changed", "gone", "version"])
def test_what_was_changed_is_installed_again(install, mirror, tool, tmp_path, change):
    mirror(URL, b"one")
    install(tool)
    if change == "version":
        tool = {**tool, "version": "v2"}
    else:
        os.unlink(tool["dest"])
    if change == "changed":
        (tmp_path / "bin/tool").write_text("two")
    assert install(tool)["changed"] and (tmp_path / "bin/tool").read_bytes() == b"one"


def test_another_digest_installs_nothing_at_all(install, mirror, tool, record, tmp_path):
    mirror(URL, b"one")
    mirror(URL + "2", b"two", published="0" * 64)
    other = {"url": URL + "2", "checksum_url": URL + "2.sha256", "version": "v1", "dest": str(tmp_path / "bin/other")}
    failed = install(tool, other)
    assert failed["failed"] and failed["msg"].startswith("Nothing was installed.") and digest(b"two") in failed["msg"]
    assert names(tmp_path) == [] and record()["artifacts"] == {}


def test_every_error_is_named(install, mirror, tool, tmp_path):
    other = {**tool, "url": URL + "2", "checksum_url": URL + "2.sha256", "dest": str(tmp_path / "bin/other")}
    failed = install(tool, other)
    assert failed["failed"] and failed["msg"].count("No such file") == 2 and "kube_artifacts" in failed["msg"]


def test_a_server_that_is_down_is_one_problem_with_the_way_out(install, tool):
    """Fourteen programs of a node made a line of 900 characters without one."""
    items = [{**tool, "url": URL + str(at), "checksum_url": "%s%d.sha256" % (URL, at)} for at in range(3)]
    msg = install(*items, source="http://127.0.0.1:1", retries=1)["msg"]
    assert msg.count("http://127.0.0.1:1/dl.example.com/v1/tool") == msg.count("refused") == 1
    assert "(1 tries), and so for 2 more files from there. Correct kube_artifacts or kube_http_proxy" in msg


def test_a_program_of_others_is_kept_aside_once(install, mirror, tool, record, tmp_path):
    (tmp_path / "bin/tool").write_text("theirs")
    mirror(URL, b"one")
    install(tool)
    backup = record()["artifacts"][tool["dest"]]["backup"]
    mirror(URL, b"two")
    install({**tool, "version": "v2"})
    assert record()["artifacts"][tool["dest"]]["backup"] == backup and record()["files"] == {}
    with open(backup, encoding="utf-8") as stream:
        assert stream.read() == "theirs"


def test_links_are_made_unless_the_node_has_the_command(install, mirror, tool, record, tmp_path):
    mirror(URL, b"one")
    install({**tool, "links": ["other-name-of-tool", "sh"]})
    assert (
        names(tmp_path) == ["other-name-of-tool", "tool"] and os.readlink(tmp_path / "bin/other-name-of-tool") == "tool"
    )
    assert list(record()["files"]) == [str(tmp_path / "bin/other-name-of-tool")]


def archive(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = 1, 0o755
            tar.addfile(entry, io.BytesIO(b"x"))
    return buffer.getvalue()


def test_of_an_archive_only_what_is_wanted_is_installed(install, mirror, record, tmp_path):
    mirror(URL, archive("bin/a", "bin/b", "docs/c"))
    item = {
        "url": URL,
        "checksum_url": URL + ".sha256",
        "version": "v1",
        "unpack": {"dest_dir": str(tmp_path / "bin"), "strip": 1, "only": ["bin/*"]},
    }
    assert install(item)["changed"] and names(tmp_path) == ["a", "b"] and len(record()["artifacts"]) == 2
    assert not install(item)["changed"]


def test_an_archive_that_leads_out_of_its_directory_is_refused(install, mirror, tmp_path):
    mirror(URL, archive("bin/a", "../b"))
    item = {"url": URL, "checksum_url": URL + ".sha256", "version": "v1", "unpack": {"dest_dir": str(tmp_path / "bin")}}
    failed = install(item)
    assert failed["failed"] and names(tmp_path) == [] and not (tmp_path / "b").exists()


def test_items_that_make_no_sense_are_all_named(install, tool):
    failed = install({"url": "a", "version": "1"}, {**tool, "unpack": {"dest_dir": "relative"}})
    assert (
        failed["failed"]
        and "a needs either dest or unpack" in failed["msg"]
        and "a has neither checksum" in failed["msg"]
    )
    assert "is not an absolute path" in failed["msg"]


@pytest.mark.parametrize("check", [False, True])
def test_a_damaged_record_stops_it(install, mirror, tool, tmp_path, check):
    mirror(URL, b"one")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/owned.json").write_text("[]")
    failed = install(tool, check=check)
    assert failed["failed"] and "owned.json is damaged" in failed["msg"] and names(tmp_path) == []


def test_what_a_killed_run_left_is_removed(install, mirror, tool, tmp_path):
    mirror(URL, b"one")
    (tmp_path / "bin/.kubewright-old").write_bytes(b"half")
    os.utime(tmp_path / "bin/.kubewright-old", (0, 0))
    install(tool)
    assert names(tmp_path) == ["tool"]


def test_modes_and_paths_whatever_the_umask_and_the_name_of_the_directory(run_module, record, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "ROOM", 1)
    place = tmp_path / "a mirr\u00f6r/dl.example.com/v1"
    place.mkdir(parents=True)
    (place / "tool").write_bytes(b"one")
    dest = tmp_path / "new dir/\u00fcber/tool"
    former = os.umask(0o077)
    try:
        item = {"url": URL, "checksum": digest(b"one"), "version": "v1", "dest": str(dest)}
        done = run_module(artifacts, items=[item], source=str(tmp_path / "a mirr\u00f6r"))
    finally:
        os.umask(former)
    assert done["changed"] and dest.read_bytes() == b"one"
    for path, mode in ((dest, 0o755), (dest.parent, 0o755), (dest.parent.parent, 0o755)):
        assert os.stat(path).st_mode & 0o777 == mode, path


@pytest.fixture
def beside(install, mirror, tool, tmp_path, monkeypatch):
    """The tool is installed beside; nothing more can be downloaded."""
    monkeypatch.setattr(artifacts.paths, "VERSIONS", str(tmp_path / "opt"))
    mirror(URL, b"two")
    copy = {**tool, "dest": str(tmp_path / "opt/v1/tool")}
    assert install(copy)["changed"]
    (tmp_path / "mirror/dl.example.com/v1/tool").unlink()
    return copy


def test_what_is_beside_is_put_in_place_without_a_download(install, beside, tool, tmp_path):
    done = install(tool, kept=True)
    assert done["changed"] and (tmp_path / "bin/tool").read_bytes() == b"two"
    assert os.access(tool["dest"], os.X_OK) and not (tmp_path / "opt/v1").exists() and names(tmp_path) == ["tool"]
    assert not install(tool, kept=True)["changed"]


def test_what_is_left_beside_by_a_killed_run_is_removed(install, mirror, beside, tool, tmp_path):
    mirror(URL, b"two")
    install(tool)
    assert (tmp_path / "opt/v1/tool").exists()
    assert not install(tool, kept=True)["changed"] and not (tmp_path / "opt/v1").exists()


def test_what_is_not_beside_or_was_changed_there_is_not_installed(install, beside, tool, tmp_path):
    assert "not below" in install(tool | {"version": "v2"}, kept=True)["msg"]
    (tmp_path / "opt/v1/tool").write_bytes(b"bad")
    assert "was changed there" in install(tool, kept=True)["msg"] and names(tmp_path) == []


def test_a_pinned_digest_has_to_be_that_of_the_copy(install, beside, tool):
    assert "not below" in install(tool | {"checksum": "sha256:" + "0" * 64}, kept=True)["msg"]
