# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run waits for a node: what kubeadm_timeout and k3s_timeout say, and what is documented without them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def waits(distribution, host, vm="kvm", **inputs):
    """The seconds in a host's share of a plan, by where they are in it."""
    hosts, groups = inventory(1, 1, {"kube_distribution": distribution, **inputs}, virtualization__vm=vm)
    plan = planner.cluster_plan(hosts, groups)
    values = schema.validate(hosts[host]["inputs"])[0]
    made = slices.of_host(plan, host, values, hosts[host]["info"], list(hosts))["apply"]
    found = {**{"start_" + name: value for name, value in (made["start"] or {}).items()}, **made}
    return {name: value for name, value in found.items() if name.endswith("timeout")}


@pytest.mark.parametrize("host", ["cp-1", "w-1"])
@pytest.mark.parametrize(
    ("distribution", "vm", "inputs", "wanted"),
    [
        ("kubeadm", "kvm", {}, {"start_timeout": 900, "join_timeout": 600, "gate_timeout": 300}),
        ("kubeadm", "kvm", {"kubeadm_timeout": 77}, {"start_timeout": 77, "join_timeout": 77, "gate_timeout": 77}),
        ("k3s", "kvm", {}, {"timeout": 300}),
        ("k3s", "qemu", {}, {"timeout": 900}),
        ("k3s", "qemu", {"k3s_timeout": 77}, {"timeout": 77}),
    ],
)
def test_the_input_says_how_long(host, distribution, vm, inputs, wanted):
    assert waits(distribution, host, vm, **inputs) == wanted


@pytest.mark.parametrize("role", ["k3s", "kubeadm"])
def test_the_roles_wait_as_long_as_the_plan_says(role):
    """The input was documented, and the tasks had a number."""
    texts = {path.name: path.read_text() for path in (Path(schema.ROLES) / role / "tasks").glob("*.yml")}
    for name in ("start.yml", "join.yml", "gate.yml"):
        assert re.search(r"^ +timeout: \"\{\{ __\w+_node\.apply\.", texts[name], re.MULTILINE), name
    assert not re.search(r"timeout: *[0-9]", "".join(texts.values()))
