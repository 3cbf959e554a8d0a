# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the API endpoint from every node."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import testinfra

testinfra_hosts = ["ansible://all"]
INVENTORY = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent


def server(host):
    """Return the API URL that the kubelet uses."""
    return host.check_output("sed -n 's/^ *server: //p' /etc/kubernetes/kubelet.conf | tr -d '\"'")


def test_the_endpoint_answers(host):
    assert host.check_output(f"curl -sS --cacert /etc/kubernetes/pki/ca.crt {server(host)}/livez") == "ok"


def test_the_vip_is_on_one_control_plane(host, inputs, members):
    if inputs.get("kube_api_endpoint", {}).get("mode") != "vip":
        pytest.skip("the endpoint is not a virtual address")
    address = urlsplit(server(host)).hostname
    hosts = {name: testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORY)) for name in members["control_planes"]}
    assert all(one.service("kube-endpoint-vip").is_running for one in hosts.values())
    holders = [name for name, one in hosts.items() if f" {address}/" in one.check_output("ip -o -4 address show")]
    assert len(holders) == 1, holders
    password = inputs["kube_api_endpoint"]["password"]
    for one in hosts.values():
        file = one.file("/etc/kubewright/endpoint/keepalived-password.conf")
        assert file.mode == 0o600 and password in file.content_string
        assert password not in one.check_output("journalctl --no-pager -u kube-endpoint-vip; ls -R /etc/kubewright")
