# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value that is dropped takes its files with it, and what read them is restarted."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import (
    add_file,
    running,
    with_inputs,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
REGISTRIES = {
    "mirrors": {"docker.io": {"endpoints": ["https://mirror.example"]}},
    "configs": {"mirror.example": {"username": "me", "password": "hunter2", "ca": PEM}},
}
PROXY = {"http": "http://me:hunter2@proxy.example:3128"}


def removed(node, part):
    return [entry["path"] for entry in node["files"][part] if entry.get("state") == "absent"]


@pytest.mark.parametrize(
    ("inputs", "part", "gone", "services"),
    [
        (
            {"kube_registries": REGISTRIES},
            "containerd",
            [
                "/etc/containerd/certs.d/docker.io/hosts.toml",
                "/etc/containerd/certs.d/mirror.example.crt",
                "/etc/containerd/certs.d/mirror.example/hosts.toml",
                "/etc/containerd/conf.d/50-kubewright-logins.toml",
            ],
            {"containerd": "restarted"},
        ),
        (
            {"kube_http_proxy": PROXY},
            "containerd",
            ["/etc/kubewright/containerd.env"],
            {"containerd": "restarted"},
        ),
        (
            {"kube_distribution": "k3s", "kube_registries": REGISTRIES},
            "k3s",
            ["/etc/rancher/k3s/registries.yaml", "/etc/rancher/k3s/registry-mirror.example.crt"],
            {"k3s-agent": "restarted"},
        ),
        (
            {"kube_distribution": "k3s", "kube_http_proxy": PROXY},
            "k3s",
            ["/etc/systemd/system/k3s-agent.service.env"],
            {"k3s-agent": "restarted"},
        ),
        (
            {"kube_distribution": "k3s", "k3s_embedded_registry": True},
            "k3s",
            ["/etc/rancher/k3s/registries.yaml"],
            {"k3s-agent": "restarted"},
        ),
    ],
    ids=["registries", "proxy", "K3s: registries", "K3s: proxy", "K3s: embedded registry"],
)
def test_a_dropped_input_takes_its_files_away(inputs, part, gone, services):
    hosts, groups = running(inputs)
    assert all(node["steps"] == {} for node in planner.cluster_plan(hosts, groups)["nodes"].values())
    dropped = {name: None for name in inputs if name != "kube_distribution"}
    plan = planner.cluster_plan(with_inputs(hosts, **dropped), groups)
    assert plan["refusals"] == [] and "hunter2" not in repr(plan)
    node = plan["nodes"]["w-1"]
    assert removed(node, part) == gone and node["services"] == services
    assert node["steps"][part][: len(gone)] == [path + " will be removed" for path in gone]


def test_a_registry_that_moves_keeps_only_its_own_files():
    hosts, groups = running({"kube_registries": REGISTRIES})
    other = {"mirrors": {"*": {"endpoints": ["https://mirror.example"]}}}
    node = planner.cluster_plan(with_inputs(hosts, kube_registries=other), groups)["nodes"]["w-1"]
    assert "/etc/containerd/certs.d/docker.io/hosts.toml" in removed(node, "containerd")
    wanted = {entry["path"] for entry in node["files"]["containerd"]} - set(removed(node, "containerd"))
    assert "/etc/containerd/certs.d/_default/hosts.toml" in wanted


def test_a_file_that_gets_a_login_is_not_removed():
    hosts, groups = running({"kube_registries": {"mirrors": REGISTRIES["mirrors"]}})
    node = planner.cluster_plan(with_inputs(hosts, kube_registries=REGISTRIES), groups)["nodes"]["w-1"]
    assert removed(node, "containerd") == [] and "credentials" in node["steps"]


@pytest.mark.parametrize(
    "path", ["/etc/rancher/k3s/token", "/etc/rancher/k3s/agent-token", "/etc/containerd/conf.d/own.toml"]
)
def test_tokens_and_files_of_others_stay(path):
    hosts, groups = running({"kube_distribution": "k3s"} if "rancher" in path else {})
    for row in hosts.values():
        add_file(row["info"], path)
        if "rancher" not in path:
            del row["info"]["owned"]["files"][path]
    assert all(node["steps"] == {} for node in planner.cluster_plan(hosts, groups)["nodes"].values())


def test_the_empty_environment_that_upstreams_script_leaves_stays():
    hosts, groups = running({"kube_distribution": "k3s"})
    path = "/etc/systemd/system/k3s-agent.service.env"
    add_file(hosts["w-1"]["info"], path)
    assert planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["steps"] == {}
    add_file(hosts["w-1"]["info"], path, "HTTP_PROXY=http://proxy.example:3128\n")
    assert removed(planner.cluster_plan(hosts, groups)["nodes"]["w-1"], "k3s") == [path]


def test_an_endpoint_that_k3s_no_longer_needs_is_stopped_and_removed():
    hosts, groups = running({"kube_distribution": "k3s", "kube_api_endpoint": {"address": "10.0.0.100"}})
    plan = planner.cluster_plan(with_inputs(hosts, kube_api_endpoint=None), groups)
    assert ids(plan["refusals"]) == []
    node = plan["nodes"]["cp-1"]
    assert {name for name, state in node["services"].items() if state == "stopped"} == {
        "kube-endpoint",
        "kube-endpoint-vip",
    }
    assert len(removed(node, "endpoint")) == 4 and node["stages"][0] == "change"


def test_a_dropped_journal_setting_and_an_old_sysctl_are_steps():
    hosts, groups = running({"kube_journald": "volatile"})
    plan = planner.cluster_plan(with_inputs(hosts, kube_journald=None), groups)
    path = "/etc/systemd/journald.conf.d/50-kubewright.conf"
    assert plan["nodes"]["w-1"]["steps"] == {"settings": ["%s will be removed" % path]}
    add_file(hosts["w-1"]["info"], "/etc/sysctl.d/99-kubewright.conf", "vm.swappiness = 1\n")
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["steps"] == {"settings": ["/etc/sysctl.d/99-kubewright.conf differs"]}
