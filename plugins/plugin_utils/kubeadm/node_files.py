# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a kubeadm node: containerd, kubelet, endpoint, network."""

from __future__ import annotations

from ..base import versions
from ..base.distribution import Cluster, File, Inputs, Node
from ..base.yaml_documents import dump
from ..machine import backup_schedule, containerd, kubelet, service_units as units
from ..network import endpoint, plugins as network

KUBELET_DROPIN = "/etc/kubernetes/kubelet.conf.d/10-kubewright.conf"


def files(node: Node, cluster: Cluster) -> dict[str, list[File]]:
    """Return the files of one node by the part that they belong to: containerd, kubelet, endpoint, network, backup."""
    info, inputs = node["info"], node["inputs"]
    plugin, made = network.by_name(inputs["kube_network"]["plugin"]), []
    if node["addresses"]:
        python = (info.get("python") or {}).get("executable") or "/usr/bin/python3"
        made = plugin.node_files(cluster["pod_cidrs"], node["addresses"], python, inputs["kube_network"]["options"])
    return {
        "containerd": _containerd(node, cluster, plugin.renders_template),
        "kubelet": [
            {"path": "/etc/systemd/system/kubelet.service", "content": units.kubelet(), "mode": "0644"},
            {
                "path": KUBELET_DROPIN,
                "content": dump(kubelet.config(info, inputs, versions.parse(cluster["version"]))),
                "mode": "0644",
            },
        ],
        "endpoint": endpoint.files(node, cluster),
        "network": made,
        "backup": backup_schedule.files(node),
    }


def runtime_dir(inputs: Inputs) -> str:
    """Return the directory of containerd's images and containers."""
    return (str(inputs["kube_data_dir"] or "").rstrip("/") or "/var/lib") + "/containerd"


def _containerd(node: Node, cluster: Cluster, with_template: bool) -> list[File]:
    info, inputs = node["info"], node["inputs"]
    pause = "registry.k8s.io/pause:" + versions.images_of(cluster["version"])["pause"]
    text = containerd.config(info, kubelet.cgroup_driver(info), pause, runtime_dir(inputs), with_template)
    in_container = bool((info.get("virtualization") or {}).get("container"))
    public = [entry for entry in containerd.hosts(inputs["kube_registries"]) if not entry["secret"]]
    return [
        {"path": "/etc/containerd/config.toml", "content": text, "mode": "0644"},
        {"path": "/etc/systemd/system/containerd.service", "content": units.containerd(in_container), "mode": "0644"},
        {
            "path": "/etc/crictl.yaml",
            "content": "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
            "mode": "0644",
        },
        *({"path": entry["path"], "content": entry["content"], "mode": entry["mode"]} for entry in public),
    ]


def owned_places() -> dict[str, list[str]]:
    """Return by part the places in which a file of ours that is not wanted is a remainder."""
    return {
        "containerd": ["/etc/containerd/", containerd.ENVIRONMENT],
        "endpoint": [endpoint.PASSWORD_FILE],
        "kubelet": [KUBELET_DROPIN.rpartition("/")[0] + "/"],
        "backup": backup_schedule.owned_places(),
    }
