# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that were planned without a word, or ended in a traceback: each is a refusal with an id; and good ones."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def mirror(url="https://m.example", name="docker.io"):
    return {"mirrors": {name: {"endpoints": [url]}}}


def login(**settings):
    return {"configs": {"registry.example": settings}}


def manifest(content):
    return [{"name": "m", "content": content}]


def chart(**settings):
    return [{"name": "h", "chart": "x", "repo": "https://charts.example", **settings}]


def cluster_config(name, value):
    return {"apiServer": {"extraArgs": [{"name": name, "value": value}]}}


COMMON = {
    "kube_api_endpoint": [
        ({"mode": "local", "port": float("inf")}, "inputs.type"),
        ({"mode": "none", "port": 7443}, "endpoint.unused_port"),
        ({"mode": "external", "address": "fe80::1%eth0"}, "inputs.format"),
        ({"mode": "external", "address": "https://u:hidden@api.example.com"}, "inputs.format"),
        ({"mode": "external", "address": "255.255.255.255"}, "inputs.format"),
        ({"mode": "external", "address": "a" * 64 + ".example.com"}, "inputs.format"),
    ],
    "kube_api_sans": [
        (["https://u:hidden@api.example.com"], "inputs.format"),
        ([None], "inputs.type"),
        (["fe80::1%eth0"], "inputs.format"),
        (["a" * 254], "inputs.format"),
    ],
    "kube_pod_cidrs": [
        ([None], "inputs.type"),
        ("10.244.0.0/255.255.0.0", "inputs.format"),
        ("10.244.0.0/0.0.255.255", "inputs.format"),
        ("10.244.0.0/016", "inputs.format"),
    ],
    "kube_service_cidrs": [("10.96.0.0/255.240.0.0", "inputs.format")],
    "kube_node_labels": [
        ({True: "x"}, "inputs.key"),
        ({None: "x"}, "inputs.key"),
        ({"a..b/c": "d"}, "inputs.format"),
        ({"beta.kubernetes.io/arch": "arm"}, "inputs.format"),
    ],
    "kube_node_taints": [([None], "inputs.type"), (["node.kubernetes.io/not-ready:NoSchedule"], "inputs.format")],
    "kube_registries": [
        (mirror(name="index.docker.io"), "inputs.format"),
        (mirror(name="https://u:hidden/x@docker.io"), "inputs.format"),
        (mirror(name="x..y"), "inputs.format"),
        (mirror(name="x:99999"), "inputs.format"),
        (mirror("https://m.example?y=1"), "registries.not_a_url"),
        (mirror("https://m.example#f"), "registries.not_a_url"),
        (mirror("https://ü.example"), "registries.not_a_url"),
        (login(username="u"), "registries.no_password"),
        (login(username="u", password="p", token="t"), "registries.two_logins"),
        (login(username="u:v", password="p"), "inputs.format"),
        (login(username="u", password="p\nq"), "inputs.format"),
    ],
    "kube_artifacts": [
        ({"checksums": {"https://m.example/a": None}}, "inputs.format"),
        ({"checksums": {"https://u:hidden@m.example/a": "0"}}, "inputs.format"),
        ({"checksums": {"https://m.example/a": 5}}, "inputs.format"),
        ({"source": "https://m.example?token=hidden"}, "inputs.format"),
    ],
    "kube_http_proxy": [
        ({"http": "http://u:hidden%zz@proxy:3128"}, "inputs.format"),
        ({"http": 'http://u:hidden"@proxy:3128'}, "inputs.format"),
        ({"no_proxy": ["http://u:hidden@x"]}, "inputs.format"),
    ],
    "kube_data_dir": [
        (path, "inputs.format")
        for path in ("/.", "/var/./lib/etcd", "/usr/local", "/opt/cni/bin", "/var/lib/docker", "/var/lib/containerd")
    ]
    + [("/data" * 20, "inputs.format")],
    "kube_reserved": [
        ({"kube_memory": "1e999"}, "inputs.format"),
        ({"kube_memory": "1e999999999"}, "inputs.format"),
        ({"kube_memory": "9" * 400}, "inputs.format"),
    ],
    "kube_manifests": [
        (manifest("&a [*a]"), "inputs.format"),
        (manifest("apiVersion: 1\nkind: 2\nmetadata: {name: x}\n"), "inputs.format"),
        (manifest(CONFIG_MAP.replace("name: a", "name: [1]")), "inputs.format"),
        (manifest("apiVersion: v1\nkind: List\nitems: [5]\n"), "inputs.format"),
    ],
    "kubelet_config": [
        ({"staticPodPath": "/x"}, "inputs.owned_key"),
        ({"registerNode": False}, "inputs.owned_key"),
        ({"containerRuntimeEndpoint": "unix:///x"}, "inputs.owned_key"),
        ({"clusterDNS": ["x"]}, "inputs.format"),
        ({"containerLogMaxFiles": 1}, "inputs.format"),
        ({"containerLogMaxSize": "x"}, "inputs.format"),
        ({"enforceNodeAllocatable": ["x"]}, "inputs.format"),
        ({"evictionSoft": {"memory.available": "1Gi"}}, "kubelet_config.contradiction"),
        ({"memoryManagerPolicy": "Static"}, "kubelet_config.contradiction"),
        (
            {"shutdownGracePeriod": "10s", "shutdownGracePeriodCriticalPods": "1m"},
            "kubelet_config.contradiction",
        ),
    ],
}
KUBEADM = {
    "kube_network": [({"plugin": "kube-router", "options": {"args": ["--a b"]}}, "inputs.format")],
    "kubeadm_cluster_config": [
        ({"certificatesDir": "/x"}, "inputs.owned_key"),
        ({"etcd": {"local": {"dataDir": "/x"}}}, "inputs.owned_key"),
        ({"etcd": {"local": {"extraArgs": [{"name": "data-dir", "value": "/x"}]}}}, "inputs.owned_key"),
        (cluster_config("etcd-servers", "https://x:2379"), "inputs.owned_key"),
        (cluster_config("anonymous-auth", "false"), "kubeadm_config.anonymous_auth"),
    ],
    "kubeadm_init_config": [({"dryRun": True}, "inputs.owned_key")],
    "kubeadm_join_config": [({"caCertPath": "/x"}, "inputs.owned_key"), ({"dryRun": True}, "inputs.owned_key")],
}
K3S = {
    "k3s_token": [("K10", "inputs.format"), ("K10hidden::server:x", "inputs.format")],
    "k3s_manifests": [(manifest("&a [*a]"), "k3s_manifest.invalid")],
    "k3s_config": [
        ({5: 1}, "k3s_config.unknown_key"),
        ({"flannel-iface": "eth9"}, "k3s_config.unknown_interface"),
        ({"node-external-ip": "x"}, "k3s_config.value"),
        ({"bind-address": "x"}, "k3s_config.value"),
    ],
    "k3s_helm_charts": [
        (chart(version=" "), "inputs.format"),
        (chart(set={"a": {"b": 1}}), "helm_chart.set_value"),
        (chart(repo_ca=CERTIFICATE, repo_ca_config_map="x"), "helm_chart.two_authorities"),
    ],
}


