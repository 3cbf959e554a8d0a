# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import io
import os
import stat
import tarfile

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
        for name in ("../up", "/top", "n1/../../up", "n1/good"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("n1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    support_bundle.keep(path, "n1", stream.getvalue())
    support_bundle.pack(path, [])
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["x/report.txt", "x/n1/good"]
