# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of K3s on and off, flannel's backends, SELinux: what the plan decides on its own, why, and what it refuses."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    packaged_components as k3s_parts,
    selinux as k3s_selinux,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import flannel as k3s_flannel
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network.plugin import Situation
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text as report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, texts

K3S = {"kube_distribution": "k3s"}


def planned(control_planes=1, workers=1, given=None, **changes):
    return planner.cluster_plan(*inventory(control_planes, workers, {**K3S, **(given or {})}, **changes))


def config(plan, host="cp-1"):
    return yaml.safe_load(plan["nodes"][host]["files"]["k3s"][0]["content"])


def chart(name, **more):
    return {"k3s_helm_charts": [{"name": "mine", "chart": name, **more}]}


OFF = [
    ({}, []),
    ({"k3s_disable": ["traefik"]}, ["traefik"]),
    (chart("metallb", repo="https://metallb.github.io/metallb"), ["servicelb"]),
    (chart("oci://ghcr.io/x/charts/metallb"), ["servicelb"]),
    (chart("https://x.example/metallb-0.15.2.tgz"), ["servicelb"]),
    (chart("kube-vip"), ["servicelb"]),
    (chart("kube-vip", values={"env": {"svc_enable": "false"}}), []),
    (chart("ingress-nginx"), ["traefik"]),
    (chart("haproxy-ingress"), ["traefik"]),
    (chart("contour"), ["traefik"]),
    (chart("traefik"), ["traefik"]),
    (chart("postgresql"), []),
    ({**chart("metallb", state="absent")}, []),
    ({**chart("metallb"), "k3s_keep": ["servicelb"]}, []),
    ({**chart("ingress-nginx"), "k3s_disable": ["servicelb"]}, ["servicelb", "traefik"]),
    ({"kube_needs": ["low_footprint"]}, ["metrics-server", "servicelb", "traefik"]),
    ({"kube_needs": ["low_footprint"], "k3s_keep": ["traefik", "servicelb"]}, ["metrics-server"]),
    (
        {"kube_needs": ["low_footprint"], "k3s_disable": ["local-storage"]},
        ["local-storage", "metrics-server", "servicelb", "traefik"],
    ),
    (
        {"kube_needs": ["low_footprint"], "k3s_helm_configs": [{"name": "traefik", "values": {}}]},
        ["metrics-server", "servicelb"],
    ),
]


@pytest.mark.parametrize(("given", "off"), OFF)
def test_what_is_off(given, off):
    plan = planned(given=given)
    assert plan["refusals"] == [] and plan["disable"] == off and config(plan).get("disable", []) == off
    reasons = {row["text"].partition(" off: ")[0]: row for row in plan["reasons"] if row["rule"] == "parts"}
    assert sorted(reasons) == sorted(set(off) - set(given.get("k3s_disable", [])))
    assert all(
        row["source"].startswith("https://docs.k3s.io/") and "k3s_keep" in row["text"] for row in reasons.values()
    )


def test_the_reason_is_shown():
    lines = report.text(planned(given=chart("metallb")))
    assert (
        "Why servicelb off: k3s_helm_charts[mine] balances Services of type LoadBalancer (k3s_keep keeps it)" in lines
    )


def test_a_network_from_a_chart():
    values = {"l2announcements": {"enabled": True}}
    plan = planned(given={**chart("cilium", bootstrap=True, values=values), "kube_network": {"plugin": "none"}})
    assert plan["refusals"] == [] and plan["disable"] == ["servicelb"]
    assert config(plan)["flannel-backend"] == "none" and config(plan)["disable-network-policy"] is True
    assert any(row["text"].startswith("flannel and K3s's NetworkPolicy off") for row in plan["reasons"])
    plan = planned(given={**chart("cilium", bootstrap=True), "kube_network": {"plugin": "none"}})
    assert plan["disable"] == []


def backend(name):
    return {"kube_network": {"options": {"backend": name}}}


