# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's configuration: what each kind of node gets, and what is refused."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    config as k3s_config,
    config_checks as k3s_check,
    config_keys as k3s_keys,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import GIB, machine

MEMBERS = [{"name": "cp-%d" % number, "address": "10.0.0.1%d" % number} for number in (1, 2, 3)]


def node(name="cp-1", role="control_plane", taints=(), given=None, **values):
    address = {member["name"]: member["address"] for member in MEMBERS}.get(name, "10.0.0.21")
    return {
        "name": name,
        "role": role,
        "address": address,
        "info": machine(name, address, memory=2 * GIB),
        "inputs": {**inputs.validate(values)[0], "k3s_config": given or {}},
        "taints": list(taints),
    }


def cluster(**changes):
    return {
        "version": "1.36.3",
        "datastore": "embedded etcd",
        "init": False,
        "leader": "cp-1",
        "members": MEMBERS,
        "endpoint": {"address": "10.0.0.10", "port": 6443},
        "pod_cidrs": ["10.42.0.0/16"],
        "service_cidrs": ["10.43.0.0/16"],
        "domain": "cluster.local",
        "sans": ["10.0.0.10", "k3s.example.com"],
        "plugin": "flannel",
        "agent_token": True,
        **changes,
    }


SHARED = """\
token-file: /etc/rancher/k3s/token
agent-token-file: /etc/rancher/k3s/agent-token
tls-san:
  - 10.0.0.10
  - k3s.example.com
cluster-cidr:
  - 10.42.0.0/16
service-cidr:
  - 10.43.0.0/16
cluster-domain: cluster.local
flannel-backend: vxlan
"""


def text(*arguments):
    return k3s_config.text(k3s_config.config(*arguments))


def test_a_single_server_uses_sqlite_and_joins_no_other():
    for init in (True, False):
        single = cluster(datastore="SQLite", init=init, members=MEMBERS[:1])
        assert text(node(), single) == "node-name: cp-1\nnode-ip: 10.0.0.11\n" + SHARED


def test_the_server_that_starts_etcd_and_those_that_join_it():
    first = cluster(init=True)
    assert text(node(), first) == "node-name: cp-1\nnode-ip: 10.0.0.11\ncluster-init: true\n" + SHARED
    joining = "node-name: cp-2\nnode-ip: 10.0.0.12\nserver: https://10.0.0.10:6443\n" + SHARED
    assert text(node("cp-2"), first) == text(node("cp-2"), cluster()) == joining


def test_a_cluster_is_started_only_where_no_server_has_data():
    started = [
        name
        for init in (True, False)
        for name in ("cp-1", "cp-2", "cp-3")
        if "cluster-init" in k3s_config.config(node(name), cluster(init=init))
    ]
    assert started == ["cp-1"]
    # The leader whose disk was replaced joins the others, and starts no second cluster.
    assert k3s_config.config(node(), cluster())["server"] == "https://10.0.0.10:6443"


def test_no_node_joins_itself():
    mine = cluster(endpoint={"address": "10.0.0.11", "port": 6443})
    assert k3s_config.config(node(), mine)["server"] == "https://10.0.0.12:6443"
    assert k3s_config.config(node(), {**mine, "api_port": 7443})["server"] == "https://10.0.0.12:7443"
    assert k3s_config.config(node("cp-2"), mine)["server"] == "https://10.0.0.11:6443"
    assert "server" not in k3s_config.config(node(), cluster(members=MEMBERS[:1]))


@pytest.mark.parametrize("name", ["cp-1", "cp-2", "cp-3"])
@pytest.mark.parametrize("address", ["10.0.0.10", "10.0.0.11", "10.0.0.12", "127.0.0.1"])
@pytest.mark.parametrize("init", [True, False])
def test_a_server_of_several_either_starts_the_cluster_or_joins_it(name, address, init):
    """With neither, K3s without data starts a cluster of its own."""
    made = k3s_config.config(node(name), cluster(init=init, endpoint={"address": address, "port": 6443}))
    assert ("cluster-init" in made) is (init and name == "cp-1")
    assert ("server" in made) is not ("cluster-init" in made)


@pytest.mark.parametrize(
    ("there", "registers"),
    [
        ({"kubelet_conf": False, "node_taints": ["old:NoSchedule"]}, ["new:NoSchedule"]),
        ({"kubelet_conf": True, "node_taints": ["old:NoSchedule"]}, ["old:NoSchedule"]),
        ({"kubelet_conf": True, "node_taints": []}, None),
        ({"kubelet_conf": True}, ["new:NoSchedule"]),
    ],
)
def test_a_running_node_keeps_the_taints_that_it_registered_with_and_is_not_restarted(there, registers):
    """What was changed since is in the Node object only."""
    agent = node("w-1", "worker", taints=[{"key": "new", "value": "", "effect": "NoSchedule"}])
    agent["info"]["cluster"] = {**agent["info"]["cluster"], **there}
    assert k3s_config.config(agent, cluster()).get("node-taint") == registers


def test_an_agent():
    agent = node(
        "w-1",
        "worker",
        taints=[
            {"key": "gpu", "value": "yes", "effect": "NoExecute"},
            {"key": "slow", "value": "", "effect": "NoSchedule"},
        ],
        kube_node_labels={"disk": "ssd"},
        kube_data_dir="/data/",
    )
    assert text(agent, cluster(proxy_mode="nftables", endpoint={"address": "fd00::10", "port": 7443})) == (
        "node-name: w-1\n"
        "node-ip: 10.0.0.21\n"
        "server: https://[fd00::10]:7443\n"
        "token-file: /etc/rancher/k3s/token\n"
        "data-dir: /data/rancher/k3s\n"
        "node-taint:\n  - gpu=yes:NoExecute\n  - slow:NoSchedule\n"
        "kube-proxy-arg:\n  - proxy-mode=nftables\n"
    )


