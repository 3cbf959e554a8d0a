# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The components: their Go modules, programs and linker flags, and the duration of a build on two cores."""

from __future__ import annotations

from dataclasses import dataclass, field

KUBERNETES = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-proxy",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
)
CNI = {
    "ipam": ("dhcp", "host-local", "static"),
    "main": ("bridge", "dummy", "host-device", "ipvlan", "loopback", "macvlan", "ptp", "tap", "vlan"),
    "meta": ("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"),
}


@dataclass(frozen=True)
class Component:
    """`programs` maps a program to its package, `flags` a linker variable to its value ({v} is the version)."""

    name: str
    modules: tuple[str, ...]
    programs: dict[str, str]
    seconds: int
    flags: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    cgo: bool = False

    def linker_flags(self, version):
        """Return the value of -ldflags: no symbols, the version, and static linking."""
        major, minor = version.split(".")[:2]
        words = ["-s", "-w"]
        for variable, value in self.flags.items():
            words += ["-X", f"{variable}={value.format(v=version, major=major, minor=minor)}"]
        if self.cgo:
            words += ["-linkmode", "external", "-extldflags", "-static"]
        return " ".join(words)


def _kubernetes_flags():
    values = {
        "gitVersion": "v{v}",
        "gitMajor": "{major}",
        "gitMinor": "{minor}",
        "gitTreeState": "archive",
        "gitCommit": "",
    }
    return {
        f"{package}.{variable}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in values.items()
    }


_CNI_MODULE = "github.com/containernetworking/plugins"
_CONTAINERD = "github.com/containerd/containerd/v2"
_KINE = "github.com/k3s-io/kine"
_KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2"
_VERSITYGW = "github.com/versity/versitygw"

COMPONENTS = {
    component.name: component
    for component in (
        Component(
            "kubernetes",
            ("k8s.io/kubernetes",),
            {name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES},
            420,
            flags=_kubernetes_flags(),
        ),
        Component(
            "containerd",
            (_CONTAINERD,),
            {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
            66,
            flags={f"{_CONTAINERD}/version.Version": "v{v}"},
            tags=("no_btrfs", "no_devmapper", "no_zfs"),
        ),
        Component(
            "runc",
            ("github.com/opencontainers/runc",),
            {"runc": "github.com/opencontainers/runc"},
            22,
            tags=("seccomp", "netgo", "osusergo"),
            cgo=True,
        ),
        Component(
            "cni-plugins",
            (_CNI_MODULE,),
            {name: f"{_CNI_MODULE}/plugins/{kind}/{name}" for kind, names in CNI.items() for name in names},
            10,
            flags={f"{_CNI_MODULE}/pkg/utils/buildversion.BuildVersion": "v{v}"},
        ),
        Component(
            "cri-tools",
            ("sigs.k8s.io/cri-tools",),
            {"crictl": "sigs.k8s.io/cri-tools/cmd/crictl"},
            39,
            flags={"sigs.k8s.io/cri-tools/pkg/version.Version": "v{v}"},
        ),
        Component(
            "etcd",
            tuple(f"go.etcd.io/etcd/{part}/v3" for part in ("server", "etcdctl", "etcdutl")),
            {
                "etcd": "go.etcd.io/etcd/server/v3",
                "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
                "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
            },
            33,
        ),
        Component("coredns", ("github.com/coredns/coredns",), {"coredns": "github.com/coredns/coredns"}, 102),
        Component(
            "kube-router",
            (_KUBE_ROUTER,),
            {"kube-router": f"{_KUBE_ROUTER}/cmd/kube-router"},
            224,
            flags={f"{_KUBE_ROUTER}/pkg/version.Version": "v{v}"},
        ),
        Component(
            "kine",
            (_KINE,),
            {"kine": _KINE},
            88,
            flags={f"{_KINE}/pkg/version.Version": "v{v}"},
            tags=("netgo", "osusergo", "sqlite_omit_load_extension"),
            cgo=True,
        ),
        # An S3 server for the tests of backups (tests/lab/destinations).
        Component("versitygw", (_VERSITYGW,), {"versitygw": f"{_VERSITYGW}/cmd/versitygw"}, 100),
    )
}
