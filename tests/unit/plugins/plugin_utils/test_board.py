# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small boards: a memory cgroup that is off, a journal on a card."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

FILE = "/boot/firmware/cmdline.txt"


def boards(inputs=None, file=FILE, cmdline="console=tty1 quiet", off=True, kind="k3s"):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **(inputs or {})})
    for row in hosts.values():
        row["info"]["board"] = {"model": "Raspberry Pi 4", "raspberry_pi": True, "cmdline_file": file, "cmdline": cmdline}
        if off:
            row["info"]["cgroup"]["controllers"] = ["cpu", "cpuset", "pids"]
    return hosts, groups


@pytest.mark.parametrize("kind", ["k3s", "kubeadm"])
def test_where_a_reboot_is_allowed_it_is_switched_on(kind):
    plan = planner.cluster_plan(*boards({"kube_allow_reboot": True}, kind=kind))
    assert plan["refusals"] == []
    node = plan["nodes"]["w-1"]
    assert node["settings"]["kernel_arguments"] == {"file": FILE, "words": ["cgroup_memory=1", "cgroup_enable=memory"]}
    assert node["steps"]["reboot"] and "prepare" in node["stages"]


def test_after_the_reboot_nothing_is_left_to_do():
    hosts, groups = boards({"kube_allow_reboot": True})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["info"]["cgroup"]["controllers"].append("memory")
    again = planner.cluster_plan(hosts, groups)
    assert again["refusals"] == [] and all(node["steps"] == {} for node in again["nodes"].values())


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({}, "w-1: the kernel's memory cgroup is off, which the kubelet needs; set kube_allow_reboot: true, and cgroup_memory=1"),
        ({"file": None, "inputs": {"kube_allow_reboot": True}}, "add cgroup_memory=1 cgroup_enable=memory to the kernel's command line and reboot"),
        (
            {"cmdline": "quiet cgroup_enable=memory", "inputs": {"kube_allow_reboot": True}},
            "it was booted with cgroup_enable=memory all the same: take another kernel",
        ),
    ],
)
def test_else_it_is_refused_with_the_way_out(case, words):
    refusals = planner.cluster_plan(*boards(**case))["refusals"]
    assert any(words in text for text in refusals), refusals


def on_cards(**inputs):
    hosts, groups = boards(inputs, off=False)
    for row in hosts.values():
        for disk in row["info"]["disks"].values():
            disk["kind"] = "sd"
    return hosts, groups


def test_a_journal_on_a_card_is_told_of_and_kept_in_memory_by_wish():
    assert any("w-1: its journal is written to a card" in text for text in planner.cluster_plan(*on_cards())["warnings"])
    hosts, groups = on_cards(kube_journald="volatile")
    plan = planner.cluster_plan(hosts, groups)
    assert not any("journal" in text for text in plan["warnings"])
    assert plan["nodes"]["w-1"]["settings"]["journald"] == "volatile"


def test_etcd_on_cards_is_told_of():
    hosts, groups = inventory(3, 0, {"kube_distribution": "k3s"})
    for row in hosts.values():
        row["info"]["disks"]["/var/lib/etcd"] = {"mount": "/", "kind": "sd", "read_only": False}
    warnings = planner.cluster_plan(hosts, groups)["warnings"]
    assert any("cp-2 has its etcd on an SD card" in text for text in warnings), warnings
