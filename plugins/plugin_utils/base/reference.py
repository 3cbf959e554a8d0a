# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions, numbers and names that the decisions rest on, each with the page that says so.

Plain data: nothing here computes.
"""

from __future__ import annotations

from typing import Any

# Newest patch that this release of the collection was tried with, by minor release, and what its kubeadm names
# (`kubeadm config images list`). Another patch or a newer minor is tried with a warning.
KUBERNETES = {
    "1.34": {"patch": "1.34.4", "etcd": "3.6.5-0", "coredns": "v1.12.1", "pause": "3.10.1"},
    "1.35": {"patch": "1.35.4", "etcd": "3.6.6-0", "coredns": "v1.13.1", "pause": "3.10.1"},
    "1.36": {"patch": "1.36.3", "etcd": "3.6.8-0", "coredns": "v1.14.2", "pause": "3.10.2"},
    "1.37": {"patch": "1.37.2", "etcd": "3.7.0-0", "coredns": "v1.14.6", "pause": "3.10.2"},
}
# Before the first member of an etcd release starts, all members must have at least this version of the release before
# it. kubeadm's own versions of etcd do not keep to that, so new clusters get the image instead of kubeadm's.
# https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/; the image: https://github.com/kubernetes/kubernetes/pull/138746
# Older members of 3.5 let removed members come back in 3.6: https://etcd.io/blog/2025/zombie_members_upgrade/. Without
# an image the members are not changed on the way, so an upgrade is refused.
ETCD_FLOORS: dict[tuple[int, int], dict[str, str]] = {
    (3, 6): {
        "version": "3.5.26",
        "image": "",
        "source": "https://etcd.io/docs/latest/upgrades/upgrade_3_6/",
    },
    (3, 7): {
        "version": "3.6.11",
        "image": "3.6.11-0",
        "source": "https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/",
    },
}
RELEASES_PAGE = "https://kubernetes.io/releases/"
# A release gets about one patch a month for 14 months: https://kubernetes.io/releases/patch-releases/
LAST_PATCH = 30
SKEW_PAGE = "https://kubernetes.io/releases/version-skew-policy/"

# Component releases installed beside Kubernetes.
COMPONENTS = {"containerd": "2.2.9", "runc": "1.4.3", "cni": "1.9.1", "crictl": "1.37.0"}
# The first containerd that reads configuration of version 3:
# https://github.com/containerd/containerd/blob/main/docs/cri/config.md
OLDEST_CONTAINERD = (2, 0)
KUBE_ROUTER = "v2.1.0"

# Where containerd reads the template of the CNI configuration that it writes itself.
CNI_TEMPLATE = "/etc/kubernetes/kubewright/cni.template"

# https://kubernetes.io/releases/download/ and containerd's, runc's, CNI's and cri-tools' release pages.
KUBERNETES_ARCHITECTURES = ("amd64", "arm64", "ppc64le", "s390x")

MIB = 1024 * 1024
GIB = 1024 * MIB

KUBEADM_PAGE = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/"
# kubeadm's own preflight takes 1700 MiB as the lower limit for the 2 GiB that its page asks for
# (cmd/kubeadm/app/constants: ControlPlaneMem), and two CPUs for a control plane.
KUBEADM_MINIMUM: dict[str, dict[str, Any]] = {
    "control_plane": {"memory": 1700 * MIB, "cpus": 2, "source": KUBEADM_PAGE},
    "worker": {"memory": 1700 * MIB, "cpus": 1, "source": KUBEADM_PAGE},
}
# Free bytes that images and logs of the cluster itself need; our own measure.
DISK = {"control_plane": 10 * GIB, "worker": 5 * GIB}
# Revision of a Kubernetes version's first K3s release: v1.36.3+k3s1.
K3S_REVISION = "k3s1"
K3S_PAGE = "https://docs.k3s.io/installation/requirements"
K3S_AIRGAP_PAGE = "https://docs.k3s.io/installation/airgap#prerequisites"
# 2 GB and 512 MB as K3s's page has them, less what firmware and kernel keep for themselves (as kubeadm's preflight
# allows).
K3S_MINIMUM: dict[str, dict[str, Any]] = {
    "control_plane": {"memory": 1700 * MIB, "cpus": 2, "source": K3S_PAGE},
    "worker": {"memory": 435 * MIB, "cpus": 1, "source": K3S_PAGE},
}
K3S_ARCHITECTURES = ("amd64", "arm64", "arm")
# "etcd is write intensive; SD cards and eMMC cannot handle the IO load": K3S_PAGE, and
# https://etcd.io/docs/v3.6/op-guide/hardware/#disks for the latency that it needs.
SLOW_DISKS = ("sd", "emmc")
# File systems that overlayfs cannot write to: https://docs.kernel.org/filesystems/overlayfs.html#upper-and-lower
# Those of the network are module_utils.detect.disks.NETWORK. ZFS can from 2.2 on:
# https://github.com/openzfs/zfs/releases/tag/zfs-2.2.0
OVERLAY_PAGE = "https://docs.kernel.org/filesystems/overlayfs.html#upper-and-lower"
NO_OVERLAY = ("overlay", "ramfs", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "squashfs", "aufs")
ZFS_OVERLAY = (2, 2)
# What these hold is lost when the machine stops.
IN_MEMORY = ("tmpfs", "ramfs", "rootfs")
DISKS_PAGE = "https://etcd.io/docs/v3.6/op-guide/hardware/#disks"
# Below its data directory: https://docs.k3s.io/datastore/backup-restore
K3S_ETCD = "/rancher/k3s/server/db/etcd"
ETCD_PAGE = "https://etcd.io/docs/v3.6/faq/#what-is-failure-tolerance"
KUBEADM_ETCD_PAGE = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/ha-topology/"
K3S_DATASTORE_PAGE = "https://docs.k3s.io/datastore"
GPU_PAGE = "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/"
WINDOWS_PAGE = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/adding-windows-nodes/"

# cgroup v1: the kubelet refuses to start from 1.35 on unless failCgroupV1 is false.
CGROUP_V1_PAGE = "https://kubernetes.io/docs/concepts/architecture/cgroups/"
CGROUP_V1_REFUSED_FROM = (1, 35)

# k8s.io/system-validators, validators/types_unix.go, KernelSpec: kubeadm warns of older ones.
OLDEST_KERNEL = (5, 4)

# kube-proxy's nftables mode: the oldest kernel that its page names.
PROXY_PAGE = "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables"
NFTABLES_KERNEL = (5, 13)
# The kubelet's default: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (maxPods).
MAX_PODS = 110

# https://kubernetes.io/docs/reference/networking/ports-and-protocols/
CONTROL_PLANE_PORTS = (
    (2379, "etcd client"),
    (2380, "etcd peer"),
    (10250, "kubelet"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
)
# Those of an etcd on the control planes; an external one may be on the same hosts.
ETCD_PORTS = (2379, 2380)
WORKER_PORTS = ((10250, "kubelet"),)
ENDPOINT_PORT = 7443
# Where K3s's agents balance between the servers, and where a server's own API is: https://docs.k3s.io/cli/agent
# (lb-server-port)
K3S_BALANCER_PORT = 6444

# Kernel settings: https://kubernetes.io/docs/setup/production-environment/container-runtimes/
MODULES = ("overlay", "br_netfilter", "nf_conntrack")
SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}
# kubeadm's preflight looks at the second one (cmd/kubeadm/app/preflight/checks_linux.go, addIPv6Checks).
SYSCTLS_IPV6 = {
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv6.conf.default.forwarding": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}

# Programs that kubelet, kube-proxy and the CNI plugins call on the node, and the package that has each, by OS family.
# https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/ and kubeadm's preflight.
# K3s brings its own: https://github.com/k3s-io/k3s-root
PACKAGE_FAMILIES = ("debian", "redhat", "suse", "arch", "alpine")
_UTIL_LINUX = dict.fromkeys(("redhat", "suse", "arch", "alpine"), "util-linux")
_CONNTRACK = dict.fromkeys(("redhat", "suse", "arch", "alpine"), "conntrack-tools")
COMMAND_PACKAGES = {
    "iptables": dict.fromkeys(PACKAGE_FAMILIES, "iptables"),
    "mount": {**_UTIL_LINUX, "debian": "mount"},
    "ip": {"debian": "iproute2", "redhat": "iproute", "suse": "iproute2", "arch": "iproute2", "alpine": "iproute2"},
    "conntrack": {**_CONNTRACK, "debian": "conntrack"},
    "modprobe": dict.fromkeys(PACKAGE_FAMILIES, "kmod"),
}

# Memory kept for kubelet and runtime: a share of each slice of the node's memory, and of its CPUs.
# The steps are those that GKE publishes and others follow:
# https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
RESERVED_MEMORY_STEPS = ((4 * GIB, 0.25), (4 * GIB, 0.20), (8 * GIB, 0.10), (112 * GIB, 0.06), (None, 0.02))
RESERVED_CPU_STEPS = ((1, 0.06), (1, 0.01), (2, 0.005), (None, 0.0025))
