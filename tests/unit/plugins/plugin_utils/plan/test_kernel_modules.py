# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels without the modules of the runtime, of kube-proxy's mode or of the network plugin are refused by name."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

IPTABLES = {"kube_proxy_mode": "iptables"}


def plan_of(modules, kind="kubeadm", release=(6, 1, 0), joined=False, **inputs):
    hosts, groups = inventory(1, 1, {"kube_distribution": kind, **inputs})
    if joined:
        plan = planner.cluster_plan(hosts, groups)
        for host, row in hosts.items():
            row["info"] = applied(row["info"], plan["nodes"][host], plan)
    for row in hosts.values():
        row["info"]["kernel"]["modules"].update(modules)
        row["info"]["kernel"]["version"] = list(release)
    return planner.cluster_plan(hosts, groups)


@pytest.mark.parametrize(
    ("modules", "inputs", "missing"),
    [
        ({"nf_conntrack": "missing"}, {}, ["nf_conntrack"]),
        ({"nf_tables": "missing"}, {"kube_network": {"plugin": "bridge"}}, ["nf_tables"]),
        ({"nf_tables": "missing"}, {"kube_network": {"plugin": "kube-router"}}, []),
        ({"ip_set": "missing"}, {"kube_network": {"plugin": "kube-router"}}, ["ip_set"]),
        ({"xt_set": "missing"}, {"kube_network": {"plugin": "bridge"}}, []),
        ({"nf_tables": "missing"}, {"kube_proxy_mode": "nftables", "kube_network": {"plugin": "none"}}, ["nf_tables"]),
        ({"xt_comment": "missing", "xt_addrtype": "missing"}, IPTABLES, ["xt_comment", "xt_addrtype"]),
        ({"xt_MASQUERADE": "missing"}, IPTABLES, []),
        ({"xt_MASQUERADE": "missing", "ipt_MASQUERADE": "missing"}, IPTABLES, ["xt_MASQUERADE"]),
        ({"xt_comment": "missing"}, {"kube_proxy_mode": "nftables"}, []),
        ({"xt_comment": "unknown", "xt_mark": "available", "xt_nat": "builtin"}, IPTABLES, []),
        ({"ip_tables": "missing", "nf_tables": "loaded"}, IPTABLES, ["ip_tables"]),
        ({"ip_tables": "missing", "nft_compat": "available"}, IPTABLES, []),
        (
            {"ip_tables": "missing", "xt_comment": "missing"},
            {**IPTABLES, "kubeadm_init_config": {"skipPhases": ["addon/kube-proxy"]}},
            [],
        ),
        ({"xt_comment": "missing"}, {**IPTABLES, "kubeadm_cluster_config": {"proxy": {"disabled": True}}}, []),
    ],
)
def test_modules_by_plugin_and_proxy_mode(modules, inputs, missing):
    found = described(plan_of(modules, **inputs)["refusals"])
    assert found == [
        "kernel.module_missing node=%s value=%s" % (host, name) for host in ("cp-1", "w-1") for name in missing
    ]


def test_k3s_needs_them_too_unless_it_runs_without_kube_proxy():
    found = described(plan_of({"xt_comment": "missing"}, "k3s")["refusals"])
    assert found == ["kernel.module_missing node=%s value=xt_comment" % host for host in ("cp-1", "w-1")]
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", "k3s_config": {"disable-kube-proxy": True}})
    hosts["cp-1"]["info"]["kernel"]["modules"]["xt_comment"] = "missing"
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
def test_a_kernel_that_has_only_nftables(kind):
    plan = plan_of({"ip_tables": "missing", "nf_tables": "loaded"}, kind, (7, 0, 0))
    assert plan["refusals"] == [] and plan["proxy_mode"] == "nftables"
    assert [row["value"] for row in plan["reasons"] if row["rule"] == "proxy_mode"] == ["ip_tables"]


def test_a_kernel_that_is_too_old_for_nftables():
    plan = plan_of({"ip_tables": "missing", "nf_tables": "loaded"}, release=(5, 10, 0))
    assert described(plan["refusals"]) == [
        "kernel.module_missing node=%s value=ip_tables" % host for host in ("cp-1", "w-1")
    ]


def test_a_member_runs_with_what_it_has():
    assert plan_of({"xt_comment": "missing", "nf_tables": "missing"}, joined=True)["refusals"] == []