def test_servers_with_an_external_database_find_each_other_there():
    shared = cluster(datastore="external database", init=True, datastore_files={"cafile": "/etc/db/ca.crt"})
    first, second = (k3s_config.config(node(name), shared) for name in ("cp-1", "cp-2"))
    assert first["datastore-cafile"] == "/etc/db/ca.crt"
    for made in (first, second):
        assert not {"server", "cluster-init", "datastore-endpoint"} & set(made)
    address = "postgres://k3s:secret@db.example.com:5432/k3s"
    assert k3s_config.secret_file(node(), address) == {
        "path": "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml",
        "content": "# Made by kubewright.cluster.\ndatastore-endpoint: %s\n" % address,
        "mode": "0600",
        "secret": True,
    }
    assert k3s_config.secret_file(node("w-1", "worker"), address) == {}


def test_a_users_secrets_go_into_the_other_file():
    given = {"etcd-s3": True, "etcd-s3-access-key": "id", "etcd-s3-secret-key": "hush"}
    made = k3s_config.config(node(given=given), cluster())
    assert made["etcd-s3"] is True
    assert not set(made) & set(k3s_keys.SECRET)
    content = k3s_config.secret_file(node(given=given))["content"]
    assert yaml.safe_load(content) == {"etcd-s3-access-key": "id", "etcd-s3-secret-key": "hush"}


def test_further_settings_of_the_cluster():
    made = k3s_config.config(
        node(),
        cluster(
            plugin="kube-router",
            disable=["traefik", "servicelb"],
            secrets_encryption=True,
            api_port=7443,
            pod_cidrs=["10.42.0.0/16", "fd42::/56"],
            agent_token=False,
            sans=[],
        ),
    )
    assert {
        "https-listen-port": 7443,
        "cluster-cidr": ["10.42.0.0/16", "fd42::/56"],
        "flannel-backend": "none",
        "disable-network-policy": True,
        "disable": ["servicelb", "traefik"],
        "secrets-encryption": True,
    }.items() <= made.items()
    assert not {"agent-token-file", "tls-san"} & set(made)
    backend = cluster(plugin_options={"backend": "wireguard-native"})
    assert k3s_config.config(node(), backend)["flannel-backend"] == "wireguard-native"


def test_a_users_map_wins_and_a_plus_appends():
    given = {"kube-proxy-arg+": ["v=2"], "debug": True, "cluster-dns": "10.43.0.53"}
    made = k3s_config.config(node(given=given), cluster(proxy_mode="nftables"))
    assert made["kube-proxy-arg"] == ["proxy-mode=nftables", "v=2"]
    assert (made["debug"], made["cluster-dns"]) == (True, "10.43.0.53")
    plain = k3s_config.config(node(given={"kube-proxy-arg": "v=2"}), cluster(proxy_mode="nftables"))
    assert plain["kube-proxy-arg"] == ["proxy-mode=nftables", "v=2"]
    backwards = dict(reversed(list(given.items())))
    assert text(node(given=given), cluster()) == text(node(given=backwards), cluster())


def test_the_files_of_a_node():
    config, kubelet = k3s_config.files(node(kubelet_config={"maxPods": 50}), cluster())
    assert (config["path"], config["mode"]) == ("/etc/rancher/k3s/config.yaml", "0600")
    assert config["content"].startswith("# Made by kubewright.cluster.")
    assert yaml.safe_load(config["content"]) == k3s_config.config(node(), cluster())
    assert kubelet["path"] == "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-kubewright.conf"
    made = yaml.safe_load(kubelet["content"])
    assert (made["kind"], made["maxPods"]) == ("KubeletConfiguration", 50)
    assert {"kubeReserved", "systemReserved", "evictionHard"} <= set(made)
    assert not {"cgroupDriver", "clusterDomain"} & set(made)
    assert k3s_config.kubelet_file(node(kube_data_dir="/data"), "1.36.3")["path"].startswith("/data/rancher/k3s/agent/")


def test_what_servers_must_share():
    made = k3s_config.config(node(given={"embedded-registry": True}), cluster(disable=["traefik", "servicelb"]))
    assert k3s_config.critical(made) == {
        "agent-token-file": "/etc/rancher/k3s/agent-token",
        "cluster-cidr": ["10.42.0.0/16"],
        "cluster-domain": "cluster.local",
        "embedded-registry": True,
        "flannel-backend": "vxlan",
        "service-cidr": ["10.43.0.0/16"],
        "disable": ["servicelb"],
    }
    others = {name: k3s_config.config(node(name), cluster(disable=["metrics-server"])) for name in ("cp-2", "cp-3")}
    others["cp-2"]["supervisor-metrics"] = False
    assert k3s_config.disagreements(others) == []
    found = k3s_config.disagreements({"cp-1": made, **others})
    assert described(found) == [
        "k3s_config.differs_between_servers value=disable",
        "k3s_config.differs_between_servers value=embedded-registry",
    ]


def test_what_the_plan_makes_is_known_to_k3s_and_is_owned():
    role_of = {"cp-1": "control_plane", "cp-2": "control_plane", "w-1": "worker"}
    everything = cluster(init=True, proxy_mode="nftables", api_port=7443, disable=["traefik"], secrets_encryption=True)
    free = {"kube-proxy-arg", "disable-network-policy"}
    for name, role in role_of.items():
        made = k3s_config.config(node(name, role, kube_node_labels={"a": "b"}, kube_data_dir="/data"), everything)
        for release in ("1.34.0", "1.35.0", "1.36.0", "1.37.0"):
            assert k3s_check.problems(made, role, release, owned={}) == []
        assert set(made) - free <= set(k3s_check.OWNED)
