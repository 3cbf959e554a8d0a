# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import io
import os
import stat
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.support import bundle
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import support_bundle


def test_parts_become_one_file_for_its_owner_alone(tmp_path):
    path = str(tmp_path / "kubewright-support-1.tar.gz")
    long_name = "logs/%s/%s/0.log" % ("p" * 80, "c" * 80)
    for host in ("n2", "n1"):
        support_bundle.keep(path, host, base64.b64decode(bundle.archive({"a.txt": host, long_name: "x"}, host)))
    parts = support_bundle.parts(path)
    assert stat.S_IMODE(os.stat(parts).st_mode) == 0o700
    assert {stat.S_IMODE(os.stat(os.path.join(parts, name)).st_mode) for name in os.listdir(parts)} == {0o600}
    assert support_bundle.pack(path, ["line one", "line two"]) == ["n1", "n2"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert not os.path.exists(parts)
    with tarfile.open(path) as tar:
        top = "kubewright-support-1/"
        assert tar.getnames() == [
            top + "report.txt",
            top + "n1/a.txt",
            top + "n1/" + long_name,
            top + "n2/a.txt",
            top + "n2/" + long_name,
        ]
        assert tar.extractfile(top + "report.txt").read() == b"line one\nline two\n"
        assert tar.extractfile(top + "n2/a.txt").read() == b"n2"


def test_without_any_part_there_is_the_report(tmp_path):
    path = str(tmp_path / "x.tar.gz")
    assert support_bundle.pack(path, []) == []
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["x/report.txt"]


def test_a_node_cannot_write_outside_of_the_bundle(tmp_path):
    path, stream = str(tmp_path / "x.tar.gz"), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name in ("../up", "/top", "n1/../../up", "n1/good", "n2/other", "n1//x", "n1/./y", "n1", "n1/a\x1b[2J"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("n1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    support_bundle.keep(path, "n1", stream.getvalue())
    support_bundle.pack(path, [])
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["x/report.txt", "x/n1/good", "x/n1/other"]


def test_a_node_decides_no_mode_and_no_owner(tmp_path):
    path, stream = str(tmp_path / "x.tar.gz"), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        entry = tarfile.TarInfo("n1/tool")
        entry.mode, entry.uid, entry.uname = 0o4755, 7, "somebody"
        tar.addfile(entry, io.BytesIO())
    support_bundle.keep(path, "n1", stream.getvalue())
    support_bundle.pack(path, [])
    with tarfile.open(path) as tar:
        found = tar.getmember("x/n1/tool")
    assert (found.mode, found.uid, found.uname) == (0o600, 0, "")


@pytest.mark.parametrize("damage", ["no archive", "cut short", "too much"])
def test_a_part_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path, monkeypatch, damage):
    path = str(tmp_path / "x.tar.gz")
    good = base64.b64decode(bundle.archive({"a.txt": "x" * 9}, "n2"))
    part = base64.b64decode(bundle.archive({"a.txt": os.urandom(9000).hex(), "b.txt": "y"}, "n1"))
    bad = {"no archive": b"hello", "cut short": part[: len(part) // 2], "too much": part}[damage]
    monkeypatch.setattr(support_bundle, "PART_LIMIT", 1000 if damage == "too much" else 1 << 20)
    support_bundle.keep(path, "n1", bad)
    support_bundle.keep(path, "n2", good)
    assert support_bundle.pack(path, []) == ["n1", "n2"]
    with tarfile.open(path) as tar:
        assert {"x/n1/incomplete.txt", "x/n2/a.txt"} <= set(tar.getnames())
    assert not os.path.exists(path + ".new") and not os.path.exists(support_bundle.parts(path))
