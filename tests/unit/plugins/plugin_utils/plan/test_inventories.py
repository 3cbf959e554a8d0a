# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories to copy: each gives a plan as it stands, and one line more or less changes the distribution."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import machine

INVENTORIES = sorted((Path(__file__).resolve().parents[5] / "docs" / "inventories").glob("*.yml"))


def read(path):
    """(hosts, groups) as the plan's action plugin would hand them on; machines get addresses of the inventory."""
    everything = yaml.safe_load(path.read_text())["all"]
    hosts, groups = {}, {}
    for name, group in everything["children"].items():
        groups[name] = sorted(group["hosts"])
        for host, own in group["hosts"].items():
            variables = {**everything.get("vars", {}), **(own or {})}
            given = {key: value for key, value in variables.items() if inputs.is_input(key)}
            address = variables["ansible_host"]
            wanted = str(given.get("kube_node_ip", ""))
            hosts[host] = {
                "info": machine(host, wanted.replace("0/24", "9") if "/" in wanted else address),
                "inputs": given,
            }
    return hosts, groups


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)
def test_an_inventory_to_copy_gives_a_plan(path):
    hosts, groups = read(path)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    assert plan["distribution"] == ("k3s" if path.stem == "k3s" else "kubeadm")


@pytest.mark.parametrize("name", ["single", "ha-local", "ha-vip", "external"])
def test_one_line_changes_the_distribution(name):
    hosts, groups = read(next(path for path in INVENTORIES if path.stem == name))
    for row in hosts.values():
        row["inputs"]["kube_distribution"] = "k3s"
        row["inputs"].pop("kube_network", None)  # kube-router is for kubeadm nodes
    plan = planner.cluster_plan(hosts, groups)
    assert (plan["refusals"], plan["distribution"]) == ([], "k3s")
