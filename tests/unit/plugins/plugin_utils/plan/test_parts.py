# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities, versions, addresses, endpoint, registries, kubelet: the parts of a plan."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.base import proxies
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import (
    labels,
    quantity,
    versions,
    yaml_documents as documents,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.kubeadm import config as kubeadm_config
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import (
    containerd as containerd_config,
    kubelet as kubelet_config,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import addresses, endpoint
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text as report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import GIB, inventory, machine

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "golden")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512Mi", 512 * 2**20),
        ("2Gi", 2 * GIB),
        ("1.5", 1.5),
        ("250m", 0.25),
        ("1e3", 1000),
        ("2k", 2000),
        (" 3 ", 3),
        (4, 4),
    ],
)
def test_quantity(text, number):
    assert quantity.parse(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "Mi", "1 GB", "1Kib", "-1", "one", None])
def test_quantity_refuses(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


def test_quantity_words():
    assert (quantity.memory(512 * 2**20), quantity.cpu(0.25), quantity.human(1.8 * GIB)) == ("512Mi", "250m", "1.8 GiB")


@pytest.mark.parametrize(
    ("wanted", "running", "version"),
    [
        ("", "", "1.37.2"),
        ("1.37", "", "1.37.2"),
        ("v1.36.1", "", "1.36.1"),
        ("", "v1.35.2", "1.35.2"),
        ("1.35", "v1.35.2", "1.35.2"),
        ("1.38.0", "", "1.38.0"),
    ],
)
def test_version(wanted, running, version):
    chosen, problems = versions.choose(wanted, running)
    assert chosen == version and problems.refusals == []
    assert ids(problems.warnings) == (["version.untested"] if wanted == "1.38.0" else [])


def test_host_port():
    assert (addresses.host_port("10.0.0.1", 6443), addresses.host_port("fd00::1", 6443)) == (
        "10.0.0.1:6443",
        "[fd00::1]:6443",
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "127.0.0.1:7443"),
        ({"address": "10.0.0.100"}, "10.0.0.100:7443"),
        ({"mode": "external", "address": "api.example"}, "api.example:6443"),
        ({"mode": "external", "address": "api.example", "port": 443}, "api.example:443"),
    ],
)
def test_endpoint(wanted, expected):
    chosen, problems = endpoint.choose(wanted, 6443, ["10.0.0.11", "10.0.0.12"])
    assert (chosen["host_port"], problems) == (expected, [])


def test_endpoint_of_one():
    assert endpoint.choose({"mode": "none"}, 6443, ["10.0.0.11"])[0]["host_port"] == "10.0.0.11:6443"


def test_haproxy_knows_all_and_checks_each():
    text = endpoint.haproxy(
        {"mode": "local", "port": 7443},
        6443,
        [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "fd00::2"}],
    )
    assert (
        "bind 127.0.0.1:7443\n" in text
        and "  server a 10.0.0.1:6443 check " in text
        and "  server b [fd00::2]:6443 check " in text
        and "httpchk GET /readyz" in text
    )
    # Where all are down, all are tried.
    assert "  option allbackups\n" in text and "  server b-unchecked [fd00::2]:6443 backup\n" in text


def test_haproxy_does_not_take_the_only_one_away_for_being_slow():
    text = endpoint.haproxy({"mode": "local", "port": 7443}, 6443, [{"name": "a", "address": "10.0.0.1"}])
    assert text.endswith("  server a 10.0.0.1:6443\n") and "check " not in text.partition("backend")[2]


def test_keepalived_talks_to_the_others_alone():
    members = [{"name": "a", "address": "10.0.0.11"}, {"name": "b", "address": "10.0.0.12"}]
    text = endpoint.keepalived({"address": "10.0.0.100"}, {}, members[0], members, machine()["network"])
    assert "unicast_peer {\n    10.0.0.12\n  }" in text and "10.0.0.100/24 dev eth0" in text


def test_hosts_toml():
    files = containerd_config.hosts(
        {
            "mirrors": {
                "docker.io": {"endpoints": ["https://mirror.example"]},
                "*": {"endpoints": ["http://any.example"]},
            },
            "configs": {"mirror.example": {"username": "u", "password": "p", "ca": "PEM"}},
        }
    )
    by_path = {entry["path"].removeprefix("/etc/containerd/certs.d/"): entry for entry in files}
    assert set(by_path) == {
        "docker.io/hosts.toml",
        "_default/hosts.toml",
        "mirror.example/hosts.toml",
        "mirror.example.crt",
    }
    docker = by_path["docker.io/hosts.toml"]
    assert docker["mode"] == "0644" and 'ca = "/etc/containerd/certs.d/mirror.example.crt"' in docker["content"]
    assert (
        'server = "https://registry-1.docker.io"' in docker["content"]
        and "server =" not in by_path["_default/hosts.toml"]["content"]
    )
    assert by_path["_default/hosts.toml"]["mode"] == "0644"


def test_programs_in_the_nodes_own_network_are_not_fetched_through_the_proxy():
    given = {
        "kube_artifacts": {"source": "http://10.0.0.2:8080"},
        "kube_http_proxy": {"http": "http://proxy.example:3128", "no_proxy": ["corp.example"]},
    }
    hosts, groups = inventory(inputs=given)
    plan = planner.cluster_plan(hosts, groups)
    values, _problems = schema.validate(given)
    made = slices.of_host(plan, "w-1", values, hosts["w-1"]["info"], list(hosts))["artifacts"]
    assert made["proxy"] == "http://proxy.example:3128"
    for name in ("10.0.0.2", "a.corp.example"):
        assert proxies.excepted(name, made["no_proxy"])
    assert not proxies.excepted("dl.k8s.io", made["no_proxy"])


