# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import io
import tarfile

from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import MASK
from ansible_collections.kubewright.cluster.plugins.module_utils.support import bundle


def test_every_part_is_masked_before_it_leaves(monkeypatch, tmp_path):
    path = tmp_path / "haproxy.cfg"
    path.write_text("stats auth admin:hidden\n")
    log = tmp_path / "0.log"
    log.write_text("x" * 100000 + "\npassword=hidden\nlast\n")
    monkeypatch.setattr(bundle, "COMMANDS", {"host/a.txt": "echo token=hidden", "host/b.txt": "no-such-program-here"})
    monkeypatch.setattr(bundle, "FILES", (str(path),))
    monkeypatch.setattr(bundle, "CONTAINER_LOGS", str(log))
    monkeypatch.setattr(bundle, "objects", lambda: {"api/pods.json": '{"token": "hidden"}'})
    parts = bundle.gather(True)
    assert "hidden" not in "".join(parts.values())
    assert parts["host/a.txt"] == "$ echo token=%s\ntoken=%s\n" % (MASK, MASK)
    assert "No such file" in parts["host/b.txt"]
    assert parts["files%s" % path] == "stats auth %s\n" % MASK
    logs = next(text for name, text in parts.items() if name.startswith("logs/"))
    assert logs.endswith("last\n") and len(logs) < bundle.CONTAINER_LOG_LIMIT + 100
    assert "api/pods.json" not in bundle.gather(False)


def test_the_runtime_of_the_node_is_asked(monkeypatch):
    monkeypatch.setattr(bundle.paths, "here", bundle.paths.Kubeadm)
    assert bundle.runtime_commands()["runtime/pods.txt"].startswith("crictl --runtime-endpoint unix:///run/containerd/")
    monkeypatch.setattr(bundle.paths, "here", bundle.paths.K3s)
    assert bundle.runtime_commands()["runtime/pods.txt"].startswith(
        "/usr/local/bin/k3s crictl --runtime-endpoint unix:///run/k3s/"
    )


def test_objects_lose_what_may_hold_a_secret():
    pod = {
        "metadata": {
            "managedFields": [1],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hidden", "kept": "yes"},
        },
        "spec": {
            "containers": [
                {"env": [{"name": "A", "value": "hidden"}, {"name": "B", "valueFrom": {"fieldRef": {}}}], "image": "x"}
            ]
        },
        "env": "not a list",
    }
    assert bundle.stripped({"items": [pod]}) == {
        "items": [
            {
                "metadata": {"annotations": {"kept": "yes"}},
                "spec": {
                    "containers": [{"env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": {}}}], "image": "x"}]
                },
                "env": "not a list",
            }
        ]
    }


def test_secrets_are_never_asked_for():
    assert not any("secret" in path for path in bundle.OBJECTS.values())


def test_the_parts_become_an_archive():
    data = base64.b64decode(bundle.archive({"host/a.txt": "ä\n"}, "n1"))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, oct(member.mode)) == ("n1/host/a.txt", "0o600")
        assert tar.extractfile(member).read().decode() == "ä\n"
