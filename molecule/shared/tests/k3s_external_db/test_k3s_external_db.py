# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of an external datastore: it stores the cluster, and servers have no local datastore."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://all"]
DATABASE = os.environ.get("KUBEWRIGHT_DATABASE") or "postgresql"
POSTGRESQL = "cd / && runuser -u postgres -- psql -tAd k3s -c"
TLS = "--cacert=/etc/ssl/database/ca.crt --cert=/etc/ssl/database/server.crt --key=/etc/ssl/database/server.key"
NODES = "SELECT DISTINCT name FROM kine WHERE name LIKE '/registry/minions/%' AND deleted = 0"
CONNECTIONS = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'k3s'"


@pytest.fixture
def server(inputs, members):
    """Return True if the host is a K3s server."""
    return inputs["inventory_hostname"] in members["control_planes"]


def test_the_database_has_every_node(host, inputs, members, server):
    if server:
        return
    question = {
        "postgresql": f'{POSTGRESQL} "{NODES}"',
        "mariadb": f'mariadb -N k3s -e "{NODES}"',
        "etcd": f"ETCDCTL_API=3 etcdctl --endpoints=https://{inputs['ansible_host']}:2379 {TLS} get --prefix --keys-only /registry/minions/",
    }
    names = host.check_output(question[DATABASE]).split()
    assert {name.rpartition("/")[2] for name in names} == {*members["control_planes"], *members["workers"]}


def test_servers_have_no_datastore(host, server):
    for name in ("state.db", "etcd"):
        assert not host.file("/var/lib/rancher/k3s/server/db/" + name).exists
    assert host.file("/etc/rancher/k3s/datastore/ca.crt").exists == server


def test_credentials_are_in_one_file_that_only_root_can_read(host, server):
    kept = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    if DATABASE == "etcd":
        secret, path = (kept / "client.key").read_text().splitlines()[1], "/etc/rancher/k3s/datastore/client.key"
    else:
        secret, path = (kept / "password").read_text().strip(), "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"
    found = host.run(f"grep -rlsF {secret} /etc /var/lib/rancher /root /usr/local").stdout.split()
    assert found == ([path] if server else [])
    if server:
        assert host.file(path).mode == 0o600 and host.file("/etc/rancher/k3s/datastore/ca.crt").mode == 0o600


def test_servers_connect_with_tls(host, server):
    if DATABASE == "postgresql" and not server:  # MariaDB and etcd are configured to reject connections without TLS
        assert host.check_output(f'{POSTGRESQL} "{CONNECTIONS}"') == "t"
