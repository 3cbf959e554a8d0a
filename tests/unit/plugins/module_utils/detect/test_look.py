# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole looks: recorded machines give what they gave, broken ones give nulls and warnings."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as node, renewal
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files, Replay

NODES = sorted((pathlib.Path(__file__).parents[3] / "fixtures" / "nodes").glob("*.json"))


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.stem)
def test_recorded_machine(path):
    recording = json.loads(path.read_text(encoding="utf-8"))
    host = Replay(recording)
    found = node.look(["192.0.2.1"], recording["now"], ["/etc/hosts"], (), recording["now"], host)
    assert set(found.pop("user")) == {"uid", "name"}  # of whoever runs the tests
    found["warnings"] = recording["expected"]["warnings"] = sorted({*found["warnings"], *recording["warnings"]})
    assert json.loads(json.dumps(found)) == recording["expected"]


def test_control_plane():
    path = next(path for path in NODES if path.stem == "kubeadm-control-plane")
    found = json.loads(path.read_text(encoding="utf-8"))["expected"]["cluster"]
    assert (found["kind"], found["role"], found["foreign"]) == ("kubeadm", "control_plane", False)
    assert found["live"]["healthy"] and found["live"]["error"] is None and found["live"]["version"].startswith("v1.")
    assert len(found["live"]["etcd_members"]) == 3 and len(found["live"]["nodes"]) == 4
    assert "ClusterConfiguration" in found["live"]["kubeadm_config"]
    assert found["certificates"]["apiserver"]["days_left"] > 300


def test_no_recording_holds_a_credential():
    for path in NODES:
        text = path.read_text(encoding="utf-8")
        assert "PRIVATE KEY" not in text and "LS0tLS1CRUdJTiBSU0EgUFJJVkFURS" not in text


def test_nothing_there():
    found = node.look(host=Files())
    assert found["memory"]["total_bytes"] is None and found["os"]["id"] is None and found["cluster"]["kind"] is None
    assert "/proc/meminfo has no total memory" in found["warnings"]
    assert "no cgroup file system is mounted" in found["warnings"]


@pytest.mark.parametrize("content", [b"", b"\0\1\2\xff" * 200, b"A" * 3000, b"\xff\xfe 1 2 3\n" * 100])
def test_every_file_is_rubbish(content):
    paths = {entry for path in NODES for entry in json.loads(path.read_text(encoding="utf-8"))["calls"]["read"]}
    files = {json.loads(entry)[0][0]: content for entry in paths}
    assert node.look(host=Files(files))["failed_parts"].keys() <= {"owned"}


def test_parts_fail_alone():
    one = node.Look(Files(), None)
    assert one.part("ports", lambda host: 1 / 0) == []
    assert one.host.warnings == ["ports: ZeroDivisionError: division by zero"]
    assert one.failed == {"ports": "ZeroDivisionError: division by zero"}


@pytest.mark.parametrize("text", ["{", "[]", '{"files": []}'])
def test_a_damaged_record_of_ownership_is_unknown(text):
    found = node.look(host=Files({"/etc/kubewright/owned.json": text}))
    assert found["owned"] is None and "owned.json is damaged" in found["failed_parts"]["owned"]


@pytest.mark.parametrize("name", ["cluster", "services", "network", "files"])
def test_a_part_that_fails_is_named(monkeypatch, name):
    module = {"cluster": node.cluster, "network": node.network}.get(name, node.software)
    monkeypatch.setattr(module, name, lambda *_arguments: 1 / 0)
    found = node.look(host=Files())
    assert found["failed_parts"][name].startswith("ZeroDivisionError") and found[name] == node.EMPTY[name]


@pytest.mark.parametrize(
    "path",
    ["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests", "/var/lib/etcd", "/var/lib/rancher/k3s/server"],
)
def test_what_cannot_be_read_is_unknown_and_not_absent(path):
    class Damaged(Files):
        def require_readable(self, paths):
            if path in paths:
                raise OSError(5, "Input/output error", path)

    found = node.look(host=Damaged())
    assert "Input/output error" in found["failed_parts"]["cluster"] and path in found["failed_parts"]["cluster"]


def test_only_a_missing_path_is_absent(tmp_path, monkeypatch):
    one = node.Host()
    (tmp_path / "file").write_text("x")
    one.require_readable([str(tmp_path), str(tmp_path / "file"), str(tmp_path / "none"), str(tmp_path / "file/none")])

    def broken(path, _flags):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.open", broken)
    with pytest.raises(OSError, match="Permission denied: '/etc/kubernetes'"):
        one.require_readable(["/etc/kubernetes"])


def test_administrator_without_rights_yet():
    files = {
        "/etc/kubernetes/manifests/kube-apiserver.yaml": "- --advertise-address=10.0.0.1\n- --secure-port=6443\n",
        "/etc/kubernetes/admin.conf": "",
        "/etc/kubernetes/super-admin.conf": "",
    }
    asked = []

    class Half(Files):
        def ask(self, server, method, path, accept="application/json", body=None):
            asked.append(server["kubeconfig"])
            if server["kubeconfig"].endswith("/admin.conf") and path.startswith("/api/"):
                return 403, ""
            if path == "/version":
                return 200, '{"gitVersion": "v1.36.3"}'
            return 200, '{"metadata": {"uid": "one"}, "items": []}'

    live = node.look(host=Half(files))["cluster"]["live"]
    assert live["healthy"] and live["version"] == "v1.36.3" and asked[-1].endswith("super-admin.conf")


def test_api_down():
    files = {
        "/etc/kubernetes/manifests/kube-apiserver.yaml": "--advertise-address=10.0.0.1",
        "/etc/kubernetes/admin.conf": "",
    }

    class Down(Files):
        def ask(self, *arguments, **keywords):
            raise OSError("refused")

    live = node.look(host=Down(files))["cluster"]["live"]
    assert not live["healthy"] and live["error"] == "10.0.0.1:6443: refused"


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("Jan  1 00:00:10 1970 GMT", 10),
        ("Feb 29 00:00:00 2028 GMT", 1835395200),
        ("x", None),
        (None, None),
        ("Foo  1 00:00:00 1970 GMT", None),
    ],
)
def test_moment(text, seconds):
    assert renewal.certificate_time(text) == seconds


@pytest.mark.parametrize(
    "files, role",
    [
        ({"/var/lib/rancher/k3s/server/token": ""}, "control_plane"),
        ({"/var/lib/rancher/k3s/agent/client-ca.crt": ""}, "worker"),
        ({"/usr/local/bin/k3s": "", "/etc/rancher/k3s/config.yaml": ""}, None),
    ],
)
def test_k3s(files, role):
    found = node.look(host=Files(files))["cluster"]
    assert (found["kind"], found["role"]) == ("k3s" if role else None, role)
