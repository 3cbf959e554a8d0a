# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather what helps to find the cause of a failure: a node's logs, states and configurations, masked on the node.

Standard library only.
"""

from __future__ import annotations

import base64
import glob
import io
import json
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict

from ..api.kubernetes import Api, ApiError, local_server
from ..base import commands
from ..base.masking import masked
from ..node import paths
from ..node.network_traces import SERVICES

FILE_LIMIT = 1 << 20
SECONDS = 30
JOURNAL = "journalctl --no-pager --output short-iso "
ENDPOINT_UNITS = "".join(" -u " + name for name in ("kube-endpoint", "kube-endpoint-vip", *SERVICES))
STATUS = "systemctl --no-pager --full status " + " ".join(paths.SERVICES)
COMMANDS = {
    "journal/kubelet.log": JOURNAL + "-n 2000 -u kubelet",
    "journal/containerd.log": JOURNAL + "-n 1000 -u containerd",
    "journal/k3s.log": JOURNAL + "-n 2000" + "".join(" -u " + name for name in paths.K3S_SERVICES),
    "journal/endpoint.log": JOURNAL + "-n 500" + ENDPOINT_UNITS,
    "journal/backup.log": JOURNAL + "-n 200 -u " + paths.BACKUP_SERVICE,
    "journal/kernel.log": JOURNAL + "-n 500 -k",
    "systemd/failed.txt": "systemctl --no-pager --failed",
    "systemd/status.txt": STATUS,
    "host/uname.txt": "uname -a",
    "host/uptime.txt": "uptime",
    "host/memory.txt": "free -m",
    "host/disks.txt": "df -hT",
    "host/inodes.txt": "df -i",
    "host/mounts.txt": "mount",
    "host/processes.txt": "ps -eo pid,ppid,user,stat,pcpu,pmem,etime,comm",
    "host/sysctl.txt": (
        "sysctl net.ipv4.ip_forward net.bridge fs.inotify fs.file-max kernel.pid_max vm.overcommit_memory"
    ),
    "network/addresses.txt": "ip address",
    "network/links.txt": "ip -d -s link",
    "network/routes.txt": "ip route show table all",
    "network/rules.txt": "ip rule",
    "network/sockets.txt": "ss -lntup",
    "network/iptables.txt": "iptables-save -c",
    "network/nftables.txt": "nft list ruleset",
}
# crictl's arguments.
RUNTIME = {
    "runtime/containers.txt": "ps -a",
    "runtime/pods.txt": "pods",
    "runtime/images.txt": "images --digests",
    "runtime/info.json": "info",
}
FILES = (
    "/etc/os-release",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/containerd/config.toml",
    "/etc/containerd/conf.d/*.toml",
    "/etc/containerd/certs.d/*/hosts.toml",
    "/etc/cni/net.d/*.conf*",
    "/etc/kubernetes/manifests/*.yaml",
    "/etc/kubernetes/kubelet.conf.d/*",
    "/etc/kubewright/*/*.cfg",
    "/etc/kubewright/*/*.conf",
    "/etc/kubewright/owned.json",
    paths.K3S_CONFIG,
    paths.K3S + "/kubelet.yaml",
    "/etc/keepalived/keepalived.conf",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/proc/cmdline",
)
CONTAINER_LOGS = "/var/log/pods/kube-system_*/*/*.log"
CONTAINER_LOG_LIMIT = 64 << 10
# Secrets are never requested.
OBJECTS = {
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/pods",
    "events": "/api/v1/events",
    "services": "/api/v1/services",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
    "deployments": "/apis/apps/v1/deployments",
    "daemonsets": "/apis/apps/v1/daemonsets",
    "leases": "/apis/coordination.k8s.io/v1/leases",
    "certificatesigningrequests": "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "coredns": "/api/v1/namespaces/kube-system/configmaps/coredns",
    "kube-proxy": "/api/v1/namespaces/kube-system/configmaps/kube-proxy",
    "kubeadm-config": "/api/v1/namespaces/kube-system/configmaps/kubeadm-config",
    "kubelet-config": "/api/v1/namespaces/kube-system/configmaps/kubelet-config",
}


def gather(ask_api: bool) -> dict[str, str]:
    """Return {path in the bundle: masked text}. ask_api: ask the API of this node for its objects too."""
    parts: Dict[str, str] = {}
    with ThreadPoolExecutor(4) as pool:
        wanted = {**COMMANDS, **runtime_commands()}
        parts.update(zip(wanted, pool.map(output, wanted.values())))
    for pattern in FILES:
        for path in glob.glob(pattern):
            parts["files" + path] = content(path)
    for path in glob.glob(CONTAINER_LOGS):
        parts["logs/" + os.path.relpath(path, "/var/log/pods")] = content(path, CONTAINER_LOG_LIMIT)
    if ask_api:
        parts.update(objects())
    return {name: masked(text) for name, text in parts.items()}


def runtime_commands() -> dict[str, str]:
    """Return {path in the bundle: command line} of what the container runtime is asked: K3s's own, or containerd."""
    node = paths.here()
    crictl = "%s --runtime-endpoint unix://%s" % (" ".join(node.crictl), node.socket)
    return {name: "%s %s" % (crictl, arguments) for name, arguments in RUNTIME.items()}


def output(command: str) -> str:
    """Return a command line and its output, only the end of it if it is very long."""
    done = commands.run(command.split(), timeout=SECONDS, merge=True)
    return "$ %s\n%s" % (command, done.out[-FILE_LIMIT:] + (done.err and done.err + "\n"))


def content(path: str, limit: int = FILE_LIMIT) -> str:
    """Return the last `limit` bytes of a file as text, or the error if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            return stream.read(limit).decode("utf-8", "replace")
    except OSError as error:
        return "%s\n" % error


def objects() -> dict[str, str]:
    """Return the API's objects as JSON by path in the bundle, without parts that may hold a secret."""
    parts = {}
    try:
        api = Api([local_server() or ("127.0.0.1", 6443)], patience=3)
    except ApiError as error:
        return {"api/error.txt": "%s\n" % error}
    for name, path in OBJECTS.items():
        try:
            found = api.get(path, missing_ok=True)
            parts["api/%s.json" % name] = json.dumps(stripped(found), indent=1)
        except ApiError as error:
            parts["api/%s.json" % name] = "%s\n" % error
    return parts


def stripped(value: Any) -> Any:
    """Return an object without the values of environment variables and without its copies in annotations."""
    if isinstance(value, list):
        return [stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: item
        for key, item in value.items()
        if key not in ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")
    }
    for variable in kept.get("env") or [] if isinstance(kept.get("env"), list) else []:
        if isinstance(variable, dict):
            variable.pop("value", None)
    return {key: stripped(item) for key, item in kept.items()}


def archive(parts: dict[str, str], top: str) -> str:
    """Return a tar.gz of the parts below the directory `top`, in base64."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in sorted(parts.items()):
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo("%s/%s" % (top, name))
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    return base64.b64encode(buffer.getvalue()).decode("ascii")
