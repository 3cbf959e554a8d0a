# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and pods have an address of each family that the pods' networks have, and verify checks each of them."""

from __future__ import annotations

import ipaddress
import json

from running import groups, inputs, listed, playbook

PLANES = groups()["kube_control_plane"]["hosts"]
WORKERS = groups()["kube_node"]["hosts"]
FAMILIES = [ipaddress.ip_network(cidr).version for cidr in inputs()["kube_pod_cidrs"]]


def families(addresses):
    return [ipaddress.ip_address(address).version for address in addresses]


def test_nodes_and_their_pods_have_each_family():
    nodes = listed(PLANES[0], "nodes")
    assert len(nodes) == len(PLANES + WORKERS)
    for node in nodes:
        internal = [item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP"]
        assert families(internal) == FAMILIES
        assert families(cidr.partition("/")[0] for cidr in node["spec"]["podCIDRs"]) == FAMILIES
    pods = listed(PLANES[0], "pods -A -l k8s-app=kube-dns")
    assert pods and all(families(item["ip"] for item in pod["status"]["podIPs"]) == FAMILIES for pod in pods)


def test_each_family_is_verified(tmp_path):
    report = tmp_path / "report.json"
    playbook("verify", "-e", f"verify_json={report}")
    checks = json.loads(report.read_text())["checks"]
    passed = {(item["name"], item["node"]) for item in checks if item["status"] == "ok"}
    # With one family its name is left out.
    for family in [f", IPv{family}" for family in FAMILIES] if len(FAMILIES) > 1 else [""]:
        for kind in ("pod to pod", "Service"):
            for node in PLANES + WORKERS:
                assert (kind + family, node) in passed
