# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that a node's services make while they run, and what was there before them. Standard library only.

Ours is what did not exist or was empty when the collection first came. `claim` records that before a service is first
started; reset removes only what was not there then.
"""

from __future__ import annotations

import os
import re

from ..base.text_files import read_text
from . import network_traces, paths, services
from .ownership import Record

# The kubelet sets in logind how long a shutdown waits for it:
# https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/nodeshutdown/systemd/inhibit_linux.go
LOGIND = "/etc/systemd/logind.conf.d/99-kubelet.conf"
# Directories of libcni and its plugin host-local, each claimed: other programs' networks are beside ours.
# https://github.com/containernetworking/plugins/blob/main/plugins/ipam/host-local/backend/disk/backend.go
CNI_DATA = ("/var/lib/cni/networks", "/var/lib/cni/results", "/var/lib/cni")
OF_PODS = (*CNI_DATA, "/var/log/pods", "/var/log/containers", "/usr/libexec/kubernetes")
# What Kubernetes makes while it runs. etcd's data are asked for while its manifest is there, so they come first.
KUBELET = (
    paths.ETCD_DATA,
    paths.MANIFESTS,
    paths.KUBERNETES + "/pki/etcd",
    paths.KUBERNETES + "/pki",
    paths.KUBERNETES + "/tmp",
    paths.ADMIN,
    paths.SUPER_ADMIN,
    paths.KUBELET_CONF,
    paths.KUBERNETES + "/bootstrap-kubelet.conf",
    paths.KUBERNETES + "/controller-manager.conf",
    paths.KUBERNETES + "/scheduler.conf",
    paths.KUBELET_DATA,
    paths.OWN_DATA,
    *OF_PODS,
    paths.KUBEADM_LOCK,
    *network_traces.paths_of("kubelet"),
    LOGIND,
)
RUNTIME = ("/run/containerd", *network_traces.paths_of("containerd"))
IMAGES = (paths.CONTAINERD_DATA, "/opt/containerd")
# What K3s makes outside of its data directory: https://docs.k3s.io/installation/uninstall
K3S = (
    paths.K3S_ADMIN,
    paths.K3S_TOKEN,
    paths.K3S_AGENT_TOKEN,
    "/etc/rancher/node",
    LOGIND,
    "/var/log/k3s.log",
    "/var/log/k3s-agent.log",
    "/run/k3s",
    *network_traces.paths_of("k3s"),
    paths.KUBELET_DATA,
    paths.OWN_DATA,
    *OF_PODS,
)
# Directories that another program on the host may use too: with content of others they are refused before an install.
SHARED = (paths.ETCD_DATA, paths.CONTAINERD_DATA, RUNTIME[0])
# Stands for a path that is not a directory.
ITSELF = "."


def containerd_root() -> str | None:
    """Return containerd's data directory by its configuration, None if its name does not end with /containerd."""
    found = re.search(r'^root = "([^"]+)"', read_text(paths.CONTAINERD_CONFIG), re.M)
    return found.group(1) if found and found.group(1).endswith("/containerd") else None


def image_places() -> list[str]:
    """Return the places of containerd's images, in the usual directory and in the one of its configuration."""
    return list(dict.fromkeys([*IMAGES, *filter(None, [containerd_root()])]))


def of_service(name: str) -> list[str]:
    """Return the paths of the data that a service of ours makes."""
    if name == "kubelet":
        return list(KUBELET)
    if name == "containerd":
        return [*RUNTIME, *image_places()]
    return [paths.K3s().data, *K3S] if name in paths.K3S_SERVICES else []


def makers(written: set[str]) -> list[str]:
    """Return the services that will make data, by the files that were written: their units, or K3s's configuration."""
    managers = (services.Systemd, services.OpenRC)
    found = [name for name in paths.SERVICES if any(manager.path(name) in written for manager in managers)]
    return found + (["k3s"] if paths.K3S_CONFIG in written else [])


def claim(written: set[str], record: Record) -> bool:
    """Record what is in the places of services that have yet to start. Return True if the record changed.

    written: the paths of files that were written for them.
    """
    wanted = [path for name in makers(written) for path in of_service(name) if path not in record["data"]]
    if not wanted:
        return False
    if not record["data"]:
        record["interfaces"] = [name for name in network_traces.INTERFACES if os.path.exists("/sys/class/net/" + name)]
    for path in wanted:
        record["data"][path] = {"before": [name for name in content(path) if not _is_ours(path, name, record)]}
    return True


def content(path: str) -> list[str]:
    """Return the names in a directory, [ITSELF] for a file, [] if it is empty or does not exist. Links are followed."""
    if os.path.isdir(path):
        return sorted(set(os.listdir(path)) - {"lost+found"})
    return [ITSELF] if os.path.lexists(path) else []


def _is_ours(path: str, name: str, record: Record) -> bool:
    """Return True if we made a name in a directory: images may be put there before K3s starts."""
    here = path if name == ITSELF else os.path.join(path, name)
    return here in record["files"] or here in record["artifacts"] or here in record["directories"]
