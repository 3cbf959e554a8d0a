# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running cluster and its members keep is refused to change: nothing moves under running pods."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids

K3S = {"kube_distribution": "k3s"}
DATABASE = {"kube_needs": ["external_database"], "k3s_datastore_endpoint": "postgres://k3s:hunter2@db:5432/k3s"}


def refused(hosts, groups):
    return planner.cluster_plan(hosts, groups)["refusals"]


@pytest.mark.parametrize("inputs", [{}, K3S])
@pytest.mark.parametrize("other", ["/srv/two", None])
def test_data_are_not_moved(inputs, other):
    hosts, groups = running({**inputs, "kube_data_dir": "/srv/one"})
    assert refused(hosts, groups) == []
    found = described(refused(with_inputs(hosts, kube_data_dir=other), groups))
    end = "rancher/k3s" if inputs else "containerd"
    assert (
        len(found) == 4
        and "data_dir.fixed node=w-1 value=%s/%s limit=/srv/one/%s"
        % (
            other or "/var/lib",
            end,
            end,
        )
        in found
    )


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_a_worker_does_not_become_a_control_plane(distribution):
    hosts, groups = running({"kube_distribution": distribution})
    moved = {"kube_control_plane": [*groups["kube_control_plane"], "w-1"], "kube_node": []}
    assert "member.wrong_role node=w-1 value=worker limit=control_plane" in described(refused(hosts, moved))
    # Its cluster is not started again on it either.
    only = {"w-1": hosts["w-1"]}
    alone = planner.cluster_plan(only, {"kube_control_plane": ["w-1"], "kube_node": []})
    assert "member.wrong_role" in ids(alone["refusals"])


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_a_control_plane_does_not_become_a_worker(distribution):
    hosts, groups = running({"kube_distribution": distribution})
    moved = {"kube_control_plane": ["cp-1", "cp-2"], "kube_node": ["cp-3", "w-1"]}
    assert "member.wrong_role node=cp-3 value=control_plane limit=worker" in described(refused(hosts, moved))


def test_a_plugin_of_the_users_is_not_replaced_when_its_input_is_dropped():
    hosts, groups = running({"kube_network": {"plugin": "none"}})
    for row in hosts.values():
        row["info"]["cluster"]["cni_conf"] = ["10-calico.conflist"]
    plan = planner.cluster_plan(with_inputs(hosts, kube_network=None), groups)
    assert plan["plugin"] == "none" and plan["refusals"] == [] and plan["nodes"]["w-1"]["steps"] == {}
    asked = with_inputs(hosts, kube_network={"plugin": "bridge"})
    assert described(refused(asked, groups)) == ["inputs.fixed value=bridge limit=none"]


def test_files_of_an_engine_on_the_host_are_no_network_plugin_of_the_cluster():
    hosts, groups = running({"kube_network": {"plugin": "kube-router"}})
    for row in hosts.values():
        row["info"]["cluster"]["cni_conf"] = ["87-podman-bridge.conflist"]
    assert planner.cluster_plan(hosts, groups)["plugin"] == "kube-router"


@pytest.mark.parametrize(
    "change", [{"kube_proxy_mode": "nftables"}, {"kube_needs": ["many_nodes"]}], ids=["asked for", "by its needs"]
)
def test_k3s_keeps_the_mode_of_its_kube_proxy(change):
    hosts, groups = running(K3S)
    plan = planner.cluster_plan(with_inputs(hosts, **change), groups)
    if "kube_proxy_mode" in change:
        assert described(plan["refusals"]) == ["inputs.fixed value=nftables limit=iptables"]
    else:
        assert plan["refusals"] == [] and all(node["steps"] == {} for node in plan["nodes"].values())


@pytest.mark.parametrize("other", ["postgres://k3s:hunter2@db2:5432/k3s", "postgres://k3s:hunter2@db:5432/other"])
def test_a_server_does_not_start_on_another_database(other):
    hosts, groups = running({**K3S, **DATABASE})
    assert refused(hosts, groups) == []
    rotated = DATABASE["k3s_datastore_endpoint"].replace("hunter2", "hunter3")
    assert refused(with_inputs(hosts, k3s_datastore_endpoint=rotated), groups) == []
    found = refused(with_inputs(hosts, k3s_datastore_endpoint=other), groups)
    assert set(ids(found)) == {"datastore.other_database"} and len(found) == 3
    assert "hunter" not in repr(found)


DROPPED = {
    "etcd": {"local": {"extraArgs": [{"name": "quota-backend-bytes", "value": "8589934592"}]}},
    "featureGates": {"RootlessControlPlane": True},
    "imageRepository": "registry.example/k8s",
}


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_settings_that_site_does_not_take_back_are_refused_to_drop(name):
    hosts, groups = running({"kubeadm_cluster_config": {name: DROPPED[name]}})
    assert refused(hosts, groups) == []
    found = refused(with_inputs(hosts, kubeadm_cluster_config=None), groups)
    assert ids(found) == ["cluster_config.dropped"] and found[0]["value"].startswith(name)


def test_what_kubeadm_fills_in_is_not_taken_for_a_dropped_setting():
    hosts, groups = running()
    defaults = {
        "apiServer": {"certSANs": ["127.0.0.1", "localhost"]},
        "caCertificateValidityPeriod": "87600h0m0s",
        "certificateValidityPeriod": "8760h0m0s",
        "certificatesDir": "/etc/kubernetes/pki",
        "controllerManager": {},
        "dns": {},
        "encryptionAlgorithm": "RSA-2048",
        "etcd": {"local": {"dataDir": "/var/lib/etcd"}},
        "imageRepository": "registry.k8s.io",
        "proxy": {},
        "scheduler": {},
    }
    for row in hosts.values():
        if row["info"]["cluster"]["live"]:
            stored = row["info"]["cluster"]["live"]["kubeadm_config"]
            stored["ClusterConfiguration"] = yaml.safe_dump(
                {**yaml.safe_load(stored["ClusterConfiguration"]), **defaults}
            )
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["drift"] == []


def arguments(value):
    return {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": value}]}}


def test_arguments_that_a_kubelet_keeps_are_reported():
    hosts, groups = running({"kubeadm_init_config": arguments("2"), "kubeadm_join_config": arguments("2")})
    assert planner.cluster_plan(hosts, groups)["warnings"] == []
    changed = with_inputs(hosts, kubeadm_init_config=arguments("3"), kubeadm_join_config=arguments("3"))
    found = planner.cluster_plan(changed, groups)["warnings"]
    assert len(found) == 4 and described(found)[3] == "kubelet_args.kept node=w-1 value=v"
    dropped = with_inputs(hosts, kubeadm_init_config=None, kubeadm_join_config=None)
    assert described(planner.cluster_plan(dropped, groups)["warnings"])[0] == "kubelet_args.kept node=cp-1 value=v"