def test_proxy_environment_is_a_secret_file():
    files = containerd_config.secret_files(
        {}, {"http": "http://u:p@proxy:3128", "no_proxy": ["corp.example"]}, ["10.96.0.0/12"]
    )
    assert [(entry["path"], entry["mode"]) for entry in files] == [("/etc/kubewright/containerd.env", "0600")]
    assert "NO_PROXY=localhost,127.0.0.1,10.96.0.0/12,corp.example\n" in files[0]["content"]


@pytest.mark.parametrize(("memory", "cpus"), [(GIB, 1), (2 * GIB, 2), (4 * GIB, 2), (16 * GIB, 8), (512 * GIB, 128)])
def test_reserved_leaves_most_to_pods(memory, cpus):
    found = kubelet_config.reserved(memory, cpus, {})
    kept = sum(quantity.parse(found[part]["memory"]) for part in ("kubeReserved", "systemReserved"))
    assert 0 < kept <= memory * 0.27
    assert sum(quantity.parse(found[part]["cpu"]) for part in ("kubeReserved", "systemReserved")) < cpus * 0.1


def test_cgroup_drivers():
    assert kubelet_config.cgroup_driver(machine()) == "systemd"
    assert kubelet_config.cgroup_driver(machine(cgroup__version="hybrid")) == "cgroupfs"


def test_merge_and_owned_keys():
    assert documents.merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}, "d": 3}) == {"a": {"b": 1, "c": [2]}, "d": 3}
    (found,) = documents.owned_keys({"a": {"b": 1}}, {"a": {"b": "the_input"}}, "map")
    assert (found.id, found.value) == ("inputs.owned_key", "map.a.b") and "the_input" in found.text


def test_lists_of_names_and_values_are_merged_by_name():
    computed = {"extraArgs": [{"name": "node-ip", "value": "10.0.0.1"}, {"name": "v", "value": "2"}]}
    made = documents.merge(computed, {"extraArgs": [{"name": "v", "value": "4"}, {"name": "w", "value": "1"}]})
    assert made == {
        "extraArgs": [
            {"name": "node-ip", "value": "10.0.0.1"},
            {"name": "v", "value": "4"},
            {"name": "w", "value": "1"},
        ]
    }
    (found,) = documents.owned_keys(computed, {"extraArgs": {"node-ip": "kube_node_ip"}}, "map")
    assert found.value == "map.extraArgs.node-ip"
    (found,) = documents.owned_keys({"extraArgs": {"node-ip": "x"}}, {"extraArgs": {"node-ip": "kube_node_ip"}}, "map")
    assert found.value == "map.extraArgs.node-ip"


@pytest.mark.parametrize("version", ["1.34", "1.36", "1.37"])
@pytest.mark.parametrize("kind", ["init", "join"])
def test_golden_kubeadm_files(version, kind):
    """Set KUBEWRIGHT_GOLDEN=write to write the files again; then read the difference."""
    inputs = {
        "kube_version": version,
        "kube_api_sans": ["api.example"],
        "kubeadm_cluster_config": {"apiServer": {"extraArgs": [{"name": "v", "value": "2"}]}},
    }
    plan = planner.cluster_plan(*inventory(inputs=inputs))
    text = plan["nodes"]["cp-1" if kind == "init" else "cp-2"]["kubeadm"][kind]
    path = os.path.join(GOLDEN, "kubeadm-%s-%s.yaml" % (kind, version))
    if os.environ.get("KUBEWRIGHT_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    with open(path, encoding="utf-8") as stream:
        assert text == stream.read()


def test_older_configuration_api():
    assert kubeadm_config.api_version((1, 30)) == "kubeadm.k8s.io/v1beta3"
    assert kubeadm_config.arguments("kubeadm.k8s.io/v1beta3", {"v": 2}) == {"v": "2"}
    assert kubeadm_config.arguments("kubeadm.k8s.io/v1beta4", {"v": 2}) == [{"name": "v", "value": "2"}]


def test_kube_router_manifest():
    wanted = {"plugin": "kube-router", "options": {"args": ["--v=2"]}}
    (manifest,) = planner.cluster_plan(*inventory(1, 0, {"kube_network": wanted}))["manifests"]
    kinds = [item["kind"] for item in yaml.safe_load_all(manifest["content"]) if "--v=2" in manifest["content"]]
    assert kinds == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]


@pytest.mark.parametrize(
    ("text", "taint"),
    [("gpu=yes:NoSchedule", ("gpu", "yes", "NoSchedule")), ("a.b/c:NoExecute", ("a.b/c", "", "NoExecute"))],
)
def test_taint(text, taint):
    assert tuple(labels.parse_taint(text).values()) == taint


def test_reports():
    lines = report.text(planner.cluster_plan(*inventory()))
    assert lines[0] == "New cluster kubernetes: kubeadm 1.37.2 on 4 nodes (3 control planes, 1 worker)."
    assert "  6443/tcp, all nodes and administrators → control planes (kube-apiserver)" in lines
    assert lines[-1] == "Next: ansible-playbook kubewright.cluster.site -i INVENTORY"
