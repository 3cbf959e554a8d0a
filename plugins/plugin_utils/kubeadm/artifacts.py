# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a kubeadm node, by upstream's addresses."""

from __future__ import annotations


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
