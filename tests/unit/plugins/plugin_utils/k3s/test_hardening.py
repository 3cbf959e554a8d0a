# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardened profile, tokens that expire, images from node to node."""

from __future__ import annotations

import pytest
import tomllib
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    hardening as k3s_hardening,
    registries,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import containerd as containerd_config
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

K3S = {"kube_distribution": "k3s"}
HARDENED = {**K3S, "k3s_hardened": True}


def documents(plan, host):
    return {
        entry["path"]: yaml.safe_load(entry["content"])
        for entry in plan["nodes"][host]["files"]["k3s"]
        if entry["path"].endswith(".yaml") and entry.get("state") != "absent"
    }


def config(plan, host):
    return documents(plan, host)["/etc/rancher/k3s/config.yaml"]


def running(inputs):
    hosts, groups = inventory(1, 1, inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
    return hosts, groups


def test_a_hardened_server():
    plan = planner.cluster_plan(*inventory(1, 1, HARDENED))
    made, files = config(plan, "cp-1"), documents(plan, "cp-1")
    assert made["protect-kernel-defaults"] is True and made["secrets-encryption"] is True
    assert "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log" in made["kube-apiserver-arg"]
    (security, events) = files["/etc/rancher/k3s/hardening/admission.yaml"]["plugins"]
    assert security["configuration"]["defaults"]["enforce"] == "restricted" and events["configuration"]["limits"]
    assert security["configuration"]["exemptions"]["namespaces"] == ["kube-system"]
    assert plan["nodes"]["cp-1"]["settings"]["sysctls"]["kernel.panic"] == "10"


def test_a_hardened_agent_has_what_concerns_its_kubelet():
    plan = planner.cluster_plan(*inventory(1, 1, HARDENED))
    made = config(plan, "w-1")
    assert (
        made["protect-kernel-defaults"] is True
        and "kube-apiserver-arg" not in made
        and "secrets-encryption" not in made
    )
    assert set(documents(plan, "w-1")) == {"/etc/rancher/k3s/config.yaml"}


def test_every_namespace_of_k3s_has_a_policy_and_dns_stays_open():
    (manifest,) = planner.cluster_plan(*inventory(1, 0, HARDENED))["manifests"]
    objects = list(yaml.safe_load_all(manifest["content"]))
    policies = {
        (item["metadata"]["namespace"], item["metadata"]["name"]) for item in objects if item["kind"] == "NetworkPolicy"
    }
    assert {space for space, _name in policies} == {"default", "kube-public", "kube-system"}
    assert ("kube-system", "default-network-dns-policy") in policies
    assert all(item["automountServiceAccountToken"] is False for item in objects if item["kind"] == "ServiceAccount")


def test_own_arguments_follow_those_of_the_profile():
    plan = planner.cluster_plan(
        *inventory(1, 0, {**HARDENED, "k3s_config": {"kube-apiserver-arg": ["audit-log-maxage=90"]}})
    )
    given = config(plan, "cp-1")["kube-apiserver-arg"]
    assert given[-1] == "audit-log-maxage=90" and "audit-log-maxage=30" in given


def test_turned_on_later_it_does_not_encrypt_secrets_and_warns():
    hosts, groups = running(K3S)
    for row in hosts.values():
        row["inputs"]["k3s_hardened"] = True
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and "secrets-encryption" not in config(plan, "cp-1")
    assert described(plan["warnings"]) == ["k3s_hardened.secrets_not_encrypted"]
    assert plan["nodes"]["cp-1"]["stages"] == ["change", "leader"] and plan["nodes"]["w-1"]["stages"] == ["roll"]


def test_a_second_run_changes_nothing_and_turning_it_off_removes_its_objects():
    hosts, groups = running(HARDENED)
    hosts["cp-1"]["info"]["cluster"]["secrets_encryption"] = True
    again = planner.cluster_plan(hosts, groups)
    assert all(node["steps"] == {} for node in again["nodes"].values()) and again["warnings"] == []
    for row in hosts.values():
        row["inputs"]["k3s_hardened"] = False
    plan = planner.cluster_plan(hosts, groups)
    assert plan["manifests"] == [{"name": "kubewright-hardening", "state": "absent"}]
    assert config(plan, "cp-1")["secrets-encryption"] is True


def test_a_profile_without_a_controller_of_policies_is_warned_of():
    plan = planner.cluster_plan(*inventory(1, 0, {**HARDENED, "k3s_config": {"disable-network-policy": True}}))
    assert described(plan["warnings"]) == ["k3s_hardened.no_policy_controller"]


def test_an_expiring_token_is_made_only_if_agents_join():
    inputs = {**K3S, "k3s_bootstrap_token_ttl": "2h"}
    assert planner.cluster_plan(*inventory(1, 1, inputs))["bootstrap_ttl"] == "2h"
    assert planner.cluster_plan(*inventory(3, 0, inputs))["bootstrap_ttl"] == ""
    assert planner.cluster_plan(*running(inputs))["bootstrap_ttl"] == ""
    refusals = planner.cluster_plan(*inventory(1, 1, {**K3S, "k3s_bootstrap_token_ttl": "tomorrow"}))["refusals"]
    assert described(refusals) == ["k3s_bootstrap_token_ttl.format value=tomorrow"]


def test_images_from_node_to_node():
    plan = planner.cluster_plan(*inventory(1, 1, {**K3S, "k3s_embedded_registry": True}))
    assert config(plan, "cp-1")["embedded-registry"] is True and "embedded-registry" not in config(plan, "w-1")
    assert list(documents(plan, "w-1")["/etc/rancher/k3s/registries.yaml"]["mirrors"]) == ["*"]
    assert 5001 in [row["port"] for row in plan["ports"]]
    named = registries.files({"mirrors": {"docker.io": {}}}, True)[0]["content"]
    assert list(yaml.safe_load(named)["mirrors"]) == ["docker.io"]


PEM = "-----BEGIN CERTIFICATE-----"


def test_registries_with_rewrites_and_a_clients_certificate():
    given = {
        "mirrors": {"docker.io": {"endpoints": ["https://r.example"], "rewrites": {"^rancher/(.*)": "mirror/$1"}}},
        "configs": {"r.example": {"ca": PEM, "certificate": PEM, "key": "-----BEGIN PRIVATE KEY-----"}},
    }
    assert planner.cluster_plan(*inventory(1, 0, {**K3S, "kube_registries": given}))["refusals"] == []
    files = {entry["path"]: entry for entry in registries.files(given)}
    made = yaml.safe_load(files["/etc/rancher/k3s/registries.yaml"]["content"])
    assert made["mirrors"]["docker.io"] == {
        "endpoint": ["https://r.example"],
        "rewrite": {"^rancher/(.*)": "mirror/$1"},
    }
    tls = made["configs"]["r.example"]["tls"]
    assert files[tls["key_file"]]["mode"] == "0600" and files[tls["key_file"]]["secret"] and tls["cert_file"] in files


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [(r"^rancher/(\w+)$", "mirror/$1"), ("^(.*)$", "k8s/$1"), (r"^a\.b/", "c/"), ('"', "'")],
)
def test_k3s_writes_rewrites_as_toml(pattern, replacement):
    """K3s copies both between quotes into hosts.toml (HostsTomlTemplate)."""
    given = {"mirrors": {"docker.io": {"endpoints": ["https://r.example"], "rewrites": {pattern: replacement}}}}
    for _twice in range(2):
        made = yaml.safe_load(registries.files(given)[0]["content"])["mirrors"]["docker.io"]["rewrite"]
        text = "".join('"%s" = "%s"\n' % pair for pair in made.items())
        assert tomllib.loads(text) == {pattern: replacement}
        if '"' not in pattern:  # what is doubled already, for K3s as it is, means the same
            given["mirrors"]["docker.io"]["rewrites"] = made


