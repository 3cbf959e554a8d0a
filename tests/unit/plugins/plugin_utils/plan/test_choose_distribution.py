# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an expert would choose, written down with the reason before the code was asked; and what must hold for any machines."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import (
    choose_distribution as decision,
    distribution_rules as rules,
    planner,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    GIB,
    inventory,
    machine,
    texts,
)
from hypothesis import given, settings, strategies as st

MIB = 2**20
ARM64 = {"architecture": {"name": "arm64", "raw": "aarch64", "bits": 64}}
ARM = {"architecture": {"name": "arm", "raw": "armv7l", "bits": 32}}
POWER = {"architecture": {"name": "ppc64le", "raw": "ppc64le", "bits": 64}}
MAINFRAME = {"architecture": {"name": "s390x", "raw": "s390x", "bits": 64}}
RISCV = {"architecture": {"name": "riscv64", "raw": "riscv64", "bits": 64}}
ALPINE = {"init": "openrc"}
MARIADB = {"kube_needs": ["external_database"], "k3s_datastore_endpoint": "mysql://u:p@tcp(db)/k"}
OWN_ETCD = {"kubeadm_cluster_config": {"etcd": {"external": {"endpoints": ["https://e1:2379"]}}}}
OURS = {"cluster": {"kind": "kubeadm", "kubelet_conf": True}}
OURS_K3S = {"cluster": {"kind": "k3s"}}


def disk(kind):
    return {"disks": {"/var/lib/etcd": {"mount": "/", "free_bytes": 50 * GIB, "kind": kind, "read_only": False}}}


def pi(memory, kind="sd", **more):
    return {**ARM64, **disk(kind), "memory": memory, **more}


def server(**more):
    return {"memory": 16 * GIB, "cpus": 8, **disk("nvme"), **more}


