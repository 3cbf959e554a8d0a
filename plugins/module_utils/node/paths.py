# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node's distribution keeps what a proof needs. Standard library only.

https://kubernetes.io/docs/setup/best-practices/certificates/ and https://docs.k3s.io/cli/server (data-dir)
"""

from __future__ import annotations

import glob
import os
import re

ADMIN = "/etc/kubernetes/admin.conf"
K3S_ADMIN = "/etc/rancher/k3s/k3s.yaml"
K3S_CONFIG = "/etc/rancher/k3s/config.yaml"


def text_of(path):
    """A file's text, empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def admin():
    """The administrator's kubeconfig of the distribution that is here; kubeadm's where none is."""
    return K3S_ADMIN if not os.path.exists(ADMIN) and os.path.exists(K3S_ADMIN) else ADMIN


class Kubeadm:
    """A kubeadm node."""

    root = "/etc/kubernetes"
    socket = "/run/containerd/containerd.sock"
    crictl = ("crictl",)
    registries = "/etc/containerd/certs.d"
    renewal = "`kubeadm certs renew all` there, then restart the static pods"
    client = ("/var/lib/kubelet/pki/kubelet-client-current.pem", None)

    def __init__(self):
        self.identity = self.root + "/kubelet.conf"
        self.kubeconfigs = sorted(glob.glob(self.root + "/*.conf"))
        self.authority_file = self.root + "/pki/ca.crt"

    def servers(self):
        """Addresses of the API that this node's kubelet, and its administrator, use."""
        found = []
        for path in (self.identity, self.root + "/admin.conf"):
            found += re.findall(r"^\s*server:\s*[\"']?([^\s\"']+)", text_of(path), re.M)
        return list(dict.fromkeys(found))

    def certificates(self):
        """{name: path} of the certificates that the node uses."""
        pki = self.root + "/pki"
        paths = glob.glob(pki + "/*.crt") + glob.glob(pki + "/etcd/*.crt") + glob.glob(self.client[0])
        return {"etcd/" * ("/etcd/" in path) + os.path.basename(path).rsplit(".", 1)[0]: path for path in sorted(paths)}


class K3s:
    """A K3s node."""

    socket = "/run/k3s/containerd/containerd.sock"
    crictl = ("/usr/local/bin/k3s", "crictl")
    renewal = "K3s renews it when it is restarted"
    kubeconfigs = (K3S_ADMIN,)

    def __init__(self):
        found = re.search(r"^data-dir:\s*[\"']?([^\s\"']+)", text_of(K3S_CONFIG), re.M)
        self.data = (found.group(1) if found else "/var/lib/rancher/k3s").rstrip("/")
        self.identity = self.data + "/agent/kubelet.kubeconfig"
        self.registries = self.data + "/agent/etc/containerd/certs.d"
        self.client = (self.data + "/agent/client-kubelet.crt", self.data + "/agent/client-kubelet.key")
        self.authority_file = self.data + "/agent/server-ca.crt"

    def pods(self):
        """The networks of the cluster's pods, as flannel tells its CNI plugin: https://github.com/flannel-io/cni-plugin"""
        return re.findall(r"^FLANNEL_(?:IPV6_)?NETWORK=(\S+)", text_of("/run/flannel/subnet.env"), re.M)

    def servers(self):
        """K3s's own balancer, or the server itself, and where the node joins."""
        found = [self.own()] + re.findall(r"^server:\s*[\"']?([^\s\"']+)", text_of(K3S_CONFIG), re.M)
        return list(dict.fromkeys(found))

    def own(self):
        """The address that the node's own kubelet uses."""
        found = re.search(r"^\s*server:\s*[\"']?([^\s\"']+)", text_of(self.identity), re.M)
        return found.group(1) if found else "https://127.0.0.1:6444"

    def certificates(self):
        paths = glob.glob(self.data + "/server/tls/*.crt") + glob.glob(self.data + "/server/tls/etcd/*.crt")
        paths += glob.glob(self.data + "/agent/*.crt")
        return {os.path.relpath(path, self.data).rsplit(".", 1)[0]: path for path in sorted(paths)}

    def etcd(self):
        """How the embedded etcd is reached, as verify_etcd.flags; empty where there is none.

        Its other listeners speak gRPC alone: https://github.com/k3s-io/k3s/blob/main/pkg/etcd/etcd.go (listenClientHTTPURLs).
        """
        place = self.data + "/server/tls/etcd/"
        if not os.path.isdir(self.data + "/server/db/etcd/member"):
            return {}
        files = {"cafile": "server-ca.crt", "certfile": "client.crt", "keyfile": "client.key"}
        return {"servers": "https://127.0.0.1:2382", "own": "alone", **{name: place + file for name, file in files.items()}}


def here():
    """What is on this node; kubeadm where nothing is."""
    light = K3s()
    return light if not os.path.exists(Kubeadm().identity) and os.path.isdir(light.data) else Kubeadm()