def test_what_is_wrong_with_registries():
    given = {
        "mirrors": {"docker.io": {"endpoint": ["https://r.example"], "overide_path": True}, "ghcr.io": {}},
        "configs": {"r.example": {"certificate": PEM, "ca": "/etc/ca.pem", "user": "u"}},
    }
    refusals = planner.cluster_plan(*inventory(1, 0, {**K3S, "kube_registries": given}))["refusals"]
    assert described(refusals) == [
        "inputs.unknown value=kube_registries.mirrors[docker.io].overide_path",
        "registries.no_endpoints value=kube_registries.mirrors[ghcr.io]",
        "inputs.unknown value=kube_registries.configs[r.example].user",
        "registries.half_certificate value=kube_registries.configs[r.example]",
        "registries.not_pem value=kube_registries.configs[r.example].ca",
    ]


def test_secrets_are_not_encrypted_later():
    hosts, groups = running(K3S)
    for row in hosts.values():
        row["inputs"]["k3s_secrets_encryption"] = True
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(refusals) == ["k3s_secrets_encryption.fixed node=cp-1 value=True limit=False"]
    hosts["cp-1"]["info"]["cluster"]["secrets_encryption"] = True
    assert planner.cluster_plan(hosts, groups)["refusals"] == []


def hardening_only(found):
    return [row for row in found if row["id"].startswith("k3s_hardened.")]


