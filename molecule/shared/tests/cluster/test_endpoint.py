# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one address of the API, asked from every node."""

from __future__ import annotations

testinfra_hosts = ["ansible://all"]


def test_the_endpoint_leads_to_an_api(host):
    server = host.check_output("sed -n 's/^ *server: //p' /etc/kubernetes/kubelet.conf | tr -d '\"'")
    assert host.check_output(f"curl -sS --cacert /etc/kubernetes/pki/ca.crt {server}/livez") == "ok"


def test_the_vip_is_on_one_control_plane(host, inputs, members):
    endpoint = inputs.get("kube_api_endpoint", {})
    if endpoint.get("mode") != "vip":
        return
    assert host.service("kube-endpoint-vip").is_running
    holders = [name for name in members["control_planes"] if holds(host, name, endpoint["address"])]
    assert len(holders) == 1, holders


def holds(host, name, address):
    """Whether a node has the address."""
    other = host.get_host(f"ansible://{name}", ansible_inventory=host.backend.ansible_inventory) if hasattr(host.backend, "ansible_inventory") else host
    return f" {address}/" in other.check_output("ip -o -4 address show")