UNKNOWN = "network.unknown_backend value=%s limit=vxlan, host-gw, wireguard-native"
REFUSED = [
    ({"k3s_disable": ["ingress"]}, "k3s_disable.unknown value=ingress limit=" + ", ".join(k3s_parts.PARTS)),
    ({"k3s_disable": ["traefik"], "k3s_keep": ["traefik"]}, "k3s_disable.also_kept value=traefik"),
    (chart("cilium", bootstrap=True), "helm_chart.second_network value=flannel limit=none"),
    (
        {**chart("tigera-operator"), "kube_network": {"plugin": "none"}},
        "helm_chart.network_without_bootstrap value=mine",
    ),
    (
        {**chart("postgresql"), "k3s_config": {"disable-helm-controller": True}},
        "helm_chart.no_controller value=['mine']",
    ),
    (backend("ipsec"), UNKNOWN % "ipsec"),
    (backend("udp"), UNKNOWN % "udp"),
    (backend("none"), UNKNOWN % "none"),
]


@pytest.mark.parametrize(("given", "wanted"), REFUSED)
def test_what_does_not_go_together(given, wanted):
    assert described(planned(workers=0, given=given)["refusals"]) == [wanted]


def test_switches_that_need_a_replacement():
    switches = {"disable-cloud-controller": True, "disable-kube-proxy": True, "disable-network-policy": True}
    plan = planned(given={"k3s_config": switches, "k3s_disable": ["coredns"]}, workers=0)
    assert plan["refusals"] == [] and config(plan)["disable-network-policy"] is True
    assert config(plan)["disable-kube-proxy"] is True
    wanted = ["k3s_config.no_cloud_controller", "k3s_config.no_kube_proxy", "k3s_disable.no_dns value=coredns"]
    assert described(plan["warnings"]) == wanted


def test_agents_of_another_cluster_turn_nothing_off():
    given = {
        "k3s_server_url": "https://k3s.example:6443",
        "k3s_join_token": "t",
        "kube_version": "1.36.3",
        "kube_needs": ["low_footprint"],
    }
    hosts, groups = inventory(
        0, 1, given, kernel__modules={"overlay": "available", "br_netfilter": "available", "vxlan": "missing"}
    )
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["disable"] == [] and plan["addons"] == {"wanted": {}, "kept": []}
    assert not [row for row in plan["reasons"] if row["rule"] == "parts"]
    hosts["w-1"]["inputs"]["k3s_helm_charts"] = chart("metallb")["k3s_helm_charts"]
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(refusals) == ["auto_deploy.no_server value=k3s_helm_charts"]


def test_kubeadm_has_no_packaged_components():
    assert "disable" not in planner.cluster_plan(*inventory(1, 0))


# -- flannel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "port"), [(None, "8472"), ("vxlan", "8472"), ("host-gw", None), ("wireguard-native", "51820-51821")]
)
def test_backends(backend, port):
    plan = planned(given={"kube_network": {"options": {"backend": backend} if backend else {}}})
    assert plan["refusals"] == [] and config(plan)["flannel-backend"] == (backend or "vxlan")
    assert [str(row["port"]) for row in plan["ports"] if row["purpose"].startswith("flannel")] == (
        [port] if port else []
    )