def cases():
    for kind, tables in (("kubeadm", (COMMON, KUBEADM)), ("k3s", (COMMON, K3S))):
        for table in tables:
            for name, rows in table.items():
                yield from (pytest.param(kind, name, *row, id="%s-%s-%.40r" % (kind, name, row[0])) for row in rows)


def planned(**inputs):
    return planner.cluster_plan(*inventory(1, 1, inputs))


@pytest.mark.parametrize(("kind", "name", "value", "expected"), list(cases()))
def test_a_value_that_cannot_work_is_refused_before_anything_is_changed(kind, name, value, expected):
    refusals = planned(kube_distribution=kind, **{name: value})["refusals"]
    assert expected in ids(refusals) and "hidden" not in str(refusals)


GOOD = {
    "kube_api_sans": [["API.Example.com", "*.example.com", "10.0.0.50", "fd00::1"]],
    "kube_data_dir": ["/data/", "/mnt/disk-1", "/var/lib/kube"],
    "kube_http_proxy": [{"http": "http://u:p%40ss$&!@proxy:3128"}],
    "kube_registries": [login(username="u", password="p:q"), login(token="t"), mirror("https://m.example:5000/")],
    "kube_node_labels": [{"example.com/a-b": "c"}, {5: "x"}, {"node-role.kubernetes.io/worker": ""}],
    "kubelet_config": [
        {"clusterDNS": ["169.254.20.10"], "enforceNodeAllocatable": ["pods"], "containerLogMaxSize": "50Mi"},
        {"evictionSoft": {"memory.available": "1Gi"}, "evictionSoftGracePeriod": {"memory.available": "1m30s"}},
    ],
    "kube_reserved": [{"kube_memory": "1e9", "system_cpu": "0.25"}],
}


@pytest.mark.parametrize("kind", ["kubeadm", "k3s"])
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_an_unusual_value_that_works_is_taken(kind, name, value):
    assert planned(kube_distribution=kind, **{name: value})["refusals"] == []


def test_names_in_certificates_are_in_lower_case():
    """kubeadm refuses others: cmd/kubeadm/app/apis/kubeadm/validation/validation.go, ValidateCertSANs."""
    plan = planned(kube_distribution="kubeadm", kube_api_sans=["API.Example.com"])
    assert "api.example.com" in str(plan["nodes"]["cp-1"]) and "API.Example.com" not in str(plan)


def test_a_key_without_a_value_removes_nothing_that_the_plan_sets():
    given = {"kubeadm_cluster_config": {"networking": None}, "kubeadm_join_config": {"controlPlane": None}}
    hosts, groups = inventory(3, 1, {"kube_distribution": "kubeadm", **given})
    with_nothing = planner.cluster_plan(hosts, groups)
    assert with_nothing["refusals"] == []
    for row in hosts.values():
        row["inputs"] = {"kube_distribution": "kubeadm"}
    assert with_nothing["nodes"] == planner.cluster_plan(hosts, groups)["nodes"]
