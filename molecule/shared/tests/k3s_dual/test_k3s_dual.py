# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of dual stack: nodes and pods have an IPv4 and an IPv6 address, and verify checks both."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from pathlib import Path

testinfra_hosts = ["ansible://kube_control_plane"]


def families(addresses):
    return [ipaddress.ip_address(address).version for address in addresses]


def test_nodes_and_their_pods_have_both_families(host, members):
    nodes = json.loads(host.check_output("k3s kubectl get nodes -o json"))["items"]
    assert len(nodes) == len(members["control_planes"]) + len(members["workers"])
    for node in nodes:
        assert families(item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP") == [4, 6]
        assert families(cidr.partition("/")[0] for cidr in node["spec"]["podCIDRs"]) == [4, 6]
    pods = json.loads(host.check_output("k3s kubectl get pods -A -l k8s-app=kube-dns -o json"))["items"]
    assert pods and all(families(item["ip"] for item in pod["status"]["podIPs"]) == [4, 6] for pod in pods)


def test_both_families_are_verified(tmp_path, members):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    report = tmp_path / "report.json"
    command = ["ansible-playbook", "kubewright.cluster.verify", "-i", str(inventory), "-e", f"verify_json={report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(report.read_text())["checks"]
    passed = {(item["name"], item["node"]) for item in checks if item["status"] == "ok"}
    for kind in ("pod to pod, IPv4", "pod to pod, IPv6", "Service, IPv4", "Service, IPv6"):
        for node in members["control_planes"] + members["workers"]:
            assert (kind, node) in passed
