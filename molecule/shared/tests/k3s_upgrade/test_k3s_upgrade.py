# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an upgrade of K3s: every process has the new release, and nothing of the way is left."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]


def listed(host, kind):
    return json.loads(host.check_output(f"k3s kubectl get {kind} -o json"))["items"]


def test_servers_and_agents_have_the_release(host, inputs):
    wanted = f"v{inputs['kube_version']}+k3s1"
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in listed(host, "nodes")} == {wanted}
    assert json.loads(host.check_output("k3s kubectl get --raw /version"))["gitVersion"] == wanted
    assert wanted in host.check_output("k3s --version")


def test_no_node_is_cordoned_and_the_lock_is_free(host):
    assert not [node for node in listed(host, "nodes") if node["spec"].get("unschedulable")]
    names = [lease["metadata"]["name"] for lease in listed(host, "leases -n kube-system")]
    assert names and "kubewright" not in names


def test_no_copy_of_a_program_is_left(host):
    assert host.run("find /opt/kubewright -type f").stdout == ""


@pytest.mark.parametrize("name", ["upgrade", "site"])
def test_a_second_run_changes_nothing(changes_of, name):
    assert set(changes_of(name).values()) == {0}
