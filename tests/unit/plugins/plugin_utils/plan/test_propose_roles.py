# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, propose_roles as layout
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import GIB, machine, texts

SD = {"disks": {"/var/lib/etcd": {"mount": "/", "free_bytes": GIB, "kind": "sd", "read_only": False}}}


def machines(**given):
    return {name.replace("_", "-"): machine(name, **changes) for name, changes in given.items()}


@pytest.mark.parametrize(
    "infos, control_planes",
    [
        (machines(b={}, a={}, c={}, d={}), ["a", "b", "c"]),
        (machines(a={}, b={}), ["a"]),
        (machines(pi={"memory": GIB}, box={"memory": 16 * GIB}, pi2={"memory": GIB}), ["box"]),
        (machines(a=SD, b=SD, c=SD, box={}), ["box"]),
        (
            machines(a={"memory": 8 * GIB}, b={"memory": 64 * GIB}, c={"memory": 32 * GIB}, d={"memory": 16 * GIB}),
            ["b", "c", "d"],
        ),
        (machines(a={"memory": GIB}, b={"memory": GIB // 2}), ["a"]),
        ({}, []),
    ],
)
def test_the_strongest_become_control_planes(infos, control_planes):
    found = layout.proposal(infos)
    assert found["control_planes"] == control_planes
    assert sorted(found["control_planes"] + found["workers"]) == sorted(infos)


def test_an_inventory_without_roles_is_refused_with_a_proposal():
    hosts = {name: {"info": info} for name, info in machines(a={}, b={}, c={}, d={"memory": GIB}).items()}
    (refusal,) = texts(planner.cluster_plan(hosts, {})["refusals"])
    assert refusal.endswith("put a, b, c into kube_control_plane and d into kube_node.")
    (refusal,) = texts(planner.cluster_plan(hosts, {"kube_node": ["a", "b", "c", "d"]})["refusals"])
    assert "put a, b, c into kube_control_plane" in refusal
