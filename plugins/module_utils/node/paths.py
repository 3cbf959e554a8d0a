# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths, services and ports on a node, in one place. Standard library only; plugin_utils imports this data.

https://kubernetes.io/docs/setup/best-practices/certificates/ and https://docs.k3s.io/cli/server (data-dir)
"""

from __future__ import annotations

import glob
import os
import re
from typing import Tuple, Union

from ..base.text_files import read_text

# Kubernetes by kubeadm.
KUBERNETES = "/etc/kubernetes"
MANIFESTS = KUBERNETES + "/manifests"
API_SERVER_MANIFEST = MANIFESTS + "/kube-apiserver.yaml"
ADMIN = KUBERNETES + "/admin.conf"
SUPER_ADMIN = KUBERNETES + "/super-admin.conf"
# Describes the tokens that the collection creates for joins, so that it can delete them afterwards.
TOKEN_DESCRIPTION = "kubewright.cluster: nodes join with it"
KUBELET_CONF = KUBERNETES + "/kubelet.conf"
KUBELET_DATA = "/var/lib/kubelet"
KUBELET_FLAGS = KUBELET_DATA + "/kubeadm-flags.env"
KUBELET_CLIENT = KUBELET_DATA + "/pki/kubelet-client-current.pem"
# What it serves: made by itself, or signed by the cluster with serverTLSBootstrap.
KUBELET_SERVING = (KUBELET_DATA + "/pki/kubelet.crt", KUBELET_DATA + "/pki/kubelet.key")
KUBELET_SIGNED_SERVING = KUBELET_DATA + "/pki/kubelet-server-current.pem"
ETCD_DATA = "/var/lib/etcd"
CNI_CONF = "/etc/cni/net.d"
PROGRAMS = "/usr/local/bin"

# containerd.
CONTAINERD = "/etc/containerd"
CONTAINERD_CONFIG = CONTAINERD + "/config.toml"
CONTAINERD_CERTS = CONTAINERD + "/certs.d"
CONTAINERD_CONF_D = CONTAINERD + "/conf.d"
CONTAINERD_DATA = "/var/lib/containerd"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

# K3s.
K3S = "/etc/rancher/k3s"
K3S_CONFIG = K3S + "/config.yaml"
K3S_CONFIG_D = K3S_CONFIG + ".d"
K3S_SECRETS = K3S_CONFIG_D + "/50-kubewright-secrets.yaml"
K3S_ADMIN = K3S + "/k3s.yaml"
K3S_TOKEN = K3S + "/token"
K3S_AGENT_TOKEN = K3S + "/agent-token"
K3S_DATA = "/var/lib/rancher/k3s"
K3S_SOCKET = "/run/k3s/containerd/containerd.sock"
K3S_PROGRAM = PROGRAMS + "/k3s"
# Below a server's directory: its member was removed from the etcd cluster (pkg/executor/embed/etcd/etcd.go).
K3S_TOMBSTONE = "/db/etcd/tombstone"

# The collection's own.
OWN = "/etc/kubewright"
OWNERSHIP_RECORD = OWN + "/owned.json"
BACKUPS = OWN + "/before"
PROXY_ENVIRONMENT = OWN + "/containerd.env"
OWN_DATA = "/var/lib/kubewright"
# Scheduled backups: the program, its settings with the logins of destinations, and the units.
BACKUP = OWN + "/backup"
BACKUP_PROGRAM, BACKUP_SETTINGS = BACKUP + "/kube-backup.pyz", BACKUP + "/settings.json"
BACKUP_SERVICE, BACKUP_TIMER = "kube-backup", "kube-backup.timer"
BACKUP_UNITS = tuple("/etc/systemd/system/" + name for name in (BACKUP_SERVICE + ".service", BACKUP_TIMER))
# When systemd last started the service: https://www.freedesktop.org/software/systemd/man/latest/systemd.timer.html
BACKUP_STAMP = "/var/lib/systemd/timers/stamp-" + BACKUP_TIMER
# Programs of the versions that an upgrade passes, each in a folder of its version.
VERSIONS = "/opt/kubewright"
LOCK = "/run/kubewright.lock"
KUBEADM_LOCK = "/run/kubewright-kubeadm.lock"
MODULES_FILE = "/etc/modules-load.d/kubewright.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-kubewright.conf"
JOURNAL_FILE = "/etc/systemd/journald.conf.d/50-kubewright.conf"

FSTAB = "/etc/fstab"
# A line of fstab that turns swap on at boot: https://man7.org/linux/man-pages/man5/fstab.5.html
SWAP_LINE = re.compile(r"^\s*[^#\s]\S*\s+\S+\s+swap(?:\s|$)", re.ASCII)

# Directories whose disks matter, by distribution.
DATA_BY_DISTRIBUTION = {"kubeadm": (ETCD_DATA, CONTAINERD_DATA, KUBELET_DATA), "k3s": (K3S_DATA,)}

K3S_SERVICES = ("k3s", "k3s-agent")
ENDPOINT_SERVICES = ("kube-endpoint", "kube-endpoint-vip")
BRIDGE_SERVICE = "kube-bridge"
# The services that the collection makes.
SERVICES = ("containerd", "kubelet", *ENDPOINT_SERVICES, BRIDGE_SERVICE, *K3S_SERVICES)
# Files that a host may have before the collection writes them: the plan says which ones it will replace.
MAY_BE_OTHERS = (
    CONTAINERD_CONFIG,
    "/etc/crictl.yaml",
    MODULES_FILE,
    SYSCTL_FILE,
    K3S_CONFIG,
    K3S + "/registries.yaml",
    *("/etc/systemd/system/%s.service" % name for name in SERVICES),
)
# The order in which reset stops them: what starts pods first, the runtime last.
STOP_ORDER = ("kubelet", *K3S_SERVICES, "kube-endpoint-vip", "kube-endpoint", BRIDGE_SERVICE, "containerd")

# https://kubernetes.io/docs/reference/networking/ports-and-protocols/
API_PORT = 6443
ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
KUBELET_PORT, KUBELET_HEALTH_PORT = 10250, 10248
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
# K3s's own balancer of the servers, and its etcd's JSON gateway: pkg/etcd/etcd.go (listenClientHTTPURLs).
K3S_BALANCER_PORT, K3S_ETCD_HTTP_PORT = 6444, 2382
# The route protocol number that marks the bridge's routes: /etc/iproute2/rt_protos has no name for it.
ROUTE_PROTOCOL = 107


def admin() -> str:
    """Return the administrator's kubeconfig of the distribution on this node, kubeadm's if there is none."""
    return K3S_ADMIN if not os.path.exists(ADMIN) and os.path.exists(K3S_ADMIN) else ADMIN


class Kubeadm:
    """The paths of a kubeadm node."""

    root = KUBERNETES
    socket = CONTAINERD_SOCKET
    crictl: Tuple[str, ...] = ("crictl",)
    registries = CONTAINERD_CERTS
    # Patterns of containerd's configuration, where the logins are.
    containerd: Tuple[str, ...] = (CONTAINERD_CONFIG, CONTAINERD_CONF_D + "/*.toml")
    renewal = "run kubewright.cluster.rotate"
    # Hints for the checks of verify: where to look if the kubelet or the API server does not serve.
    kubelet_hint = "look at `journalctl -u kubelet -u containerd` there"
    api_server_hint = "look at `crictl ps -a --name kube-apiserver` and its logs there"
    client: Tuple[str, Union[str, None]] = (KUBELET_CLIENT, None)

    def __init__(self) -> None:
        self.identity = self.root + "/kubelet.conf"
        self.kubeconfigs = tuple(sorted(glob.glob(self.root + "/*.conf")))
        self.authority_file = self.root + "/pki/ca.crt"

    def servers(self) -> list[str]:
        """Return the URLs of the API that this node's kubelet and its administrator use."""
        found: list[str] = []
        for path in (self.identity, self.root + "/admin.conf"):
            found += re.findall(r"^\s*server:\s*[\"']?([^\s\"']+)", read_text(path), re.M)
        return list(dict.fromkeys(found))

    def certificates(self) -> dict[str, str]:
        """Return the paths of the node's certificates by name."""
        pki = self.root + "/pki"
        found = glob.glob(pki + "/*.crt") + glob.glob(pki + "/etcd/*.crt") + glob.glob(self.client[0])
        return {"etcd/" * ("/etcd/" in path) + os.path.basename(path).rsplit(".", 1)[0]: path for path in sorted(found)}


