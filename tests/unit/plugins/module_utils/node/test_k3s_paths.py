# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a K3s node's own servers listen: at the loopback of its first Services network, and at bind-address."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import local_server
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths


@pytest.fixture
def k3s(tmp_path, monkeypatch):
    """Return a function that writes config.yaml and the server of k3s.yaml."""

    def write(config, server=""):
        (tmp_path / "config.yaml").write_text("data-dir: %s/data\n%s" % (tmp_path, config))
        (tmp_path / "k3s.yaml").write_text("clusters:\n- cluster:\n    server: %s\n" % server if server else "")
        return paths.K3s()

    monkeypatch.setattr(paths, "K3S_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setattr(paths, "K3S_ADMIN", str(tmp_path / "k3s.yaml"))
    (tmp_path / "data/server/db/etcd/member").mkdir(parents=True)
    return write


@pytest.mark.parametrize(
    ("config", "server", "found"),
    [
        ("", "https://127.0.0.1:6443", ("127.0.0.1", 6443)),
        ("https-listen-port: 7443\n", '"https://127.0.0.1:7443"', ("127.0.0.1", 7443)),
        ("bind-address: 192.0.2.11\n", "https://192.0.2.11:6443", ("192.0.2.11", 6443)),
        ('bind-address: "2001:db8::11"\n', "https://[2001:db8::11]:6443", ("2001:db8::11", 6443)),
        ("service-cidr: fd00:43::/112\n", "https://[::1]:6443", ("::1", 6443)),
        # A file of an administrator on an agent.
        ("", "https://192.0.2.100:6443", None),
        ("bind-address: 192.0.2.12\n", "https://192.0.2.11:6443", None),
        ("", "", None),
        ("", "http://127.0.0.1:8080", None),
    ],
)
def test_the_own_api_server_is_where_k3s_says_that_it_listens(k3s, tmp_path, config, server, found):
    assert k3s(config, server).api_server() == found
    assert local_server(str(tmp_path / "no-manifest")) == found


@pytest.mark.parametrize(
    ("config", "loopback"),
    [
        ("", "127.0.0.1"),
        ("service-cidr: 10.43.0.0/16\n", "127.0.0.1"),
        ("service-cidr: fd00:43::/112\n", "[::1]"),
        ("service-cidr: 10.43.0.0/16,fd00:43::/112\n", "127.0.0.1"),
        ("service-cidr:\n- fd00:43::/112\n- 10.43.0.0/16\n", "[::1]"),
        ('service-cidr: "fd00:43::/112,10.43.0.0/16"\n', "[::1]"),
        ("cluster-cidr: fd00:42::/56\nservice-cidr:\n  - '10.43.0.0/16'\n", "127.0.0.1"),
    ],
)
def test_the_parts_of_a_server_listen_at_the_loopback_of_the_first_services_network(k3s, config, loopback):
    node = k3s(config)
    assert node.loopback == loopback
    assert node.etcd()["servers"] == "https://%s:2382" % loopback
    assert node.own_server() == "https://%s:6444" % loopback
