# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts a kubeadm node: the file that kubeadm reads, the preflight checks that it skips, the images that it
pulls, and the ports that it opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import versions
from ..base.distribution import Cluster, Inputs, Node, port_row as row
from ..machine import backup_schedule, kubelet as kubelet_config
from ..network import endpoint, plugins as network
from . import config, datastore, etcd_image

# The service that runs a node's containers.
UNIT = "containerd"
# Services by the part of the files that they read.
UNITS = {
    "containerd": [UNIT],
    "kubelet": ["kubelet"],
    "endpoint": endpoint.UNITS,
    "network": ["kube-bridge"],
    "backup": backup_schedule.UNITS,
}
# Seconds that kubeadm waits on an emulated machine, where the user names no time.
EMULATED_TIMEOUT = 900


def documents(node: Node, cluster: Cluster) -> dict[str, Any]:
    """Return kubeadm's file for this node (`init` or `join`), and the `images` that it needs."""
    values, info = node["inputs"], node["info"]
    machine = info.get("virtualization") or {}
    shared = {
        **config_of(cluster),
        "init_extra": values["kubeadm_init_config"],
        "join_extra": values["kubeadm_join_config"],
        "timeout": values["kubeadm_timeout"] or (EMULATED_TIMEOUT if machine.get("vm") == "qemu" else 0),
    }
    mine = {
        "name": "@name@",
        "address": "@address@",
        "node_ip": "@node_ip@",
        "role": node["role"],
        "taints": node["taints"],
        "ignore": preflight_exceptions(info, values),
        "cgroup_driver": kubelet_config.cgroup_driver(info),
        "fail_cgroup_v1": False if info["cgroup"]["version"] != "v2" else None,
        "in_container": bool(machine.get("container")),
    }
    joins = node["action"] == "pull"
    make = config.join_document if joins else config.init_documents
    # Name and address go in last: the same text serves all nodes that are alike.
    text = make(shared, mine).replace("@name@", node["name"]).replace("@address@", node["address"])
    text = text.replace("@node_ip@", ",".join(address.address for address in node["addresses"]))
    return {"join" if joins else "init": text, "images": images(cluster, node["role"])}


def config_of(cluster: Cluster) -> dict[str, Any]:
    """Return what config.py needs of the cluster."""
    names = "version api_version name domain pod_cidrs service_cidrs proxy_mode api_port sans".split()
    return {
        **{name: cluster[name] for name in names},
        "endpoint": cluster["endpoint"]["host_port"],
        "etcd_tag": cluster.get("etcd_tag") or "",
        "extra": cluster["shared"]["kubeadm_cluster_config"],
        "proxy_extra": cluster["shared"]["kubeadm_proxy_config"],
    }


def preflight_exceptions(info: dict[str, Any], values: Inputs) -> list[str]:
    """Return kubeadm's preflight checks that need not pass: in containers, and where the inputs allow less."""
    ignored = set(values["kubeadm_ignore_preflight_errors"])
    if (info.get("virtualization") or {}).get("container"):
        ignored |= {"SystemVerification", "Swap", "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables"}
    if info["cgroup"]["version"] != "v2":
        ignored.add("SystemVerification")
    if values["kube_swap"] == "keep":
        ignored.add("Swap")
    if values["kube_allow_small_nodes"]:
        ignored |= {"Mem", "NumCPU"}
    return sorted(ignored)


def images(cluster: Cluster, role: str) -> list[str]:
    """Return the images that a node of this role runs: those of kubeadm, and the network plugin's."""
    plugin = network.by_name(cluster["plugin"]).images(cluster["shared"]["kube_network"]["options"])
    return release_images(cluster["version"], etcd_image.tag(cluster), role) + plugin


def release_images(version: str, etcd_tag: str, role: str) -> list[str]:
    """Return kubeadm's images of a Kubernetes version on a node of this role. etcd_tag: of etcd's image."""
    known = versions.images_of(version)
    base, tag = "registry.k8s.io/", "v" + version
    names = [base + "kube-proxy:" + tag, base + "pause:" + known["pause"], base + "coredns/coredns:" + known["coredns"]]
    if role != "control_plane":
        return names
    servers = [base + name + ":" + tag for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")]
    return [*servers, base + "etcd:" + etcd_tag, *names]


def ports(cluster: Cluster) -> list[dict[str, Any]]:
    """Return who must reach whom, {port, protocol, to, from, purpose}.

    https://kubernetes.io/docs/reference/networking/ports-and-protocols/
    """
    rows = [
        row(cluster["api_port"], "tcp", "control planes", "all nodes, administrators", "kube-apiserver"),
        row("2379-2380", "tcp", "control planes", "control planes", "etcd"),
        row(10250, "tcp", "all nodes", "control planes", "kubelet"),
        row("30000-32767", "tcp, udp", "all nodes", "clients of NodePort Services", "Services"),
    ]
    if cluster["endpoint"]["mode"] == "vip":
        port = cluster["endpoint"]["port"]
        rows.append(row(port, "tcp", "control planes", "all nodes, administrators", "API endpoint"))
        rows.append(row("-", "vrrp (112)", "control planes", "control planes", "virtual address"))
    rows += network.by_name(cluster["plugin"]).ports(cluster["shared"]["kube_network"]["options"])
    return [*rows, row("-", "all", "all nodes", "pod networks %s" % ", ".join(cluster["pod_cidrs"]), "pods")]


def _others(node: Node, plan: Mapping[str, Any]) -> list[str]:
    """Return the addresses of the other control planes that run before this one joins, for a control plane."""
    if node["role"] != "control_plane":
        return []
    known = {plan["nodes"][host]["name"]: plan["nodes"][host] for host in plan["control_planes"]}
    running = [name for name, row in known.items() if row.get("joined") or row["action"] == "init"]
    return [known[name]["address"] for name in running if name != node["name"]]


def actions(node: Node, plan: Mapping[str, Any], values: Inputs, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return kubeadm's arguments for the role's tasks. plan: of the cluster.

    Seconds to wait are those of kubeadm_timeout where that is set. info: the node's facts. etcd_cluster: the ID of the
    etcd cluster that its member is in before the run; empty if it is unknown.
    """
    made = node.get("kubeadm") or {}
    timeout = values["kubeadm_timeout"] or 0
    return {
        "start": {
            "state": node["action"] or "wait",
            "config": made.get("init"),
            "images": made.get("images") or [],
            "timeout": timeout or 900,
            "external_etcd": datastore.access(values),
        },
        "config": made.get("init"),
        "join": {"config": made.get("join"), "others": _others(node, plan)},
        "join_timeout": timeout or 600,
        "gate_timeout": timeout or 300,
        "etcd_cluster": ((info.get("cluster") or {}).get("live") or {}).get("etcd_cluster") or "",
        "control_plane": node["role"] == "control_plane",
    }