def k3s_program() -> str:
    """Return the path of K3s that the node's service starts, which k3s_binary may name; the usual one if none does."""
    for name in K3S_SERVICES:
        text = read_text("/etc/systemd/system/%s.service" % name) or read_text("/etc/init.d/" + name)
        found = re.search(r'^(?:ExecStart=|command="?)(/[^\s"]+)', text, re.M)
        if found:
            return found.group(1)
    return K3S_PROGRAM


def k3s_loopback(settings: str) -> str:
    """Return the address at which the parts of a K3s server listen, in the form of URLs. settings: its config.yaml.

    It follows the first Services network: pkg/daemons/config/types.go (Loopback).
    """
    found = re.search(r"^service-cidr:\s*(?:-\s*)?[\"']?([0-9a-fA-F.:]+)/", settings, re.M)
    return "[::1]" if found and ":" in found.group(1) else "127.0.0.1"


class K3s:
    """The paths of a K3s node."""

    socket = K3S_SOCKET
    renewal = "K3s renews it when it is restarted"
    kubelet_hint = "look at `journalctl -u k3s -u k3s-agent` there"
    api_server_hint = "look at `journalctl -u k3s` there"
    kubeconfigs: Tuple[str, ...] = (K3S_ADMIN,)

    def __init__(self) -> None:
        self.crictl: Tuple[str, ...] = (k3s_program(), "crictl")
        found = re.search(r"^data-dir:\s*[\"']?([^\s\"']+)", read_text(K3S_CONFIG), re.M)
        self.data = (found.group(1) if found else K3S_DATA).rstrip("/")
        self.identity = self.data + "/agent/kubelet.kubeconfig"
        self.registries = self.data + "/agent/etc/containerd/certs.d"
        self.containerd = (self.data + "/agent/etc/containerd/config.toml",)
        self.client = (self.data + "/agent/client-kubelet.crt", self.data + "/agent/client-kubelet.key")
        self.authority_file = self.data + "/agent/server-ca.crt"

    @property
    def loopback(self) -> str:
        """Return the address at which the parts of a server listen, in the form of URLs."""
        return k3s_loopback(read_text(K3S_CONFIG))

    def api_server(self) -> Tuple[str, int] | None:
        """Return (address, port) of this server's own API, None if the node is not a server.

        K3s writes the address that it listens at, or its loopback, to the administrator's kubeconfig: pkg/server/server.go
        (writeKubeConfig). Another one is of a file that was copied here.
        """
        found = re.search(r"^\s*server:\s*[\"']?https://(\[[^\]\s]+\]|[^:/\s\"']+):(\d+)", read_text(K3S_ADMIN), re.M)
        bound = re.search(r"^bind-address:\s*[\"']?([^\s\"']+)", read_text(K3S_CONFIG), re.M)
        if not found:
            return None
        address = found.group(1).strip("[]")
        own = ("127.0.0.1", "::1", "localhost", bound.group(1) if bound else "")
        return (address, int(found.group(2))) if address in own else None

    def pod_networks(self) -> list[str]:
        """Return the cluster's pod networks, which flannel writes for its CNI plugin.

        https://github.com/flannel-io/cni-plugin
        """
        return re.findall(r"^FLANNEL_(?:IPV6_)?NETWORK=(\S+)", read_text("/run/flannel/subnet.env"), re.M)

    def servers(self) -> list[str]:
        """Return the URL that the node's kubelet uses (K3s's own balancer, or the server) and the one it joined."""
        found = [self.own_server()] + re.findall(r"^server:\s*[\"']?([^\s\"']+)", read_text(K3S_CONFIG), re.M)
        return list(dict.fromkeys(found))

    def own_server(self) -> str:
        """Return the URL of the API that the node's own kubelet uses."""
        found = re.search(r"^\s*server:\s*[\"']?([^\s\"']+)", read_text(self.identity), re.M)
        return found.group(1) if found else "https://%s:%d" % (self.loopback, K3S_BALANCER_PORT)

    def certificates(self) -> dict[str, str]:
        """Return the paths of the node's certificates by name."""
        found = glob.glob(self.data + "/server/tls/*.crt") + glob.glob(self.data + "/server/tls/etcd/*.crt")
        found += glob.glob(self.data + "/agent/*.crt")
        return {os.path.relpath(path, self.data).rsplit(".", 1)[0]: path for path in sorted(found)}

    def etcd(self) -> dict[str, str]:
        """Return how to reach the embedded etcd, in the form of api.etcd.access; {} if there is none."""
        place = self.data + "/server/tls/etcd/"
        if not os.path.isdir(self.data + "/server/db/etcd/member"):
            return {}
        return {
            "servers": "https://%s:%d" % (self.loopback, K3S_ETCD_HTTP_PORT),
            "own_only": "yes",
            "cafile": place + "server-ca.crt",
            "certfile": place + "client.crt",
            "keyfile": place + "client.key",
        }


def here() -> Kubeadm | K3s:
    """Return the paths of the distribution on this node, kubeadm's if there is none."""
    k3s = K3s()
    return k3s if not os.path.exists(Kubeadm().identity) and os.path.isdir(k3s.data) else Kubeadm()
