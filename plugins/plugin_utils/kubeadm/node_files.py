# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubeadm node should be: programs, packages, kernel settings, files and services."""

from __future__ import annotations

from ..base import versions
from ..base.reference import COMMAND_PACKAGES, MODULES, SYSCTLS, SYSCTLS_IPV6
from ..base.yaml_documents import dump
from ..machine import (
    containerd as containerd_config,
)
from ..machine import (
    kubelet as kubelet_config,
)
from ..machine import (
    memory_cgroup as board,
)
from ..machine import (
    service_units as units,
)
from ..network import plugins as network
from ..network.endpoint import DIRECTORY, haproxy, keepalived

KUBELET_DROPIN = "/etc/kubernetes/kubelet.conf.d/10-kubewright.conf"


def programs(version: str, components: dict, architecture: str, checksums: dict) -> list:
    """Items for the module artifacts: every program of a node, by upstream's addresses.

    https://kubernetes.io/releases/download/ and the release pages of each project on GitHub.
    """
    github = "https://github.com/"
    containerd = "%scontainerd/containerd/releases/download/v%s/containerd-%s-linux-%s.tar.gz" % (
        github,
        components["containerd"],
        components["containerd"],
        architecture,
    )
    runc = "%sopencontainers/runc/releases/download/v%s" % (github, components["runc"])
    cni = "%scontainernetworking/plugins/releases/download/v%s/cni-plugins-linux-%s-v%s.tgz" % (
        github,
        components["cni"],
        architecture,
        components["cni"],
    )
    crictl = "%skubernetes-sigs/cri-tools/releases/download/v%s/crictl-v%s-linux-%s.tar.gz" % (
        github,
        components["crictl"],
        components["crictl"],
        architecture,
    )
    items = [
        {
            "component": "containerd",
            "url": containerd,
            "checksum_url": containerd + ".sha256sum",
            "version": components["containerd"],
            "unpack": {"dest_dir": "/usr/local/bin", "strip": 1, "only": ["bin/*"]},
        },
        {
            "component": "runc",
            "url": "%s/runc.%s" % (runc, architecture),
            "checksum_url": runc + "/runc.sha256sum",
            "version": components["runc"],
            "dest": "/usr/local/sbin/runc",
        },
        {
            "component": "cni",
            "url": cni,
            "checksum_url": cni + ".sha256",
            "version": components["cni"],
            "unpack": {"dest_dir": "/opt/cni/bin", "strip": 0},
        },
        {
            "component": "crictl",
            "url": crictl,
            "checksum_url": crictl + ".sha256",
            "version": components["crictl"],
            "unpack": {"dest_dir": "/usr/local/bin", "strip": 0},
        },
    ]
    for name in ("kubeadm", "kubelet", "kubectl"):
        url = "https://dl.k8s.io/release/v%s/bin/linux/%s/%s" % (version, architecture, name)
        items.append(
            {
                "component": "kubeadm",
                "url": url,
                "checksum_url": url + ".sha256",
                "version": "v" + version,
                "dest": "/usr/local/bin/" + name,
            }
        )
    for item in items:
        if item["url"] in checksums:
            item.pop("checksum_url")
            item["checksum"] = "sha256:" + checksums[item["url"]].replace("sha256:", "")
    return items


def wanted(node: dict, cluster: dict) -> dict:
    """The desired state {settings, packages, programs, files} of one node."""
    info, values = node["info"], node["inputs"]
    components = versions.components(values["kube_artifacts"]["versions"])
    return {
        "settings": settings(info, values, cluster["pod_networks"]),
        "packages": packages(info, node["role"], cluster["endpoint"], values),
        "programs": programs(
            cluster["version"], components, info["architecture"]["name"], values["kube_artifacts"]["checksums"]
        ),
        "files": files(node, cluster),
    }


def packages(info: dict, role: str, place: dict, inputs: dict) -> list:
    """Names of the packages whose programs are missing. place: the endpoint."""
    commands = info.get("commands") or {}
    family = info["os"].get("family")
    missing = [table.get(family, command) for command, table in COMMAND_PACKAGES.items() if not commands.get(command)]
    if role in place["proxied"] and not commands.get("haproxy"):
        missing.append("haproxy")
    if place["mode"] == "vip" and role == "control_plane" and not commands.get("keepalived"):
        missing.append("keepalived")
    if inputs["kube_network"]["plugin"] == "bridge" and not commands.get("nft"):
        missing.append("nftables")
    if (
        inputs["kube_time_service"] == "chrony"
        and not (info.get("clock") or {}).get("synchronised")
        and not (info.get("virtualization") or {}).get("container")
    ):
        missing.append("chrony")
    return sorted(missing)


def settings(info: dict, inputs: dict, pod_networks: list) -> dict:
    """Arguments of the module node_settings."""
    sysctls = dict(SYSCTLS)
    if any(item.version == 6 for item in pod_networks):
        sysctls.update(SYSCTLS_IPV6)
    in_container = bool((info.get("virtualization") or {}).get("container"))
    made = {
        "modules": list(MODULES),
        "sysctls": sysctls,
        "swap": "keep" if in_container else inputs["kube_swap"],
        "journald": inputs["kube_journald"],
    }
    words = board.lacking(info, inputs["kube_allow_reboot"])
    return {**made, "kernel_arguments": words} if words else made


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
        "endpoint": endpoint_files(node, cluster),
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


def endpoint_files(node: dict, cluster: dict) -> list:
    """Files of the endpoint's proxy and virtual address on one node."""
    endpoint = cluster["endpoint"]
    if node["role"] not in endpoint["proxied"]:
        return []
    config = DIRECTORY + "/haproxy.cfg"
    made = [
        {"path": config, "content": haproxy(endpoint, cluster["api_port"], cluster["members"]), "mode": "0644"},
        {"path": "/etc/systemd/system/kube-endpoint.service", "content": units.endpoint(config), "mode": "0644"},
    ]
    if endpoint["mode"] != "vip":
        return made
    here = {"name": node["name"], "address": node["address"]}
    text, _problems = keepalived(
        endpoint, node["inputs"]["kube_api_endpoint"], here, cluster["members"], node["info"]["network"]
    )
    return made + [
        {"path": DIRECTORY + "/keepalived.conf", "content": text, "mode": "0644"},
        {
            "path": "/etc/systemd/system/kube-endpoint-vip.service",
            "content": units.virtual_address(DIRECTORY + "/keepalived.conf"),
            "mode": "0644",
        },
    ]
