# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site changes running nodes under the cluster's lock, which a healthy control plane keeps."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import slices


def info(healthy):
    return {"cluster": {"live": {"healthy": healthy}}}


def test_another_healthy_control_plane_is_asked():
    plan = {"control_planes": ["cp-1", "cp-2", "cp-3"]}
    infos = {"cp-1": info(True), "cp-2": info(False), "cp-3": info(True), "w-1": {}}
    assert [slices.asked(plan, infos, host) for host in ("cp-1", "cp-2", "w-1")] == ["cp-3", "cp-1", "cp-1"]


def test_the_only_one_is_asked_itself_and_without_one_nobody_is():
    assert slices.asked({"control_planes": ["cp-1"]}, {"cp-1": info(True)}, "cp-1") == "cp-1"
    assert slices.asked({"control_planes": ["cp-1"]}, {"cp-1": info(False)}, "cp-1") is None
    assert slices.asked({"control_planes": []}, {}, "w-1") is None


def test_the_change_is_between_the_lock_and_its_release():
    node = {"needs": ["parts"], "steps": {"control-plane": ["x"]}, "asked": "cp-2"}
    names = ["enter", "parts", "reconfigure", "gate", "leave"]
    assert [row["tasks"] for row in slices._change("kubeadm", [node])] == names
    assert [row["tasks"] for row in slices._change("kubeadm", [{**node, "asked": None}])] == names[1:-1]


def test_the_lock_is_kept_from_the_first_node_to_the_last():
    stages = {
        "endpoint": ["w-9"],
        "join": ["w-8"],
        "change": ["cp-1", "cp-2"],
        "roll": ["w-1", "w-2"],
        "leader": ["cp-1"],
    }
    everyone = [host for hosts in stages.values() for host in hosts]
    assert slices.last_to_change(stages, everyone) == "w-2"
    assert slices.last_to_change(stages, ["cp-1", "cp-2", "w-1"]) == "w-1"  # --limit leaves w-2 out
    assert slices.last_to_change(stages, ["cp-1", "cp-2"]) == "cp-2"
    assert slices.last_to_change(stages, ["w-8", "w-9"]) is None and slices.last_to_change({}, everyone) is None