# name, control planes, workers, inputs: the distribution, the datastore, and the rules that say why.
CLUSTERS = [
    ("three servers: nothing against kubeadm", [server()] * 3, [server()] * 3, {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("one small virtual machine with 2 GiB", [{"memory": 2 * GIB, "cpus": 2}], [], {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("a virtual machine with 1 GiB", [{"memory": GIB, "cpus": 2}], [], {}, "k3s", "SQLite", "memory datastore"),
    ("a virtual machine with one CPU", [{"cpus": 1}], [], {}, "k3s", "SQLite", "cpus datastore"),
    ("Pi Zero 2 W, 32 bits", [], [{**ARM, "memory": 415 * MIB}], {}, "k3s", "SQLite", "architecture memory datastore"),
    ("Pi 4 with 8 GB on an SD card: etcd would wear it out", [pi(8 * GIB)], [], {}, "k3s", "SQLite", "etcd_disk datastore"),
    ("Pi 4 with 8 GB on an SSD", [pi(8 * GIB, "ssd")], [], {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("three Pi 5 on NVMe", [pi(8 * GIB, "nvme")] * 3, [], {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("three Pi 4 on SD cards", [pi(4 * GIB)] * 3, [], {}, "k3s", "embedded etcd", "etcd_disk etcd_disk etcd_disk etcd"),
    ("strong servers, a Pi 3B+ as worker: it has 1 GB", [server()] * 3, [pi(925 * MIB)], {}, "k3s", "embedded etcd", "memory etcd"),
    ("strong servers, an armv7 worker", [server()] * 3, [{**ARM, "memory": 2 * GIB}], {}, "k3s", "embedded etcd", "architecture etcd"),
    ("strong servers, arm64 workers on SD cards", [server()] * 3, [pi(4 * GIB)] * 4, {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("Alpine with OpenRC", [server(**ALPINE)], [], {}, "k3s", "SQLite", "init datastore"),
    ("Power servers", [server(**POWER)] * 3, [], {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("a mainframe's guests among amd64", [server()] * 3, [server(**MAINFRAME)], {}, "kubeadm", "stacked etcd", "memory etcd"),
    ("PostgreSQL is there and to be used", [server()] * 3, [], {"kube_needs": ["external_database"]}, "k3s", "external database", "need datastore"),
    ("MariaDB is there and to be used", [server()], [], MARIADB, "k3s", "external MySQL", "need datastore"),
    ("an etcd of one's own", [server()] * 3, [], OWN_ETCD, "kubeadm", "external etcd", "memory datastore"),
    ("as small as can be, on strong machines", [server()], [], {"kube_needs": ["low_footprint"]}, "k3s", "SQLite", "need datastore"),
    ("Windows workers, few resources", [server()], [], {"kube_needs": ["windows_workers", "low_footprint"]}, "kubeadm", "stacked etcd", "need etcd"),
    ("the user wants K3s on servers", [server()] * 3, [], {"kube_distribution": "k3s"}, "k3s", "embedded etcd", "requested etcd"),
    ("the user wants kubeadm on a Pi with an SD card", [pi(8 * GIB)], [], {"kube_distribution": "kubeadm"}, "kubeadm", "stacked etcd", "requested etcd"),
    ("the user accepts small nodes", [{"memory": GIB, "cpus": 2}], [], {"kube_allow_small_nodes": True}, "kubeadm", "stacked etcd", "memory etcd"),
    ("K3s runs there", [server(**OURS_K3S)], [], {}, "k3s", "SQLite", "installed datastore"),
    ("kubeadm runs there, and a Pi 3B+ is added", [server(**OURS)], [pi(925 * MIB)], {}, "kubeadm", "stacked etcd", "installed etcd"),
]  # fmt: skip


def decided(control_planes, workers, inputs=None):
    """The decision on machines given as their differences from an ordinary one."""
    if not control_planes:
        control_planes, workers = workers, []
    nodes = {}
    for role, machines, prefix in (("control_plane", control_planes, "cp"), ("worker", workers, "w")):
        for number, changes in enumerate(machines):
            name = "%s-%d" % (prefix, number + 1)
            nodes[name] = {"name": name, "role": role, "info": machine(name, **copy.deepcopy(changes))}
    shared = {"kube_distribution": "auto", "kube_needs": [], "kube_allow_small_nodes": False, **(inputs or {})}
    names = [name for name, node in nodes.items() if node["role"] == "control_plane"]
    return decision.decide(nodes, shared, names)


@pytest.mark.parametrize("name, planes, workers, inputs, distribution, datastore, why", CLUSTERS)
def test_an_expert_agrees(name, planes, workers, inputs, distribution, datastore, why):
    found = decided(planes, workers, inputs)
    assert (found.distribution, found.datastore) == (distribution, datastore), name
    assert " ".join(row["rule"] for row in found.reasons) == why
    assert all(row["text"] and row["source"] or row["rule"] in ("requested", "installed") for row in found.reasons)


def test_numbers_and_nodes_are_named():
    found = decided([server()] * 3, [pi(925 * MIB)])
    (reason,) = [row for row in found.reasons if row["rule"] == "memory"]
    assert reason["node"] == "w-1" and reason["text"] == "K3s: w-1 has 925.0 MiB of memory, kubeadm needs 1.7 GiB"
    assert found.alternatives == [
        {
            "distribution": "kubeadm",
            "text": "To get kubeadm instead: correct this: w-1 has 925.0 MiB of memory, kubeadm needs 1.7 GiB",
        }
    ]


def test_the_users_word_wins_and_is_warned_about():
    found = decided([pi(8 * GIB)], [], {"kube_distribution": "kubeadm"})
    assert described(found.problems.warnings) == ["distribution.weak_machine node=cp-1 value=sd limit=ssd, nvme"]
    found = decided([{"memory": GIB, "cpus": 1}], [], {"kube_distribution": "k3s"})
    assert described(found.problems.warnings) == [
        "distribution.weak_machine node=cp-1 value=%d limit=%d" % (GIB, 1700 * MIB),
        "distribution.weak_machine node=cp-1 value=1 limit=2",
    ]


@pytest.mark.parametrize(
    "planes, workers, inputs, said",
    [
        ([server(**RISCV)], [], {}, "distribution.impossible node=cp-1 value=riscv64 limit=amd64, arm64, arm"),
        (
            [server(**ALPINE)],
            [server(**POWER)],
            {},
            "distribution.impossible node=w-1 value=ppc64le limit=amd64, arm64, arm",
        ),
        (
            [server()],
            [],
            {"kube_needs": ["external_database", "windows_workers"]},
            "needs.contradict value=external_database, windows_workers",
        ),
        (
            [server()],
            [],
            {"kube_needs": ["external_database"], "kube_distribution": "kubeadm"},
            "needs.unmet value=external_database limit=k3s",
        ),
        (
            [server()],
            [],
            {"kube_needs": ["windows_workers"], "kube_distribution": "k3s"},
            "needs.unmet value=windows_workers limit=kubeadm",
        ),
        (
            [server(**POWER)],
            [],
            {"kube_needs": ["low_footprint"]},
            "distribution.impossible node=cp-1 value=ppc64le limit=amd64, arm64, arm",
        ),
        (
            [server(cluster={"kind": "k3s"})],
            [],
            {"kube_distribution": "kubeadm"},
            "distribution.fixed value=kubeadm limit=k3s",
        ),
    ],
)
def test_what_cannot_be(planes, workers, inputs, said):
    assert said in described(decided(planes, workers, inputs).problems.refusals)


# -- properties
# -----------------------------------------------------------------------------------------------------------

KINDS = ({}, ARM64, ARM, POWER, RISCV, ALPINE)
machines_of = st.builds(
    lambda memory, cpus, kind, place: {"memory": memory * MIB, "cpus": cpus, **kind, **disk(place)},
    st.integers(200, 8192),
    st.integers(1, 16),
    st.sampled_from(KINDS),
    st.sampled_from(("ssd", "nvme", "hdd", "sd", "emmc", "virtual", "unknown")),
)
clusters_of = st.tuples(st.lists(machines_of, min_size=1, max_size=3), st.lists(machines_of, max_size=4))


@settings(max_examples=200, deadline=None)
@given(clusters_of, st.integers(0, 6), st.integers(1, 8192))
def test_more_memory_never_moves_a_cluster_to_k3s(cluster, which, more):
    planes, workers = cluster
    before = decided(planes, workers).distribution
    richer = copy.deepcopy(planes + workers)
    richer[which % len(richer)]["memory"] += more * MIB
    after = decided(richer[: len(planes)], richer[len(planes) :]).distribution
    assert (before, after) != ("kubeadm", "k3s")


@settings(max_examples=200, deadline=None)
@given(clusters_of, machines_of)
def test_another_worker_never_moves_a_cluster_to_kubeadm_where_k3s_can_be(cluster, worker):
    planes, workers = cluster
    before, after = decided(planes, workers), decided(planes, workers + [worker])
    if before.distribution == "k3s" and after.distribution == "kubeadm":
        # Only a machine for which K3s has no release does that.
        assert worker.get("architecture", {}).get("name") in ("ppc64le", "riscv64")


@settings(max_examples=200, deadline=None)
@given(clusters_of, st.randoms())
def test_the_order_of_hosts_does_not_matter(cluster, random):
    planes, workers = cluster
    hosts, groups = inventory(len(planes), len(workers))
    for name, changes in zip(hosts, planes + workers):
        address = hosts[name]["info"]["network"]["default_ipv4"]["address"]
        hosts[name]["info"] = machine(name, address, **changes)
    names = list(hosts)
    random.shuffle(names)
    turned = {name: hosts[name] for name in names}
    shuffled = {name: random.sample(members, len(members)) for name, members in groups.items()}
    assert planner.cluster_plan(turned, shuffled) == planner.cluster_plan(hosts, groups)


@settings(max_examples=200, deadline=None)
@given(clusters_of)
def test_a_refusal_goes_when_its_way_out_is_taken(cluster):
    """ "Remove NODES from the inventory" makes the rest work."""
    planes, workers = cluster
    for text in texts(decided(planes, workers).problems.refusals):
        gone = text.rpartition(". Remove ")[2].partition(" from the")[0].split(", ")
        left = [row for number, row in enumerate(planes) if "cp-%d" % (number + 1) not in gone]
        if left:
            rest = [row for number, row in enumerate(workers) if "w-%d" % (number + 1) not in gone]
            assert not decided(left, rest).problems.refusals


def test_every_rule_of_the_guide_has_a_source():
    assert {row[0] for row in rules.table()} >= {
        "installed",
        "requested",
        "need",
        *rules.MACHINE_RULES,
        "etcd",
        "default",
    }
    own = {rule for rule, _what, _does, source in rules.table() if not source.startswith("https://")}
    assert own == {"installed", "requested", "network"}


def test_a_release_of_k3s_asks_for_k3s():
    hosts, groups = inventory(1, 1, inputs={"kube_version": "v1.36.1+k3s1"})
    plan = planner.cluster_plan(hosts, groups)
    assert (plan["refusals"], plan["distribution"], plan["release"]) == ([], "k3s", "v1.36.1+k3s1")
    hosts, groups = inventory(1, 1, inputs={"kube_version": "v1.36.1+k3s1", "kube_distribution": "kubeadm"})
    plan = planner.cluster_plan(hosts, groups)
    assert described(plan["refusals"]) == ["version.of_other_distribution value=v1.36.1+k3s1 limit=kubeadm"]


def test_hosts_that_cannot_run_it_for_one_reason_are_named_together():
    found = texts(decided([{"init": "other"}] * 3, [{"init": "other"}] * 5).problems.refusals)
    assert len(found) == 1 and "cp-1, cp-2, cp-3 and w-1 to w-5 have " in found[0] and found[0].count(" needs ") == 1
