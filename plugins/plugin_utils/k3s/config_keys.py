# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of K3s's config.yaml: the role and the kind of value of each, and the versions that know them. Data only.

Names and kinds: https://docs.k3s.io/cli/server and https://docs.k3s.io/cli/agent, and for the hidden ones the flags in
https://github.com/k3s-io/k3s/tree/main/pkg/cli/cmds (server.go, agent.go, root.go, log.go).
"""

from __future__ import annotations

from typing import NamedTuple

SERVER_PAGE = "https://docs.k3s.io/cli/server"
AGENT_PAGE = "https://docs.k3s.io/cli/agent"
SERVER, AGENT = "server", "agent"

# Kinds of values, as messages name them.
VALUE = "a single value"
LIST = "a list"
BOOL = "true or false"
NUMBER = "a whole number"
DURATION = "a duration such as 5m0s"
MODE = 'a file mode in quotes such as "0600"'

# The oldest release that these tables cover.
OLDEST = (1, 30)


class Key(NamedTuple):
    """A key of config.yaml. roles: the roles in K3s that know it. kind: what it takes, one of the texts above."""

    roles: tuple[str, ...]
    kind: str


# A server runs an agent too: it takes all of the agent's keys except those of _AGENT.
_BOTH = {
    LIST: """
        airgap-extra-registry kube-proxy-arg kubelet-arg node-external-dns node-external-ip node-internal-dns node-ip
        node-label node-taint
    """,
    BOOL: """
        alsologtostderr debug disable-default-registry-endpoint docker enable-pprof nonroot-devices prefer-bundled-bin
        protect-kernel-defaults rootless selinux with-node-id
    """,
    NUMBER: "lb-server-port v",
    VALUE: """
        bind-address container-runtime-endpoint data-dir default-runtime flannel-cni-conf flannel-conf flannel-iface
        image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint log node-name
        pause-image private-registry resolv-conf server snapshotter token token-file vmodule vpn-auth vpn-auth-file
    """,
}
_SERVER = {
    LIST: """
        cluster-cidr cluster-dns disable etcd-arg helm-controller-arg kube-apiserver-arg kube-cloud-controller-arg
        kube-cloud-controller-manager-arg kube-controller-arg kube-controller-manager-arg kube-scheduler-arg
        service-cidr tls-san
    """,
    BOOL: """
        cluster-init cluster-reset disable-agent disable-apiserver disable-cloud-controller disable-controller-manager
        disable-etcd disable-helm-controller disable-kube-proxy disable-network-policy disable-scheduler
        embedded-registry etcd-disable-snapshots etcd-expose-metrics etcd-s3 etcd-s3-insecure etcd-s3-skip-ssl-verify
        etcd-snapshot-compress flannel-external-ip flannel-ipv6-masq kine-tls secrets-encryption supervisor-metrics
        tls-san-security
    """,
    NUMBER: """
        advertise-port apiserver-port etcd-s3-retention etcd-snapshot-retention https-listen-port supervisor-port
    """,
    DURATION: "etcd-s3-timeout etcd-snapshot-reconcile-interval",
    MODE: "write-kubeconfig-mode",
    VALUE: """
        advertise-address agent-token agent-token-file apiserver-bind-address cluster-domain cluster-reset-restore-path
        datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile default-local-storage-path
        egress-selector-mode etcd-s3-access-key etcd-s3-bucket etcd-s3-bucket-lookup-type etcd-s3-config-secret
        etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-folder etcd-s3-proxy etcd-s3-region etcd-s3-secret-key
        etcd-s3-session-token etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-schedule-cron flannel-backend
        helm-job-image secrets-encryption-provider service-node-port-range servicelb-namespace system-default-registry
        write-kubeconfig write-kubeconfig-group write-kubeconfig-name
    """,
}
_AGENT = {BOOL: "disable-apiserver-lb"}

_TABLES: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    ((SERVER, AGENT), _BOTH),
    ((SERVER,), _SERVER),
    ((AGENT,), _AGENT),
)
KEYS = {name: Key(roles, kind) for roles, kinds in _TABLES for kind, names in kinds.items() for name in names.split()}

# The first patch of each minor release that knows a key; later minors all do, earlier ones do not. All other keys are
# at least as old as OLDEST. RKE2 wraps K3s's commands and must name all of their flags (pkg/cli/cmds/server.go and
# agent.go, read at each release's tag): https://github.com/rancher/rke2. Two have a page of their own:
# helm-controller-arg https://github.com/k3s-io/k3s/issues/14300 (of 1.33.13 from +k3s2 on),
# write-kubeconfig-name https://github.com/k3s-io/k3s/pull/14440.
SINCE = {
    "apiserver-bind-address": "1.30.8 1.31.4 1.32.0",
    "apiserver-port": "1.30.8 1.31.4 1.32.0",
    "etcd-s3-bucket-lookup-type": "1.30.13 1.31.9 1.32.5 1.33.1 1.34.0",
    "etcd-s3-config-secret": "1.30.3 1.31.0",
    "etcd-s3-proxy": "1.30.3 1.31.0",
    "etcd-s3-retention": "1.31.12 1.32.8 1.33.4 1.34.0",
    "etcd-s3-session-token": "1.30.10 1.31.6 1.32.2 1.33.0",
    "etcd-snapshot-reconcile-interval": "1.30.11 1.31.7 1.32.3 1.33.0",
    "helm-controller-arg": "1.33.13 1.34.10 1.35.7 1.36.3 1.37.0",
    "node-external-dns": "1.30.9 1.31.5 1.32.0",
    "node-internal-dns": "1.30.9 1.31.5 1.32.0",
    "nonroot-devices": "1.30.7 1.31.3 1.32.0",
    "secrets-encryption-provider": "1.30.12 1.31.8 1.32.4 1.33.0",
    "supervisor-metrics": "1.30.2 1.31.0",
    "supervisor-port": "1.30.8 1.31.4 1.32.0",
    "write-kubeconfig-group": "1.30.2 1.31.0",
    "write-kubeconfig-name": "1.37.0",
}
# Keys that servers have always known and agents only since these patches; the same source.
AGENT_SINCE = {"bind-address": "1.30.2 1.31.0", "enable-pprof": "1.30.2 1.31.0"}

# Removed from K3s: the release, and what to use instead.
REMOVED_PAGE = "https://github.com/k3s-io/k3s/pull/6574"
REMOVED = {
    "cluster-secret": ("1.26", "token-file"),
    "disable-selinux": ("1.26", "selinux"),
    "no-deploy": ("1.26", "disable"),
    "no-flannel": ("1.26", "flannel-backend: none"),
}
# Old names that K3s still accepts, and the new ones.
DEPRECATED = {
    "helm-job-image": "helm-controller-arg",
    "kube-cloud-controller-arg": "kube-cloud-controller-manager-arg",
    "kube-controller-arg": "kube-controller-manager-arg",
}

# flannel's ipsec and wireguard are gone: https://github.com/k3s-io/k3s/issues/7297 and REMOVED_PAGE.
CHOICES = {
    "egress-selector-mode": ("agent", "cluster", "pod", "disabled"),
    "etcd-s3-bucket-lookup-type": ("auto", "dns", "path"),
    "flannel-backend": ("none", "vxlan", "host-gw", "wireguard-native"),
    "secrets-encryption-provider": ("aescbc", "secretbox"),
    # containerd's plugins; of an unknown one K3s starts without a runtime
    "snapshotter": (
        "overlayfs",
        "fuse-overlayfs",
        "stargz",
        "native",
        "btrfs",
        "zfs",
        "devmapper",
        "blockfile",
        "erofs",
    ),
}

# Keys whose values are addresses, and keys whose values are ranges of ports.
ADDRESSES = (
    "advertise-address",
    "apiserver-bind-address",
    "bind-address",
    "cluster-dns",
    "node-external-ip",
)
PORT_RANGES = ("service-node-port-range",)
# Keys whose values are absolute paths on the node, hosts without a scheme, and names of images.
PATHS = (
    "default-local-storage-path",
    "etcd-snapshot-dir",
    "flannel-cni-conf",
    "flannel-conf",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "log",
    "resolv-conf",
    "vpn-auth-file",
)
HOSTS = ("etcd-s3-endpoint", "system-default-registry")
IMAGES = ("helm-job-image", "pause-image")
CRON = ("etcd-snapshot-schedule-cron",)

# A server with other values cannot join: SERVER_PAGE ("Critical Configuration Values"); supervisor-metrics is in the
# program's list (CriticalControlArgs in pkg/daemons/config/types.go). Of `disable` only CRITICAL_DISABLE matters. The
# agents' token must be the same too, but the configuration only names its file.
CRITICAL = (
    "agent-token-file",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-network-policy",
    "egress-selector-mode",
    "embedded-registry",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
    "supervisor-metrics",
)
CRITICAL_DISABLE = ("servicelb",)

# They give access to the cluster, its backups or its network.
SECRET = (
    "agent-token",
    "datastore-endpoint",
    "etcd-s3-access-key",
    "etcd-s3-proxy",  # its URL may have a login
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "token",
    "vpn-auth",
)
