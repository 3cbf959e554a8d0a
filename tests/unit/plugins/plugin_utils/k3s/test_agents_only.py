# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents alone, for a cluster that was made elsewhere."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import (
    plan_page as page,
    plan_text as report,
    verify as verify_report,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, texts

ELSEWHERE = {"k3s_server_url": "https://k3s.example:6443", "k3s_join_token": "K10%s::node:hunter2" % ("a" * 64), "kube_version": "1.36.3"}


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
    assert report.text(plan)[0].startswith("Nodes for the cluster at k3s.example:6443: K3s 1.36.3 on 2 nodes (2 workers)")
    assert "of the cluster that is joined" in report.text(plan)[1] and "k3s.example:6443" in page.html(plan)


def test_those_that_have_joined_are_left():
    hosts, groups = agents()
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == [] and all((node["stages"], node["steps"]) == ([], {}) for node in again["nodes"].values())
    assert verify_report.scope(again, {})["leader"] is None


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"k3s_join_token": ""}, "k3s_server_url is set without k3s_join_token"),
        ({"k3s_server_url": ""}, "k3s_join_token is set without k3s_server_url"),
        ({"k3s_server_url": "k3s.example:6443"}, "k3s_server_url 'k3s.example:6443' is no address"),
        ({"k3s_server_url": "http://k3s.example:6443"}, "write it as https://server.example:6443"),
        ({"k3s_server_url": "https://k3s.example:port"}, "is no address"),
        ({"k3s_join_token": "hunter2 hunter3"}, "k3s_join_token has white space in it"),
        # pkg/clientaccess/token.go: "invalid token CA hash length", "invalid token format"
        ({"k3s_join_token": "K10abc::node:hunter2"}, "k3s_join_token begins with K10, but is not"),
        ({"k3s_join_token": "K10" + "a" * 64}, "k3s_join_token begins with K10, but is not"),
        ({"k3s_join_token": "K10%s::node:" % ("a" * 64)}, "k3s_join_token begins with K10, but is not"),
        ({"k3s_server_url": "https://127.0.0.1:6443"}, "leads an agent back to itself"),
        ({"k3s_server_url": "https://localhost:6443"}, "leads an agent back to itself"),
        ({"k3s_server_url": "https://[::1]:6443"}, "leads an agent back to itself"),
        ({"k3s_server_url": "https://10.0.0.12:6443"}, "leads an agent back to itself"),
        ({"kube_version": ""}, "kube_version is missing; an agent may not be newer"),
        ({"kube_distribution": "kubeadm"}, "k3s_server_url leads to a K3s cluster"),
    ],
)
def test_what_lacks_or_makes_no_sense(inputs, words):
    refusals = texts(planner.cluster_plan(*agents(**inputs))["refusals"])
    assert any(words in text for text in refusals), refusals
    assert "hunter" not in repr(refusals)


@pytest.mark.parametrize("token", ["hunter2", "abcdef.0123456789abcdef", "K10%s::abcdef.0123456789abcdef" % ("a" * 64), "K10::node:hunter2"])
def test_every_form_of_a_token_is_taken(token):
    assert planner.cluster_plan(*agents(k3s_join_token=token))["refusals"] == []


def test_servers_of_ones_own_are_another_cluster():
    refusals = texts(planner.cluster_plan(*inventory(1, 1, ELSEWHERE))["refusals"])
    assert any("is for an inventory of agents alone, and cp-1 would be servers" in text for text in refusals), refusals
