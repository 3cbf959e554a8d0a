# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.words import names
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import lines, plan_text, summary, todo
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report.lines import Kind
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory


def running(planes=3, workers=1):
    """Return (hosts, groups) of a cluster that has everything it should have."""
    hosts, groups = inventory(planes, workers)
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    return hosts, groups


def plans():
    long, groups = inventory(3, 2)
    names = {host: "%s.a-quite-long-name-of-a-rack.a-data-centre.example.com" % host for host in long}
    return {
        "new": planner.cluster_plan(*inventory(3, 1)),
        "many": planner.cluster_plan(*inventory(5, 60)),
        "k3s": planner.cluster_plan(*inventory(1, 3, memory=2**30)),
        "refused": planner.cluster_plan(*inventory(2, 62, memory=2**29)),
        "done": planner.cluster_plan(*running()),
        "empty": planner.cluster_plan({}, {}),
        "long names": planner.cluster_plan(
            {names[host]: row for host, row in long.items()},
            {group: [names[host] for host in members] for group, members in groups.items()},
        ),
    }


PLANS = plans()


@pytest.mark.parametrize("name", PLANS)
def test_every_line_fits_the_terminal(name):
    made = plan_text.lines(PLANS[name], "inventory.yml")
    assert made and all(line.text and len(line.text) <= lines.COLUMNS for line in made)
    assert len(made) < 40
    assert plan_text.text(PLANS[name], "inventory.yml") == [line.text for line in made]


@pytest.mark.parametrize("name", PLANS)
def test_a_run_says_less(name):
    brief, full = (plan_text.lines(PLANS[name], brief=brief) for brief in (True, False))
    assert set(brief) <= set(full) and len(brief) < len(full)
    assert {line for line in full if line.kind in (Kind.WARNING, Kind.REFUSAL)} <= set(brief)


def test_alike_nodes_share_a_line():
    made = plan_text.text(PLANS["many"])
    assert "  60: w-1 to w-60  worker         4     4.0 GiB  3.92 CPUs, 2.9 GiB  new" in made
    assert "  64 new nodes (cp-2 to cp-5, w-1 to w-60): pull images, then join the cluster" in made


def test_a_refused_plan_claims_nothing():
    made = plan_text.lines(PLANS["refused"])
    assert "not planned" in "".join(line.text for line in made)
    assert not any("as it should be" in line.text or line.text == "To do:" for line in made)
    assert [line.text[:9] for line in made if line.kind is Kind.REFUSAL][0] == "refused: "
    assert made[-1].text.strip().endswith("INVENTORY") and todo.tasks(PLANS["refused"]) == []


def test_a_running_cluster_is_not_offered_the_other_distribution():
    assert summary.alternatives(PLANS["new"]) == ["To get K3s instead: set kube_distribution: k3s"]
    assert PLANS["done"]["alternatives"] and summary.alternatives(PLANS["done"]) == []


def test_new_changed_and_unchanged_nodes_are_told_apart():
    hosts, groups = running(3, 1)
    hosts["w-1"]["info"]["files"].pop("/etc/containerd/config.toml")
    more, groups = inventory(3, 2)
    plan = planner.cluster_plan({**more, **hosts}, groups)
    assert [todo.state(plan["nodes"][host]) for host in ("cp-1", "w-1", "w-2")] == ["unchanged", "changes", "new"]
    assert summary.headline(plan).endswith("; 1 new, 1 to change, 3 unchanged.")
    texts = [str(task) for task in todo.tasks(plan)]
    assert texts[0].startswith("w-1: containerd (/etc/containerd/config.toml is missing")
    assert texts[1].startswith("w-2: set kernel modules and sysctls; install about 317 MB of programs: containerd ")


def test_findings_of_many_nodes_are_one_line():
    nodes = PLANS["many"]["nodes"]
    rows = [{"id": "disk.small", "node": host, "text": "%s: free some space" % host} for host in nodes]
    rows += [
        {"id": "memory.small", "node": host, "text": "%s has %d MiB" % (host, at)} for at, host in enumerate(nodes)
    ]
    rows += [
        {"id": "untyped", "node": None, "text": "w-7: odd"},
        {"id": "x.y", "node": None, "text": "the cluster is odd"},
    ]
    assert [str(item) for item in summary.found(rows, nodes)] == [
        "cp-1 to cp-5, w-1 to w-60 (65 nodes): free some space",
        "cp-1 to cp-5, w-1 to w-60 (65 nodes) have 0 MiB (the others alike)",
        "w-7: odd",
        "the cluster is odd",
    ]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (["w-10", "w-2", "w-1"], "w-1, w-2, w-10"),
        (["w-%d" % number for number in range(1, 11)], "w-1 to w-10"),
        (["n09", "n10", "n11", "n12"], "n09 to n12"),
        (["r1n1", "r2n1", "r3n1"], "r1n1, r2n1, r3n1"),
        (["h%d" % number for number in range(0, 40, 2)], "h0, h2, h4, h6, h8, h10 and 14 more"),
        ([], ""),
    ],
)
def test_names(hosts, words):
    assert names(hosts) == words


@pytest.mark.parametrize(
    ("address", "link", "page"),
    [
        (None, "", ""),
        ("docs/networks.md", summary.DOCS + "docs/networks.md", "collection documentation: networks"),
        ("https://etcd.io/docs/faq/#what-is-it", "https://etcd.io/docs/faq/#what-is-it", "etcd.io: what is it"),
        ("https://kubernetes.io/releases/", "https://kubernetes.io/releases/", "kubernetes.io: releases"),
    ],
)
def test_sources_have_names(address, link, page):
    assert summary.source(address) == (link, page)
