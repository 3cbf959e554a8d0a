# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a node: read from files and kubeconfigs, compared with what is served and what processes read."""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import certificates
from ansible_collections.kubewright.cluster.plugins.module_utils.api.certificates import path_of

DAY = 86400


@pytest.fixture
def node(tmp_path, authority):
    """A control plane below a directory: issue(name, days) writes a certificate and its key."""
    root = tmp_path / "node"
    (root / "etc/kubernetes/pki/etcd").mkdir(parents=True)
    (root / "etc/kubernetes/manifests").mkdir()

    def issue(name, days=300, **options):
        certificate, key = authority.issue(name, days, **options)
        path = path_of(name, str(root))
        with open(path, "wb") as stream:
            stream.write(certificate)
        with open(path[:-3] + "key", "wb") as stream:
            stream.write(key)

    issue.root = root
    return issue


def test_times_of_a_file_and_of_a_kubeconfig(node, authority, tmp_path):
    node("apiserver", 10)
    found = certificates.read(path_of("apiserver", str(node.root)))
    assert 9.9 * DAY < found.expires - time.time() < 10.1 * DAY and 364 * DAY < found.life < 366 * DAY
    path = str(tmp_path / "scheduler.conf")
    os.rename(authority.kubeconfig(days=-3), path)
    assert certificates.read(path).expires < time.time() - 2 * DAY
    assert len(found.digest) == 64 and found.serial and found.digest != certificates.read(path).digest


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_not_a_certificate(text, tmp_path):
    for name in ("a.crt", "a.conf"):
        (tmp_path / name).write_text(text)
        assert certificates.read(str(tmp_path / name)) is None
    assert certificates.read(str(tmp_path / "missing.crt")) is None
    assert certificates.in_kubeconfig("client-certificate-data: A") == ""


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("apiserver", "/etc/kubernetes/pki/apiserver.crt"),
        ("apiserver-etcd-client", "/etc/kubernetes/pki/apiserver-etcd-client.crt"),
        ("etcd-peer", "/etc/kubernetes/pki/etcd/peer.crt"),
        ("admin.conf", "/etc/kubernetes/admin.conf"),
    ],
)
def test_where_they_are(name, path):
    assert path_of(name) == path and name in certificates.AUTHORITIES


def manifests(root, port):
    place = root / "etc/kubernetes/manifests"
    (place / "kube-apiserver.yaml").write_text("- --advertise-address=127.0.0.1\n- --secure-port=%d\n" % port)
    (place / "etcd.yaml").write_text(
        "- --listen-client-urls=https://127.0.0.1:1,https://192.0.2.1:2379\n- --listen-peer-urls=https://[::1]:2\n"
    )


def test_ports_are_those_of_the_manifests(node):
    manifests(node.root, 6444)
    assert certificates.endpoints(str(node.root)) == [
        ("kube-apiserver", "apiserver", "127.0.0.1", 6444),
        ("etcd", "etcd-server", "127.0.0.1", 1),
        ("etcd", "etcd-peer", "::1", 2),
    ]
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    assert [row[0] for row in certificates.endpoints(str(node.root))] == ["kube-apiserver"]
    assert certificates.endpoints(str(node.root / "elsewhere")) == []


def test_an_expired_certificate_that_is_served_is_seen(authority, serve):
    server = serve(authority.serve(lambda _request: (200, {}, b""), client=False))
    found = certificates.served_at("127.0.0.1", server.port)
    with open(authority.directory / "server.pem", encoding="ascii") as stream:
        assert found == certificates.parsed(stream.read())
    assert certificates.served_at("127.0.0.1", 1) is None


def test_another_certificate_than_the_files_is_served(node, authority, serve):
    server = serve(authority.serve(lambda _request: (200, {}, b""), client=False))
    manifests(node.root, server.port)
    for name in ("apiserver", "etcd-server", "etcd-peer"):
        node(name)
    rows = {row.name: row for row in certificates.served(str(node.root))}
    assert rows["apiserver"].serial and not rows["apiserver"].is_files and rows["etcd-peer"].serial == ""
    found = certificates.outdated(str(node.root), str(node.root / "proc"))
    text = "serves another certificate at port %d than the one in /etc/kubernetes/pki/apiserver.crt"
    assert found == {"kube-apiserver": text % server.port}
    with open(authority.directory / "server.pem", encoding="ascii") as stream:
        pem = stream.read()
    with open(path_of("apiserver", str(node.root)), "w", encoding="ascii") as stream:
        stream.write(pem)
    assert certificates.outdated(str(node.root), str(node.root / "proc")) == {}


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc: add(number, words, network, started)."""
    place, started = tmp_path / "proc", {}
    monkeypatch.setattr(certificates, "started_at", lambda number, _root: started.get(number, 0.0))

    def add(number, words, network="net:[1]", at=1000.0):
        (place / number / "ns").mkdir(parents=True)
        (place / number / "cmdline").write_bytes("\0".join([*words, ""]).encode())
        os.symlink(network, str(place / number / "ns/net"))
        started[number] = at

    add("self", ["python3"])
    add.path = str(place)
    return add


CONTROLLER = ["kube-controller-manager", "--kubeconfig=/etc/kubernetes/controller-manager.conf"]


def test_a_process_that_started_before_its_file_was_written(node, proc):
    proc("10", CONTROLLER, at=1000.0)
    proc("11", ["/usr/local/bin/kube-scheduler", "--kubeconfig=/etc/kubernetes/scheduler.conf"], at=1000.0)
    for name, written in (("controller-manager.conf", 1001), ("scheduler.conf", 999), ("apiserver", 2000)):
        path = path_of(name, str(node.root))
        with open(path, "w", encoding="ascii"):
            os.utime(path, (written, written))
    assert certificates.outdated(str(node.root), proc.path) == {
        "kube-controller-manager": "was started before /etc/kubernetes/controller-manager.conf was written"
    }


def test_processes_of_others_do_not_count(proc):
    proc("10", CONTROLLER, network="net:[2]")
    proc("11", ["kube-controller-manager", "--kubeconfig=/etc/nested.conf"])
    proc("12", ["etcd", "--data-dir=/var/lib/etcd"], at=5.0)
    proc("13", ["etcd", "--data-dir=/srv/etcd"], at=9.0)
    assert certificates.processes(proc.path) == {"etcd": 5.0}


def test_the_serving_certificate_of_the_api_server_is_read_again_without_a_restart(node, proc):
    proc("10", ["kube-apiserver", "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt"], at=1000.0)
    node("apiserver")
    assert certificates.outdated(str(node.root), proc.path) == {}
    node("front-proxy-client")
    assert list(certificates.outdated(str(node.root), proc.path)) == ["kube-apiserver"]
