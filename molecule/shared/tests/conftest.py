# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios. Nodes have their inventory names."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def changes_of():
    """Return a function that runs a playbook again and returns the numbers of changes by host: changes_of("site")."""

    def run(name):
        inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
        command = ["ansible-playbook", f"kubewright.cluster.{name}", "-i", str(inventory)]
        plain = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
        assert done.returncode == 0, done.stdout + done.stderr
        changes = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
        assert changes, done.stdout
        return {host: int(number) for host, number in changes}

    return run


@pytest.fixture
def inputs(host):
    """Return the host's variables from the inventory."""
    return host.ansible.get_variables()


@pytest.fixture
def owned(host):
    """Return the record of what the collection created on the host."""
    return json.loads(host.check_output("cat /etc/kubewright/owned.json"))


@pytest.fixture
def kubectl(host):
    """Return a function that lists objects with a control plane's own kubectl: kubectl("nodes")."""

    def get(kind, *arguments):
        command = ["kubectl", "--cache-dir=/run/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", kind, "-o", "json", *arguments]
        return json.loads(host.check_output(" ".join(command)))["items"]

    return get


@pytest.fixture
def members(inputs):
    """Return the inventory names of control planes and workers."""
    groups = inputs["groups"]
    return {"control_planes": groups.get("kube_control_plane", []), "workers": groups.get("kube_node", [])}


@pytest.fixture(scope="session")
def expected_addresses():
    """Return {node: expected address}: from the inventory, or from the plan if SSH uses a forwarded port."""
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    listed = json.loads(subprocess.check_output(["ansible-inventory", "-i", str(inventory), "--list"]))["_meta"]["hostvars"]
    found = {name: variables["ansible_host"] for name, variables in listed.items() if "ansible_host" in variables}
    if "127.0.0.1" not in found.values():
        return found
    plan = inventory.parent / "plan.json"
    command = ["ansible-playbook", "kubewright.cluster.plan", "-i", str(inventory), "-e", f"plan_json={plan}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {name: node["address"] for name, node in json.loads(plan.read_text())["nodes"].items()}