def sysctls(value, container):
    hosts, groups = inventory(1, 1, HARDENED)
    info = hosts["w-1"]["info"]
    info["kernel"]["sysctls"] = {**k3s_hardening.SYSCTLS, "vm.overcommit_memory": value}
    info["virtualization"]["container"] = container
    return planner.cluster_plan(hosts, groups)


def test_a_container_does_not_change_its_hosts_kernel():
    wanted = "k3s_hardened.kernel_setting_of_host node=w-1 value=0 limit=1"
    assert wanted in described(hardening_only(sysctls("0", "podman")["refusals"]))
    assert not hardening_only(sysctls("1", "podman")["refusals"])


def test_a_missing_kernel_setting_is_refused_and_another_value_is_set():
    wanted = ["k3s_hardened.no_kernel_setting node=w-1 value=vm.overcommit_memory limit=1"]
    assert described(sysctls(None, None)["refusals"]) == wanted
    plan = sysctls("0", None)
    assert plan["refusals"] == [] and "settings" in plan["nodes"]["w-1"]["steps"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"kube-apiserver-arg": ["audit-policy-file=/etc/mine.yaml"]},
            ["k3s_hardened.argument_overridden node=cp-1 value=audit-policy-file"],
        ),
        (
            {"kube-apiserver-arg+": "--audit-log-maxage=90"},
            ["k3s_hardened.argument_overridden node=cp-1 value=audit-log-maxage"],
        ),
        (
            {"protect-kernel-defaults": False},
            ["k3s_hardened.key_overridden node=cp-1 value=protect-kernel-defaults limit=True"],
        ),
        ({"kube-apiserver-arg": ["enable-admission-plugins=AlwaysPullImages"]}, []),
        ({"kube-apiserver-arg": ["request-timeout=300s"]}, []),
    ],
)
def test_what_overrides_the_profile_is_warned_of(given, wanted):
    plan = planner.cluster_plan(*inventory(1, 0, {**HARDENED, "k3s_config": given}))
    assert plan["refusals"] == [] and described(plan["warnings"]) == wanted


@pytest.mark.parametrize("ttl", ["0s", "0h0m"])
def test_a_token_that_would_never_expire(ttl):
    refusals = planner.cluster_plan(*inventory(1, 1, {**K3S, "k3s_bootstrap_token_ttl": ttl}))["refusals"]
    assert described(refusals) == ["k3s_bootstrap_token_ttl.never_expires value=" + ttl]


def test_settings_for_all_registries():
    given = {
        "mirrors": {"*": {"endpoints": ["https://r.example"]}},
        "configs": {"*": {"ca": PEM, "insecure_skip_verify": True}},
    }
    assert [entry["path"] for entry in registries.files(given)] == [
        "/etc/rancher/k3s/registry-default.crt",
        "/etc/rancher/k3s/registries.yaml",
    ]
    (hosts,) = [entry for entry in containerd_config.hosts(given) if entry["path"].endswith("_default/hosts.toml")]
    assert "skip_verify = true" in hosts["content"] and "ca = " in hosts["content"]
