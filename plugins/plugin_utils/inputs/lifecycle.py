# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changing each input means for a running cluster, and on which hosts it has to be the same.

The table has a row for every input; a unit test compares it with the argument specs. What only one distribution reads
is said in `note` where that is not clear from the name.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..base.findings import Finding


class Change(enum.Enum):
    """What a change of an input does to a running cluster."""

    BIRTH = "birth"  # fixed for the life of the cluster: refused
    JOIN = "join"  # used when a node joins: a running node keeps what it has
    ROLLING = "rolling"  # applied to running nodes, one after another
    API = "api"  # applied through the API, without touching a node
    CONTROLLER = "controller"  # concerns files on the controller only
    RUN = "run"  # affects this run only


class Scope(enum.Enum):
    """On which hosts an input must have the same value."""

    CLUSTER = "cluster"
    SERVERS = "servers"
    HOST = "host"


@dataclass(frozen=True)
class Row:
    """One input.

    steps: the plan's steps that a rolling change causes. configuration: its place in kubeadm's ClusterConfiguration.
    setting: its name in K3s's configuration. fact: where the running value is in a control plane's facts, by
    distribution. note: what a reader cannot guess.
    """

    change: Change
    scope: Scope = Scope.HOST
    steps: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    setting: str = ""
    fact: tuple[tuple[str, tuple[str, ...]], ...] = ()
    note: str = ""


def _birth(**more: Any) -> Row:
    return Row(Change.BIRTH, Scope.CLUSTER, **more)


def _rolling(*steps: str, scope: Scope = Scope.HOST, note: str = "") -> Row:
    return Row(Change.ROLLING, scope, steps, note=note)


_RUN = Row(Change.RUN)
_CLUSTER_RUN = Row(Change.RUN, Scope.CLUSTER)

