# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the operating system that a node depends on: packages, SELinux, and whether two hosts are one machine."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import (
    inventory,
    machine,
    texts,
)

ROCKY = {"id": "rocky", "family": "redhat", "version_id": "9.5"}


def plan_of(kind, facts, **inputs):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **inputs})
    for row in hosts.values():
        row["info"].update(facts)
    return planner.cluster_plan(hosts, groups)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("debian", ["conntrack", "iproute2", "iptables", "kmod", "mount"]),
        ("redhat", ["conntrack-tools", "iproute", "iptables", "kmod", "util-linux"]),
        ("suse", ["conntrack-tools", "iproute2", "iptables", "kmod", "util-linux"]),
        ("arch", ["conntrack-tools", "iproute2", "iptables", "kmod", "util-linux"]),
    ],
)
def test_packages_have_the_names_of_the_family(family, names):
    facts = {"commands": {"nft": "/sbin/nft", "haproxy": "/sbin/haproxy"}, "os": {"id": "x", "family": family}}
    plan = plan_of("kubeadm", facts)
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["packages"] == names


@pytest.mark.parametrize("family", ["debian", "redhat", "arch", "alpine", "other"])
def test_k3s_brings_the_programs_that_it_calls(family):
    facts = {"commands": {}, "os": {"id": "x", "family": family}}
    plan = plan_of("k3s", facts)
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["packages"] == []


@pytest.mark.parametrize(
    "facts",
    [{"os": {"id": "nixos", "family": "other"}}, {"os": {"id": "sle-micro", "family": "suse"}, "usr_read_only": True}],
)
def test_packages_that_cannot_be_installed_are_refused_before_anything_is_changed(facts):
    commands = machine()["commands"]
    plan = plan_of("kubeadm", {**facts, "commands": {**commands, "haproxy": None}})
    wanted = ["packages.not_installable node=%s value=haproxy" % host for host in ("cp-1", "w-1")]
    assert described(plan["refusals"]) == wanted
    assert plan_of("kubeadm", {**facts, "commands": commands})["refusals"] == []


@pytest.mark.parametrize(
    ("facts", "endpoint", "refused", "warned"),
    [
        ({"selinux": "enforcing", "selinux_haproxy": False}, {}, ["cp-1", "w-1"], []),
        ({"selinux": "enforcing", "selinux_haproxy": False}, {"address": "10.0.0.100"}, ["cp-1"], []),
        ({"selinux": "enforcing", "selinux_haproxy": False}, {"mode": "external", "address": "lb.example"}, [], []),
        ({"selinux": "enforcing", "selinux_haproxy": True}, {}, [], []),
        ({"selinux": "enforcing", "selinux_haproxy": None}, {}, [], ["cp-1", "w-1"]),
        ({"selinux": "permissive", "selinux_haproxy": False}, {}, [], []),
        ({"selinux": "disabled", "selinux_haproxy": None}, {}, [], []),
    ],
)
def test_selinux_lets_haproxy_serve_the_endpoint(facts, endpoint, refused, warned):
    plan = plan_of("kubeadm", {"os": ROCKY, **facts}, kube_api_endpoint=endpoint)
    limit = "limit=haproxy_connect_any"
    assert described(plan["refusals"]) == ["selinux.haproxy node=%s value=off %s" % (host, limit) for host in refused]
    assert described(plan["warnings"]) == ["selinux.haproxy_unknown node=%s %s" % (host, limit) for host in warned]


def test_k3s_needs_no_boolean_for_haproxy_unless_it_has_one():
    facts = {"selinux": "enforcing", "selinux_haproxy": False, "selinux_k3s": True, "os": ROCKY}
    assert plan_of("k3s", facts)["refusals"] == []


