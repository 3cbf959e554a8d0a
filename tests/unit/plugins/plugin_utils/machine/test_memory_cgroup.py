# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small boards: a memory cgroup that is off, a journal on a card."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import plan_findings
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, texts

FILE = "/boot/firmware/cmdline.txt"


def boards(inputs=None, file=FILE, cmdline="console=tty1 quiet", off=True, kind="k3s"):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **(inputs or {})})
    for row in hosts.values():
        row["info"]["board"] = {
            "model": "Raspberry Pi 4",
            "raspberry_pi": True,
            "cmdline_file": file,
            "cmdline": cmdline,
        }
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
        ({}, "Set kube_allow_reboot: true to add cgroup_memory=1"),
        (
            {"file": None, "inputs": {"kube_allow_reboot": True}},
            "Add cgroup_memory=1 cgroup_enable=memory to the kernel's command line",
        ),
        ({"cmdline": "quiet cgroup_enable=memory", "inputs": {"kube_allow_reboot": True}}, "boot another kernel"),
    ],
)
def test_else_it_is_refused_with_the_way_out(case, words):
    refusals = planner.cluster_plan(*boards(**case))["refusals"]
    assert "memory_cgroup.off node=w-1" in described(refusals)
    # The ways out have one id.
    assert all(words in text for text in texts(refusals))


def on_cards(**inputs):
    hosts, groups = boards(inputs, off=False)
    for row in hosts.values():
        for disk in row["info"]["disks"].values():
            disk["kind"] = "sd"
    return hosts, groups


def test_a_journal_on_a_card_is_told_of_and_kept_in_memory_by_wish():
    assert "journald.on_card node=w-1" in described(planner.cluster_plan(*on_cards())["warnings"])
    hosts, groups = on_cards(kube_journald="volatile")
    plan = planner.cluster_plan(hosts, groups)
    assert "journald.on_card" not in ids(plan["warnings"])
    assert plan["nodes"]["w-1"]["settings"]["journald"] == "volatile"


def test_a_journal_that_is_in_memory_already_wears_nothing_out():
    hosts, groups = on_cards()
    hosts["w-1"]["info"]["board"]["journal"] = "memory"
    warnings = [row for row in described(planner.cluster_plan(hosts, groups)["warnings"]) if row.startswith("journald")]
    assert warnings == ["journald.on_card node=cp-1"]


def test_the_journal_lies_where_var_log_does():
    hosts, groups = on_cards()
    for row in hosts.values():
        row["info"]["disks"]["/var/log"] = {"mount": "/", "kind": "nvme", "read_only": False}
    assert "journald.on_card" not in ids(planner.cluster_plan(hosts, groups)["warnings"])


def test_journald_that_did_not_read_its_file_is_started_anew():
    hosts, groups = boards({"kube_journald": "volatile"}, off=False)
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    assert planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["steps"] == {}
    hosts["w-1"]["info"]["owned"]["settings"] = {}
    assert "journald has not read" in planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["steps"]["settings"][0]


ON = "console=tty1 cgroup_memory=1 cgroup_enable=memory"


def test_words_that_a_reset_took_out_before_the_reboot_come_back_without_one():
    hosts, groups = boards({"kube_allow_reboot": True}, cmdline=ON, off=False)
    for row in hosts.values():
        row["info"]["board"]["cmdline_next"] = "console=tty1"
    node = planner.cluster_plan(hosts, groups)["nodes"]["w-1"]
    assert node["settings"]["kernel_arguments"]["file"] == FILE and "reboot" not in node["steps"]
    for row in hosts.values():
        row["inputs"].pop("kube_allow_reboot")
    plan = planner.cluster_plan(hosts, groups)
    assert "kernel_arguments" not in plan["nodes"]["w-1"]["settings"]
    expected = "memory_cgroup.off_after_reboot node=w-1 value=%s limit=cgroup_enable=memory" % FILE
    assert expected in described(plan["warnings"])


@pytest.mark.parametrize("following", [ON, None])
def test_words_that_stay_are_no_news(following):
    hosts, groups = boards(cmdline=ON, off=False)
    for row in hosts.values():
        row["info"]["board"]["cmdline_next"] = following
    plan = planner.cluster_plan(hosts, groups)
    assert "memory_cgroup.off_after_reboot" not in ids(plan["warnings"])


def written(before, now):
    hosts, groups = boards({"kube_allow_reboot": True})
    for row in hosts.values():
        row["info"]["board"].update(cmdline_next=ON, boot=now)
        row["info"]["owned"] = {
            "files": {},
            "settings": {"kernel_arguments": {"file": FILE, "words": [], "boot": before}},
        }
    return planner.cluster_plan(hosts, groups)


def test_a_run_that_was_killed_before_the_reboot_makes_it():
    plan = written("one", "one")
    assert plan["refusals"] == [] and plan["nodes"]["w-1"]["steps"]["reboot"]


def test_a_file_that_the_firmware_does_not_read_is_no_reason_to_reboot_for_ever():
    refusals = written("one", "two")["refusals"]
    assert "memory_cgroup.off node=w-1" in described(refusals)
    assert all("the file that the firmware reads" in text for text in texts(refusals))


def test_running_workers_are_rebooted_one_at_a_time():
    hosts, groups = inventory(1, 3, {"kube_distribution": "k3s", "kube_allow_reboot": True, "kube_workers_at_once": 3})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    for host in groups["kube_node"]:
        hosts[host]["info"]["board"] = {"model": None, "raspberry_pi": True, "cmdline_file": FILE, "cmdline": "quiet"}
        hosts[host]["info"]["cgroup"]["controllers"] = ["cpu", "cpuset", "pids"]
    nodes = planner.cluster_plan(hosts, groups)["nodes"]
    assert all(nodes[host]["joined"] and nodes[host]["stages"] == ["change"] for host in groups["kube_node"])


def test_ansible_does_not_reboot_its_own_machine():
    hosts, groups = boards({"kube_allow_reboot": True})
    plan = planner.cluster_plan(hosts, groups)
    told = plan_findings.cannot_reboot(plan, {"cp-1": {}, "w-1": {"local": True}})
    assert described(told) == ["reboot.ansible_runs_here node=w-1"] and FILE in told[0].text


def test_k3s_has_its_etcd_below_its_own_directory():
    hosts, groups = inventory(3, 0, {"kube_distribution": "k3s", "kube_data_dir": "/srv"})
    for row in hosts.values():
        row["info"]["disks"]["/var/lib/etcd"] = {"mount": "/", "kind": "sd", "read_only": False}
        row["info"]["disks"]["/srv/rancher/k3s/server/db/etcd"] = {"mount": "/srv", "kind": "ssd", "read_only": False}
    assert "distribution.weak_machine" not in ids(planner.cluster_plan(hosts, groups)["warnings"])


def test_etcd_on_cards_is_told_of():
    hosts, groups = inventory(3, 0, {"kube_distribution": "k3s"})
    for row in hosts.values():
        row["info"]["disks"]["/var/lib/etcd"] = {"mount": "/", "kind": "sd", "read_only": False}
    warnings = described(planner.cluster_plan(hosts, groups)["warnings"])
    assert "distribution.weak_machine node=cp-2 value=sd limit=ssd, nvme" in warnings
