# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents only, for a cluster that was created elsewhere."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import lifecycle
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import (
    plan_page as page,
    plan_text as report,
    verify as verify_report,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

ELSEWHERE = {
    "k3s_server_url": "https://k3s.example:6443",
    "k3s_join_token": "K10%s::node:hunter2" % ("a" * 64),
    "kube_version": "1.36.3",
}


def agents(count=2, **inputs):
    hosts, groups = inventory(1, count, {**ELSEWHERE, **inputs})
    hosts.pop("cp-1")
    return hosts, {"kube_node": groups["kube_node"]}


def test_they_join_the_server_elsewhere():
    plan = planner.cluster_plan(*agents())
    assert (plan["refusals"], plan["distribution"], plan["leader"], plan["control_planes"]) == ([], "k3s", None, [])
    assert {host: (node["action"], node["stages"]) for host, node in plan["nodes"].items()} == {
        "w-1": ("join", ["prepare", "start", "join"]),
        "w-2": ("join", ["prepare", "start", "join"]),
    }
    files = {entry["path"]: entry["content"] for entry in plan["nodes"]["w-1"]["files"]["k3s"]}
    assert yaml.safe_load(files["/etc/rancher/k3s/config.yaml"])["server"] == "https://k3s.example:6443"
    assert "hunter2" not in repr(plan)
    first = report.text(plan)[0]
    assert first.startswith("Nodes for the cluster at k3s.example:6443: K3s 1.36.3 on 2 nodes (2 workers)")
    assert "of the cluster that is joined" in report.text(plan)[1] and "k3s.example:6443" in page.html(plan)


def test_joined_agents_do_not_change():
    hosts, groups = agents()
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == []
    assert all((node["stages"], node["steps"]) == ([], {}) for node in again["nodes"].values())
    assert verify_report.scope(again, {})["leader"] is None


def joined():
    hosts, groups = agents()
    plan = planner.cluster_plan(hosts, groups)
    return {
        host: {**row, "info": applied(row["info"], plan["nodes"][host], plan)} for host, row in hosts.items()
    }, groups


def test_joined_agents_follow_another_address():
    hosts, groups = joined()
    plan = planner.cluster_plan(with_inputs(hosts, k3s_server_url="https://other.example:6443"), groups)
    assert plan["refusals"] == []
    for node in plan["nodes"].values():
        assert list(node["steps"]) == ["k3s"] and node["services"] == {"k3s-agent": "restarted"}
    dropped = planner.cluster_plan(with_inputs(hosts, k3s_server_url=None), groups)
    assert described(dropped["refusals"]) == ["k3s_join_token.no_server_url", "control_planes.none"]


def test_joined_agents_keep_their_token():
    hosts, groups = joined()
    plan = planner.cluster_plan(with_inputs(hosts, k3s_join_token="another-token"), groups)
    assert plan["refusals"] == [] and all(node["steps"] == {} for node in plan["nodes"].values())
    assert lifecycle.LIFECYCLE["k3s_join_token"].note
    dropped = planner.cluster_plan(with_inputs(hosts, k3s_join_token=None), groups)
    assert described(dropped["refusals"]) == ["k3s_join_token.missing"]


def at(url):
    return {"k3s_server_url": url}


def with_token(token):
    return {"k3s_join_token": token}


def own_address(url):
    return ["k3s_server_url.own_address node=%s value=%s" % (host, url) for host in ("w-1", "w-2")]


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        (with_token(""), ["k3s_join_token.missing"]),
        (at(""), ["k3s_join_token.no_server_url"]),
        (at("https://k3s.example:6443/api"), ["k3s_server_url.format value=https://k3s.example:6443/api"]),
        (at("https://node:hunter2@k3s.example"), ["k3s_server_url.format value=https://k3s.example"]),
        (with_token("hunter2 hunter3"), ["k3s_join_token.white_space"]),
        # pkg/clientaccess/token.go: "invalid token CA hash length", "invalid token format"
        (with_token("K10abc::node:hunter2"), ["k3s_join_token.format"]),
        (with_token("K10" + "a" * 64), ["k3s_join_token.format"]),
        (with_token("K10%s::node:" % ("a" * 64)), ["k3s_join_token.format"]),
        (at("https://127.0.0.1:6443"), own_address("https://127.0.0.1:6443")),
        (at("https://localhost:6443"), own_address("https://localhost:6443")),
        (at("https://[::1]:6443"), own_address("https://[::1]:6443")),
        (at("https://10.0.0.12:6443"), own_address("https://10.0.0.12:6443")[:1]),
        ({"kube_version": ""}, ["k3s_server_url.no_version"]),
        ({"kube_distribution": "kubeadm"}, ["k3s_server_url.needs_k3s value=kubeadm limit=k3s"]),
        ({"k3s_helm_configs": [{"name": "traefik", "values": {}}]}, ["auto_deploy.no_server value=k3s_helm_configs"]),
    ],
)
def test_inputs_that_are_missing_or_wrong(inputs, wanted):
    plan = planner.cluster_plan(*agents(**inputs))
    assert described([row for row in plan["refusals"] if row["id"].startswith(("k3s_", "auto_deploy."))]) == wanted
    assert "hunter" not in repr(plan)


@pytest.mark.parametrize("url", ["k3s.example:6443", "http://k3s.example:6443", "https://k3s.example:port"])
def test_what_is_not_a_url_is_refused_once(url):
    assert len(planner.cluster_plan(*agents(**at(url)))["refusals"]) == 1


@pytest.mark.parametrize(
    "token",
    ["hunter2", "abcdef.0123456789abcdef", "K10%s::abcdef.0123456789abcdef" % ("a" * 64), "K10::node:hunter2"],
)
def test_every_form_of_a_token_is_accepted(token):
    assert planner.cluster_plan(*agents(k3s_join_token=token))["refusals"] == []


def test_servers_in_the_inventory_are_refused():
    refusals = planner.cluster_plan(*inventory(1, 1, ELSEWHERE))["refusals"]
    assert described(refusals) == ["k3s_server_url.with_servers value=https://k3s.example:6443 limit=['cp-1']"]