def test_a_missing_kernel_module():
    hosts, groups = inventory(1, 1, {**K3S, "kube_network": {"options": {"backend": "wireguard-native"}}})
    hosts["w-1"]["info"]["kernel"]["modules"]["wireguard"] = "missing"
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == [
        "kernel.module_missing node=w-1 value=wireguard"
    ]
    hosts["w-1"]["info"]["kernel"]["modules"] = {
        "overlay": "available",
        "br_netfilter": "available",
        "vxlan": "missing",
    }
    hosts["w-1"]["inputs"]["kube_network"] = hosts["cp-1"]["inputs"]["kube_network"] = {}
    (text,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert "vxlan" in text and "linux-modules-extra-raspi" in text


def test_host_gw_needs_one_network():
    situation = Situation(options={"backend": "host-gw"}, layer2_networks={"10.0.0.0/24": ["a"], "10.0.1.0/24": ["b"]})
    assert described(k3s_flannel.Flannel().check(situation)) == ["network.several_layer2_networks value=2 limit=1"]


@pytest.mark.parametrize(
    ("annotation", "network", "refused"),
    [
        ("vxlan", {}, False),
        ("vxlan", {"options": {"backend": "wireguard-native"}}, True),
        ("wireguard", {"options": {"backend": "wireguard-native"}}, False),
        ("vxlan", {"plugin": "none"}, True),
    ],
)
def test_a_running_network_is_not_switched(annotation, network, refused):
    hosts, groups = inventory(1, 1, K3S)
    plan = planner.cluster_plan(hosts, groups)
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
        hosts[host]["inputs"]["kube_network"] = network
    for row in hosts["cp-1"]["info"]["cluster"]["live"]["nodes"]:
        row["annotations"] = {k3s_flannel.ANNOTATION: annotation}
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert ids(found) == (["network.backend_fixed"] if refused else [])
    assert all(row["limit"] == "vxlan" for row in found)


# -- SELinux ----------------------------------------------------------------------------------------------------------

ROCKY = {"selinux": "enforcing", "selinux_k3s": False, "os": {"id": "rocky", "family": "redhat", "version_id": "9.4"}}


def test_an_enforcing_host_gets_policy_repository_and_key():
    plan = planned(**ROCKY)
    node = plan["nodes"]["w-1"]
    assert plan["refusals"] == [] and config(plan, "w-1")["selinux"] is True
    assert node["packages"] == ["container-selinux", "k3s-selinux"] and node["steps"]["packages"]
    (entry,) = node["files"]["repository"]
    assert entry["path"] == "/etc/yum.repos.d/rancher-k3s-common.repo" and node["steps"]["repository"] == [
        entry["path"] + " is missing"
    ]
    assert "baseurl=https://rpm.rancher.io/k3s/stable/common/centos/9/noarch\n" in entry["content"]
    assert "gpgcheck=1\n" in entry["content"] and "gpgkey=https://rpm.rancher.io/public.key\n" in entry["content"]


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("8.10", "8"), ("9", "9"), ("10.1", "9"), ("41", "8"), ("36", "9"), ("2023", "8"), (None, "9")],
)
def test_releases_of_the_policy(version, wanted):
    assert k3s_selinux.release({"version_id": version}) == wanted


def test_a_host_with_the_policy_gets_the_key_only():
    plan = planned(**{**ROCKY, "selinux_k3s": True})
    assert plan["nodes"]["w-1"]["packages"] == [] and plan["nodes"]["w-1"]["files"]["repository"] == []
    assert config(plan, "w-1")["selinux"] is True


def test_the_repository_stays_once_it_is_ours():
    hosts, groups = inventory(1, 0, K3S, **ROCKY)
    plan = planner.cluster_plan(hosts, groups)
    hosts["cp-1"]["info"] = {**applied(hosts["cp-1"]["info"], plan["nodes"]["cp-1"], plan), "selinux_k3s": True}
    plan = planner.cluster_plan(hosts, groups)
    assert (
        plan["refusals"] == [] and plan["nodes"]["cp-1"]["steps"] == {} and plan["nodes"]["cp-1"]["files"]["repository"]
    )


@pytest.mark.parametrize("selinux", ["permissive", "disabled", None])
def test_where_it_is_not_enforcing_nothing_is_done(selinux):
    plan = planned(**{**ROCKY, "selinux": selinux, "selinux_k3s": None})
    assert "selinux" not in config(plan) and plan["nodes"]["cp-1"]["packages"] == []


def test_the_users_setting_wins():
    plan = planned(given={"k3s_config": {"selinux": False}, "kube_data_dir": "/srv"}, **ROCKY)
    assert plan["refusals"] == [] and config(plan)["selinux"] is False and plan["nodes"]["cp-1"]["packages"] == []


POLICY = "selinux.policy_missing node=cp-1 limit=['container-selinux', 'k3s-selinux']"
SUSE = {"id": "opensuse-tumbleweed", "family": "suse", "version_id": "20261101"}


@pytest.mark.parametrize(
    ("given", "changes", "wanted"),
    [
        ({"kube_data_dir": "/srv"}, ROCKY, "selinux.data_dir node=cp-1 value=/srv limit=/var/lib/rancher"),
        ({"kube_artifacts": {"source": "https://mirror.example"}}, ROCKY, POLICY),
        ({}, {**ROCKY, "usr_read_only": True}, POLICY),
        ({}, {**ROCKY, "os": SUSE}, POLICY),
    ],
)
def test_what_cannot_be_installed_is_refused(given, changes, wanted):
    assert described(planned(workers=0, given=given, **changes)["refusals"]) == [wanted]


def test_every_part_is_known():
    assert set(k3s_parts.LIGHT) | set(k3s_parts.REPLACED) <= set(k3s_parts.PARTS)