LIFECYCLE: dict[str, Row] = {
    # roles/kube
    "kube_distribution": _birth(note="compared with what is installed"),
    "kube_version": _birth(note="compared with the API's version; the playbook upgrade changes it"),
    "kube_needs": Row(
        Change.JOIN, Scope.CLUSTER, note="decides values that are auto; a running cluster keeps what was decided"
    ),
    "kube_cluster_name": _birth(configuration=("clusterName",), note="K3s: only in the kubeconfig on the controller"),
    "kube_cluster_domain": _birth(configuration=("networking", "dnsDomain"), setting="cluster-domain"),
    "kube_api_endpoint": _birth(configuration=("controlPlaneEndpoint",), note="K3s: agents follow, rolling"),
    "kube_api_port": _birth(fact=(("kubeadm", ("cluster", "live", "api_port")), ("k3s", ("cluster", "port")))),
    "kube_api_sans": _rolling("control-plane", "k3s", scope=Scope.CLUSTER),
    "kube_pod_cidrs": _birth(configuration=("networking", "podSubnet"), setting="cluster-cidr"),
    "kube_service_cidrs": _birth(configuration=("networking", "serviceSubnet"), setting="service-cidr"),
    "kube_network": Row(
        Change.JOIN, Scope.CLUSTER, ("network",), note="a running cluster keeps its plugin; its options are applied"
    ),
    "kube_proxy_mode": Row(Change.JOIN, Scope.CLUSTER, note="a running cluster keeps its mode"),
    "kube_node_name": Row(Change.BIRTH, note="compared with the name of the machine's Node"),
    "kube_node_ip": Row(
        Change.JOIN, note="a member keeps its address, another one is refused; K3s: an agent takes it, rolling"
    ),
    "kube_node_labels": Row(Change.API),
    "kube_node_taints": Row(Change.API),
    "kube_registries": _rolling("containerd", "credentials", "k3s"),
    "kube_artifacts": Row(
        Change.JOIN,
        note="the playbook upgrade installs other versions on running nodes; another source changes nothing",
    ),
    "kube_http_proxy": _rolling("credentials"),
    "kube_data_dir": Row(Change.BIRTH, note="compared with where a member's data are, which are not moved"),
    "kube_reserved": _rolling("kubelet", "k3s"),
    "kubelet_config": _rolling("kubelet", "k3s"),
    "kube_manifests": Row(Change.API, Scope.CLUSTER),
    "kube_hooks": _RUN,
    "kube_backup": _rolling(
        "backup", scope=Scope.SERVERS, note="schedule: its timer on control planes, and nothing that runs is restarted"
    ),
    "kube_kubeconfig": Row(Change.CONTROLLER, Scope.CLUSTER),
    "kube_workers_at_once": _CLUSTER_RUN,
    "kube_swap": _rolling("settings", note="with keep, swap that was turned off comes back with reset only"),
    "kube_allow_reboot": _RUN,
    "kube_journald": _rolling("settings"),
    "kube_allow_cgroup_v1": _RUN,
    "kube_allow_small_nodes": _RUN,
    "kube_clock_tolerance": _CLUSTER_RUN,
    "kube_time_service": _rolling("packages", note="a time service that is installed stays"),
    # roles/kubeadm
    "kubeadm_cluster_config": _rolling("control-plane", scope=Scope.CLUSTER),
    "kubeadm_init_config": Row(Change.JOIN, note="the plan names arguments of the kubelet that differ"),
    "kubeadm_join_config": Row(Change.JOIN, note="the plan names arguments of the kubelet that differ"),
    "kubeadm_proxy_config": Row(
        Change.JOIN, Scope.CLUSTER, note="kube-proxy's ConfigMap is written when the cluster starts"
    ),
    "kubeadm_ignore_preflight_errors": _RUN,
    "kubeadm_timeout": _RUN,
    # roles/k3s
    "k3s_install_method": _rolling("k3s", "script"),
    "k3s_install_script": _rolling("script"),
    "k3s_binary": _rolling("k3s"),
    "k3s_images": _rolling("programs", note="an archive that was copied stays"),
    "k3s_config": _rolling("k3s"),
    "k3s_disable": _rolling("k3s", scope=Scope.SERVERS),
    "k3s_keep": _rolling("k3s", scope=Scope.SERVERS),
    "k3s_manifests": _rolling(
        "k3s", "credentials", scope=Scope.SERVERS, note="K3s applies changed files itself and is not restarted"
    ),
    "k3s_helm_charts": _rolling("k3s", scope=Scope.SERVERS, note="as k3s_manifests"),
    "k3s_helm_configs": _rolling("k3s", scope=Scope.SERVERS, note="as k3s_manifests"),
    "k3s_secrets_encryption": _birth(note="compared with what the servers have: they keep it, and cannot turn it on"),
    "k3s_datastore_endpoint": Row(Change.BIRTH, note="compared with what the servers have"),
    "k3s_datastore_tls": _rolling("credentials"),
    "k3s_datastore": _birth(note="compared with what the servers have"),
    "k3s_convert_datastore": _CLUSTER_RUN,
    "k3s_token": Row(Change.JOIN, note="opens an external database for new servers; a running cluster keeps its token"),
    "k3s_server_url": _rolling(
        "k3s", scope=Scope.CLUSTER, note="agents of another inventory's cluster restart with the other address"
    ),
    "k3s_join_token": Row(Change.JOIN, note="a joined agent keeps its own"),
    "k3s_bootstrap_token_ttl": _CLUSTER_RUN,
    "k3s_hardened": _rolling("settings", "k3s", scope=Scope.CLUSTER),
    "k3s_embedded_registry": _rolling("k3s", scope=Scope.CLUSTER),
    "k3s_timeout": _RUN,
}


def names(scope: Scope) -> list[str]:
    """Return the inputs of a scope, in the order of the table."""
    return [name for name, row in LIFECYCLE.items() if row.scope is scope]


def configurations() -> dict[tuple[str, ...], str]:
    """Return the inputs that kubeadm's ClusterConfiguration fixes, by their place in it."""
    return {row.configuration: name for name, row in LIFECYCLE.items() if row.configuration}


def settings() -> dict[str, str]:
    """Return the inputs that K3s never changes, by its setting (https://docs.k3s.io/cli/server#critical-configuration-values)."""
    return {row.setting: name for name, row in LIFECYCLE.items() if row.setting}


def changed_at_birth(host: str, values: Mapping[str, Any], info: Mapping[str, Any], distribution: str) -> list[Finding]:
    """Return a refusal for each input that differs from the running value in a control plane's facts."""
    found = []
    for name, row in LIFECYCLE.items():
        running: Any = info
        path = dict(row.fact).get(distribution, ())
        for key in path:
            running = running.get(key) if isinstance(running, Mapping) else None
        if path and running is not None and running != values[name]:
            text = (
                "%s: the running cluster has %s on %s and keeps it for life, the inventory says %s. Set it back, "
                "or create a new cluster."
            )
            found.append(
                Finding("inputs.fixed", text % (name, running, host, values[name]), host, values[name], running)
            )
    return found
