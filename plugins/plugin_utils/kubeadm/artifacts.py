# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a kubeadm node, by the URLs of their projects.

https://kubernetes.io/releases/download/ and the release page of each project on GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_GITHUB = "https://github.com/%s/releases/download/v%s/%s"
# (component, project, name of the file, suffix of the file with its SHA-256, how it is unpacked).
_ARCHIVES: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    (
        "containerd",
        "containerd/containerd",
        "containerd-{version}-linux-{architecture}.tar.gz",
        ".sha256sum",
        {"dest_dir": "/usr/local/bin", "strip": 1, "only": ["bin/*"]},
    ),
    (
        "cni",
        "containernetworking/plugins",
        "cni-plugins-linux-{architecture}-v{version}.tgz",
        ".sha256",
        {"dest_dir": "/opt/cni/bin", "strip": 0},
    ),
    (
        "crictl",
        "kubernetes-sigs/cri-tools",
        "crictl-v{version}-linux-{architecture}.tar.gz",
        ".sha256",
        {"dest_dir": "/usr/local/bin", "strip": 0},
    ),
)
_RUNC = "opencontainers/runc"
_PROJECTS = {"runc": _RUNC, **{row[0]: row[1] for row in _ARCHIVES}}


def programs(
    version: str, components: Mapping[str, str], architecture: str, checksums: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return every program of a node, as items for the module artifacts.

    components: versions by name. checksums: SHA-256 digests that the user pinned, by URL.
    """
    items = [
        _archive(
            component,
            project,
            name.format(version=components[component], architecture=architecture),
            suffix,
            unpack,
            components,
        )
        for component, project, name, suffix, unpack in _ARCHIVES
    ]
    items.insert(1, _runc(components["runc"], architecture))
    items += [_kubernetes(name, version, architecture) for name in ("kubeadm", "kubelet", "kubectl")]
    return [_pinned(item, checksums) for item in items]


def component_of(source: str) -> str:
    """Return the component that a program's address belongs to, empty if none of them does."""
    place = "/" + unquote(source)
    found = (name for name, project in _PROJECTS.items() if "/%s/releases/download/" % project in place)
    return next(found, "")


def beside(version: str, architecture: str, checksums: Mapping[str, str], directory: str) -> dict[str, Any]:
    """Return kubeadm of one version, beside the installed one, as an item for the module artifacts."""
    item = _kubernetes("kubeadm", version, architecture)
    item["dest"] = "%s/%s/kubeadm" % (directory, version)
    return _pinned(item, checksums)


def _pinned(item: dict[str, Any], checksums: Mapping[str, str]) -> dict[str, Any]:
    """Return an item with the digest that the user pinned, if there is one."""
    if item["url"] in checksums:
        item.pop("checksum_url")
        item["checksum"] = "sha256:" + checksums[item["url"]].replace("sha256:", "")
    return item


def _archive(
    component: str, project: str, name: str, suffix: str, unpack: dict[str, Any], components: Mapping[str, str]
) -> dict[str, Any]:
    url = _GITHUB % (project, components[component], name)
    return {
        "component": component,
        "url": url,
        "checksum_url": url + suffix,
        "version": components[component],
        "unpack": dict(unpack),
    }


def _runc(version: str, architecture: str) -> dict[str, Any]:
    return {
        "component": "runc",
        "url": _GITHUB % (_RUNC, version, "runc." + architecture),
        "checksum_url": _GITHUB % (_RUNC, version, "runc.sha256sum"),
        "version": version,
        "dest": "/usr/local/sbin/runc",
    }


def _kubernetes(name: str, version: str, architecture: str) -> dict[str, Any]:
    url = "https://dl.k8s.io/release/v%s/bin/linux/%s/%s" % (version, architecture, name)
    return {
        "component": "kubeadm",
        "url": url,
        "checksum_url": url + ".sha256",
        "version": "v" + version,
        "dest": "/usr/local/bin/" + name,
    }