def twice(**changes):
    """One machine under two names, in two groups; changes of the second name's facts."""
    info = machine("m1", "10.0.0.11", machine_id="4711", boot_id="aaaa")
    other = machine("m1", "10.0.0.11", machine_id="4711", boot_id="aaaa", **changes)
    return {"m1": {"info": info}, "w1": {"info": other}}, {"kube_control_plane": ["m1"], "kube_node": ["w1"]}


def test_one_machine_that_is_listed_twice_keeps_its_machine_id():
    (found,) = planner.cluster_plan(*twice())["refusals"]
    assert described([found]) == ["machine.listed_twice node=m1 value=['m1', 'w1']"]
    assert "/etc/machine-id" not in found["text"]


def test_copies_of_one_disk_are_different_machines():
    hosts, groups = twice()
    hosts["w1"]["info"] = machine("w1", "10.0.0.12", machine_id="4711", boot_id="bbbb")
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(found) == ["machine_id.not_unique node=m1 value=4711"] and "/etc/machine-id" in found[0]["text"]


def test_copies_behind_one_nat_are_different_machines():
    hosts, groups = twice()
    hosts["w1"]["info"] = machine("w1", "10.0.0.11", machine_id="4711", boot_id="bbbb")
    found = described(planner.cluster_plan(hosts, groups)["refusals"])
    assert found == ["address.not_unique node=m1 value=10.0.0.11", "machine_id.not_unique node=m1 value=4711"]


def test_a_copy_beside_a_machine_that_is_listed_twice():
    hosts, groups = twice()
    hosts["w2"] = {"info": machine("w2", "10.0.0.12", machine_id="4711", boot_id="bbbb")}
    groups["kube_node"].append("w2")
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert [row["id"] for row in found] == ["machine.listed_twice", "machine_id.not_unique"]
    assert found[1]["text"].startswith("m1 and w2 have the same machine ID")
    assert "on all but one of them, run" in found[1]["text"]


def test_a_member_keeps_its_machine_id_and_its_copies_change_theirs():
    hosts, groups = inventory(1, 2)
    for row in hosts.values():
        row["info"]["machine_id"] = "4711"
    hosts["cp-1"]["info"]["cluster"].update(kind="kubeadm", kubelet_conf=True, role="control_plane")
    found = [row for row in planner.cluster_plan(hosts, groups)["refusals"] if row["id"] == "machine_id.not_unique"]
    assert "on w-1, w-2, run `tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id`" in texts(found)[0]


@pytest.mark.parametrize(
    ("offset", "warned"),
    [(0.1, []), (-40, []), (-7200, ["value=-7200 limit=60"]), (86400, ["value=86400 limit=60"]), (None, [])],
)
def test_all_nodes_differ_from_the_controller(offset, warned):
    clock = {"synchronised": True, "offset_seconds": offset}
    plan = plan_of("kubeadm", {"clock": clock})
    assert plan["refusals"] == []
    assert described(plan["warnings"]) == ["clock.differs_from_controller " + row for row in warned]


@pytest.mark.parametrize(
    ("port", "process", "inputs", "warned"),
    [
        (80, "nginx", {}, True),
        (443, None, {}, True),
        (80, "k3s-server", {}, False),
        (8080, "nginx", {}, False),
        (80, "nginx", {"k3s_disable": ["traefik"]}, False),
        (80, "nginx", {"k3s_disable": ["servicelb"]}, False),
    ],
)
def test_programs_on_the_ports_of_ingress(port, process, inputs, warned):
    listening = {"ports": [{"port": port, "protocol": "tcp", "address": "::", "process": process}]}
    found = [row for row in described(plan_of("k3s", listening, **inputs)["warnings"]) if row.startswith("port.")]
    limit = " limit=%s" % process if process else ""
    hosts = ("cp-1", "w-1") if warned else ()
    assert found == ["port.of_ingress node=%s value=%d%s" % (host, port, limit) for host in hosts]
    assert not [row for row in plan_of("kubeadm", listening)["warnings"] if row["id"].startswith("port.")]
