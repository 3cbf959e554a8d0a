# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of kubeadm: its files, preflight checks to ignore, images, ports."""

from __future__ import annotations

from ..base import versions
from ..machine import kubelet as kubelet_config, os_settings
from . import artifacts, config as kubeadm_config, node_files


def wanted(node: dict, cluster: dict) -> dict:
    """The desired state {settings, packages, programs, files} of one node."""
    info, values = node["info"], node["inputs"]
    components = versions.components(values["kube_artifacts"]["versions"])
    return {
        "settings": os_settings.settings(info, values, cluster["pod_networks"]),
        "packages": os_settings.packages(info, node["role"], cluster["endpoint"], values),
        "programs": artifacts.programs(
            cluster["version"], components, info["architecture"]["name"], values["kube_artifacts"]["checksums"]
        ),
        "files": node_files.files(node, cluster),
    }


def documents(node, cluster):
    """kubeadm's file for this node, and the images it will need."""
    values, info = node["inputs"], node["info"]
    timeout = values["kubeadm_timeout"] or (900 if (info.get("virtualization") or {}).get("vm") == "qemu" else 0)
    extra = {"init_extra": values["kubeadm_init_config"], "join_extra": values["kubeadm_join_config"]}
    shared = {**cluster_of(cluster), **extra, "timeout": timeout}
    mine = {
        "name": "@name@",
        "address": "@address@",
        "role": node["role"],
        "taints": node["taints"],
        "ignore": preflight_exceptions(info, values),
        "cgroup_driver": kubelet_config.cgroup_driver(info),
        "fail_cgroup_v1": False if info["cgroup"]["version"] != "v2" else None,
        "in_container": bool((info.get("virtualization") or {}).get("container")),
    }
    make = kubeadm_config.join_document if node["action"] == "pull" else kubeadm_config.init_documents
    # Name and address go in last: the same text serves all nodes that are alike.
    text = make(shared, mine).replace("@name@", node["name"]).replace("@address@", node["address"])
    return {"join" if node["action"] == "pull" else "init": text, "images": images(cluster, node["role"])}


def cluster_of(cluster):
    """What kubeadm_config needs of the cluster."""
    names = "version api_version name domain pod_cidrs service_cidrs proxy_mode api_port sans".split()
    return {
        **{name: cluster[name] for name in names},
        "endpoint": cluster["endpoint"]["host_port"],
        "extra": cluster["shared"]["kubeadm_cluster_config"],
        "proxy_extra": cluster["shared"]["kubeadm_proxy_config"],
    }


def preflight_exceptions(info: dict, values: dict) -> list:
    """kubeadm preflight checks that cannot pass on this host and need not: in containers, and where the inputs allow less."""
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


def images(cluster: dict, role: str) -> list:
    """Images that a node of this role runs, as `kubeadm config images list` names them."""
    known = versions.images_of(cluster["version"])
    base, tag = "registry.k8s.io/", "v" + cluster["version"]
    names = [base + "kube-proxy:" + tag, base + "pause:" + known["pause"], base + "coredns/coredns:" + known["coredns"]]
    if role == "control_plane":
        names = (
            [base + name + ":" + tag for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")]
            + [base + "etcd:" + known["etcd"]]
            + names
        )
    return names


def ports(cluster):
    """Who must be let through to whom: what a firewall between the nodes has to allow."""
    rows = [
        {
            "port": cluster["api_port"],
            "protocol": "tcp",
            "to": "control planes",
            "from": "all nodes, administrators",
            "purpose": "kube-apiserver",
        },
        {"port": "2379-2380", "protocol": "tcp", "to": "control planes", "from": "control planes", "purpose": "etcd"},
        {"port": 10250, "protocol": "tcp", "to": "all nodes", "from": "control planes", "purpose": "kubelet"},
        {
            "port": "30000-32767",
            "protocol": "tcp, udp",
            "to": "all nodes",
            "from": "clients of NodePort Services",
            "purpose": "Services",
        },
    ]
    if cluster["endpoint"]["mode"] == "vip":
        rows.append(
            {
                "port": cluster["endpoint"]["port"],
                "protocol": "tcp",
                "to": "control planes",
                "from": "all nodes, administrators",
                "purpose": "API endpoint",
            }
        )
        rows.append(
            {
                "port": "-",
                "protocol": "vrrp (112)",
                "to": "control planes",
                "from": "control planes",
                "purpose": "virtual address",
            }
        )
    if cluster["plugin"] == "kube-router":
        rows.append(
            {"port": 179, "protocol": "tcp", "to": "all nodes", "from": "all nodes", "purpose": "BGP of kube-router"}
        )
    rows.append(
        {
            "port": "-",
            "protocol": "all",
            "to": "all nodes",
            "from": "pod networks %s" % ", ".join(cluster["pod_cidrs"]),
            "purpose": "pods",
        }
    )
    return rows
