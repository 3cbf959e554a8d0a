# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a kubeadm node: containerd, kubelet, endpoint, network."""

from __future__ import annotations

from ..base import versions
from ..base.yaml_documents import dump
from ..machine import (
    containerd as containerd_config,
    kubelet as kubelet_config,
    service_units as units,
)
from ..network import endpoint, plugins as network

KUBELET_DROPIN = "/etc/kubernetes/kubelet.conf.d/10-kubewright.conf"


def files(node: dict, cluster: dict) -> dict:
    """Files of one node by the part that they belong to: containerd, kubelet, endpoint, network.

    node: host, name, role, address, info, inputs. cluster: version, endpoint, api_port, members, pod_cidrs.
    """
    info, inputs = node["info"], node["inputs"]
    driver = kubelet_config.cgroup_driver(info)
    in_container = bool((info.get("virtualization") or {}).get("container"))
    bridge = inputs["kube_network"]["plugin"] == "bridge"
    pause = "registry.k8s.io/pause:" + versions.images_of(cluster["version"])["pause"]
    data = (inputs["kube_data_dir"].rstrip("/") or "/var/lib") + "/containerd"
    plain = [entry for entry in containerd_config.hosts(inputs["kube_registries"]) if not entry["secret"]]
    result = {
        "containerd": [
            {
                "path": "/etc/containerd/config.toml",
                "content": containerd_config.config(info, driver, pause, data, bridge),
                "mode": "0644",
            },
            {
                "path": "/etc/systemd/system/containerd.service",
                "content": units.containerd(in_container),
                "mode": "0644",
            },
            {
                "path": "/etc/crictl.yaml",
                "content": "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
                "mode": "0644",
            },
            *({"path": entry["path"], "content": entry["content"], "mode": entry["mode"]} for entry in plain),
        ],
        "kubelet": [
            {"path": "/etc/systemd/system/kubelet.service", "content": units.kubelet(), "mode": "0644"},
            {
                "path": KUBELET_DROPIN,
                "content": dump(kubelet_config.kubelet_config(info, inputs, versions.parse(cluster["version"]))),
                "mode": "0644",
            },
        ],
        "endpoint": endpoint.files(node, cluster),
        "network": [],
    }
    if bridge and node["address"]:
        ipv4 = [cidr for cidr in cluster["pod_cidrs"] if ":" not in cidr]
        result["network"] = network.bridge_files(
            ipv4[0] if ipv4 else "",
            node["address"],
            (info.get("python") or {}).get("executable") or "/usr/bin/python3",
            inputs["kube_network"]["options"],
        )
    return result
