# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's answers to the plan's questions (base/distribution.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...module_utils.api.certificates import AUTHORITIES
from ...module_utils.node import data_places
from ..base.distribution import (
    Cluster,
    Distribution,
    File,
    Inputs,
    Node,
    Nodes,
    Problems,
    Reason,
    Storage,
    unsupported_plugin,
)
from ..base.findings import Finding, reason
from ..base.model import Datastore
from ..base.reference import KUBEADM_MINIMUM, KUBEADM_PAGE, KUBERNETES_ARCHITECTURES
from ..machine import backup_schedule, containerd, os_settings
from ..network import endpoint, plugins as network
from ..network.plugin import PAGE as NETWORKS_PAGE
from . import artifacts, checks, components, config, config_drift, datastore, etcd_image, node_files, service

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class Kubeadm(Distribution):
    """Upstream's components, started by kubeadm, with containerd beside them."""

    name = "kubeadm"
    restarts_for_older_secrets = True
    has_etcd_programs = True
    has_join_secrets = True
    title = "kubeadm"
    releases_of = "Kubernetes"
    architectures = KUBERNETES_ARCHITECTURES
    inits = ("systemd",)
    minimum = KUBEADM_MINIMUM
    source = KUBEADM_PAGE
    plugins = network.offered_by("kubeadm")
    refuses_small_machines = True
    taints_control_planes = True
    first_action = "pull"
    # kubeadm starts it.
    started_by_join = {"kubelet": True}
    admin_kubeconfig = "/etc/kubernetes/admin.conf"
    version_program = "kubelet"
    parts = ("containerd", "network", "endpoint", "kubelet", "backup")
    uses_hosts_cni = True
    runtimes_in_the_way = {
        # dockerd uses the containerd of the host if it runs: daemon/command/daemon_linux.go of moby/moby.
        "docker": "its containers are in the host's containerd, which a kubeadm node replaces. Use another host, remove "
        "Docker from this one, or set kube_distribution: k3s, which has a containerd inside",
        "containerd": "a kubeadm node replaces it, with its configuration and data. Use another host, remove it from "
        "this one, or set kube_distribution: k3s, which has a containerd inside",
        "crio": "a kubeadm node of this collection runs containerd. Use another host, or remove CRI-O from this one",
    }

    def check_machine(self, host: str, node: Node, joined: bool) -> Problems:
        """See Distribution."""
        return checks.machine(host, node, joined)

    def runtime_unit(self, role: str) -> str:
        """See Distribution."""
        return "containerd"

    def places_for_itself(self, node: Node) -> list[str]:
        """See Distribution."""
        data = node["inputs"]["kube_data_dir"].rstrip("/") or "/var/lib"
        return [*data_places.SHARED, data + "/containerd"]

    def etcd_disk(self, disks: Mapping[str, Any], alone: bool) -> Mapping[str, Any] | None:
        """See Distribution."""
        return datastore.disk(disks)

    def initialised(self, live: Mapping[str, Any]) -> bool:
        """Return True if the last phases of `kubeadm init` (bootstrap-token, addons) left their objects."""
        return bool(
            live.get("healthy")
            and live.get("kubeadm_config")
            and "kubelet-config" in (live.get("config_maps") or [])
            and "coredns" in (live.get("deployments") or [])
            and "kube-proxy" in (live.get("daemonsets") or [])
            and any(CONTROL_PLANE_LABEL in (node.get("labels") or {}) for node in live.get("nodes") or [])
        )

    def complete_control_plane(self, node: Node, row: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
        """See Distribution. Its etcd member must vote."""
        members = live.get("etcd_members")
        votes = members is None or any(
            member.get("name") == node["name"] and not member.get("learner") for member in members
        )
        return (
            CONTROL_PLANE_LABEL in (row.get("labels") or {})
            and self.has_control_plane(node["info"].get("cluster") or {})
            and votes
        )

    def has_etcd_member(self, cluster: Mapping[str, Any]) -> bool:
        """See Distribution. A member without its manifest is still in the cluster."""
        return "etcd.yaml" in (cluster.get("manifests") or []) or bool(cluster.get("etcd_data"))

    def has_control_plane(self, cluster: Mapping[str, Any]) -> bool:
        """See Distribution."""
        return "kube-apiserver.yaml" in (cluster.get("manifests") or [])

    def datastore_places(self, shared: Inputs) -> list[str]:
        """See Distribution."""
        return datastore.places(shared)

    def renewable(self, cluster: Mapping[str, Any]) -> list[str]:
        """See Distribution. Those for an external etcd are its owner's."""
        known, own_etcd = cluster.get("certificates") or {}, "etcd.yaml" in (cluster.get("manifests") or [])
        return [name for name in AUTHORITIES if name in known and (own_etcd or AUTHORITIES[name] != "etcd-ca")]

    def lost_data(self, cluster: Mapping[str, Any]) -> str:
        """See Distribution. kubeadm stores its configuration before the kubelet's kubeconfig is final."""
        if not cluster.get("finished") or not self.has_control_plane(cluster):
            return ""
        live = cluster.get("live") or {}
        if live.get("healthy") and not live.get("kubeadm_config"):
            return "the ConfigMap kubeadm-config in kube-system is missing"
        stacked = "etcd.yaml" in (cluster.get("manifests") or [])
        return "/var/lib/etcd is empty" if stacked and not live.get("healthy") and not cluster.get("etcd_data") else ""

    def datastore(self, nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
        """See Distribution."""
        return datastore.choose(shared, control_planes)

    def plugin(
        self,
        wanted: str,
        needs: Sequence[str],
        pods: Sequence[Any],
        layer2_networks: Mapping[str | None, Sequence[str]],
    ) -> tuple[str, list[Reason], list[Any]]:
        """Return the bridge where it carries all that is asked for, otherwise kube-router."""
        if wanted != "auto":
            return wanted, [], unsupported_plugin(self, wanted)
        value: Any = len(layer2_networks)
        limit: Any = 1
        name = "kube-router"
        if "network_policy" in needs:
            value, limit, why = (
                "network_policy",
                None,
                "kube_needs has network_policy, which the bridge does not enforce",
            )
        elif value > 1:
            why = "the nodes are in %d networks, the bridge needs one" % value
        else:
            name, why = (
                "bridge",
                "all nodes are in one network, and nothing asks for NetworkPolicy: no image, no daemon in the cluster",
            )
        return name, [reason("network", None, value, limit, NETWORKS_PAGE, "%s: %s" % (name, why))], []

    def sets_node_mask(self, shared: Inputs) -> bool:
        """See Distribution."""
        return "node-cidr-mask-size" in str(shared["kubeadm_cluster_config"].get("controllerManager"))

    def without_kube_proxy(self, shared: Inputs) -> bool:
        """See Distribution."""
        off = (shared["kubeadm_cluster_config"].get("proxy") or {}).get("disabled")
        return bool(off) or "addon/kube-proxy" in (shared["kubeadm_init_config"].get("skipPhases") or [])

    def config_api(self, version: tuple[int, int, int | None]) -> str:
        """Return the version of kubeadm's configuration."""
        return config.api_version(version)

    def cluster_fields(
        self, nodes: Nodes, shared: Inputs, chosen: Mapping[str, Any], revision: str
    ) -> tuple[dict[str, Any], list[Reason]]:
        """Return the tag of etcd's image, where it is not kubeadm's own, and the components that nodes have."""
        lives = ((node["info"].get("cluster") or {}).get("live") for node in nodes.values())
        stored = next((found for found in map(config_drift.stored, lives) if found), {})
        tag = etcd_image.chosen(chosen["version"], shared, stored)
        return {"etcd_tag": tag, "components": components.common(nodes)}, []

    def check_cluster(self, nodes: Nodes, shared: Inputs, cluster: Cluster, state: Mapping[str, Any]) -> Problems:
        """Refuse changes that a running cluster cannot take or that site does not apply."""
        if not state["initialised"]:
            return Problems([], [])
        live, wanted = state["live"], config.cluster_configuration(service.config_of(cluster))
        stored = config_drift.stored(live)
        if cluster.get("any_version") or stored.get("kubernetesVersion") not in (None, wanted["kubernetesVersion"]):
            stored = config_drift.with_etcd_of(stored, wanted)
        refusals = config_drift.fixed(stored, wanted)
        refusals += self._edited(nodes, cluster, config_drift.stored(live), wanted)
        kept = [] if cluster.get("upgrades") else components.kept(nodes)
        return Problems(refusals, config_drift.proxy(live, shared["kubeadm_proxy_config"]) + kept)

    @staticmethod
    def _edited(nodes: Nodes, cluster: Cluster, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Finding]:
        """Refuse to lose what somebody edited in manifests, in a run that lets kubeadm write them again."""
        versions = [(row.get("kubernetesVersion"), etcd_image.in_configuration(row)) for row in (stored, wanted)]
        upgrades = cluster.get("upgrades") and versions[0] != versions[1]
        removes = cluster.get("any_version") and not cluster.get("upgrades")
        if not stored or removes or not (upgrades or config_drift.changed(stored, wanted)):
            return []
        found = []
        for host, node in sorted(nodes.items()):
            facts = node["info"].get("cluster") or {}
            if not config.patches(node["inputs"], control_plane=True):  # those may add what they like
                found += config_drift.edited(host, facts.get("flags") or {}, stored, wanted)
            found += config_drift.other_etcd(host, facts.get("etcd_servers") or [], stored)
        return found

    def drift(self, cluster: Cluster, state: Mapping[str, Any]) -> list[str]:
        """See Distribution."""
        if not state["initialised"]:
            return []
        stored = config_drift.stored(state["live"])
        return config_drift.changed(stored, config.cluster_configuration(service.config_of(cluster)))

    def check_node(self, host: str, node: Node, cluster: Cluster, joined: bool) -> Problems:
        """Refuse keys of the kubeadm_* maps that the plan sets, and changes that a member cannot take."""
        refusals = config.problems(node["inputs"]) + checks.data_moved(host, node)
        return Problems(refusals, checks.kept_arguments(host, node))

    def packages(self, node: Node, cluster: Cluster) -> list[str]:
        """See Distribution."""
        more = [*network.by_name(cluster["plugin"]).commands, *backup_schedule.packages(node)]
        return os_settings.packages(node["info"], node["role"], cluster["endpoint"], node["inputs"], more=more)

    def wanted(self, node: Node, cluster: Cluster) -> dict[str, Any]:
        """See Distribution."""
        info, values = node["info"], node["inputs"]
        releases = components.chosen(node, cluster)
        return {
            "settings": os_settings.settings(info, values, cluster["pod_networks"]),
            "packages": self.packages(node, cluster),
            "programs": artifacts.programs(
                cluster["version"], releases, info["architecture"]["name"], values["kube_artifacts"]["checksums"]
            ),
            "files": node_files.files(node, cluster),
            "units": service.UNITS,
        }

    def storage(self, role: str, inputs: Inputs, datastore: str) -> Storage:
        """See Distribution."""
        etcd = "/var/lib/etcd" if role == "control_plane" and not Datastore.parse(datastore).is_external else None
        programs = ("/usr/local/bin", "/opt/cni/bin")
        return Storage(etcd, node_files.runtime_dir(inputs), programs, programs)

    def unit(self, role: str) -> str:
        """See Distribution."""
        return service.UNIT

    def secret_files(self, node: Node, cluster: Cluster) -> list[File]:
        """Return containerd's logins, its environment with the proxy, and the password of the virtual address."""
        values = node["inputs"]
        found = containerd.secret_files(values["kube_registries"], values["kube_http_proxy"], cluster["no_proxy"])
        return found + endpoint.secret_files(node, cluster) + backup_schedule.secret_files(node, cluster)

    def owned_places(self, node: Node) -> dict[str, list[str]]:
        """See Distribution."""
        return node_files.owned_places()

    def secrets_read_at_start(self, paths: Sequence[str]) -> list[str]:
        """See Distribution. containerd reads its environment and the logins when it starts."""
        return [path for path in paths if path in (containerd.LOGINS, containerd.ENVIRONMENT)]

    def documents(self, node: Node, cluster: Cluster) -> dict[str, Any] | None:
        """See Distribution."""
        return service.documents(node, cluster)

    def ports(self, cluster: Cluster) -> list[dict[str, Any]]:
        """See Distribution."""
        return service.ports(cluster)

    def images(self, cluster: Cluster, role: str) -> list[str]:
        """See Distribution."""
        return service.images(cluster, role)

    def image_registries(self, cluster: Cluster) -> list[str]:
        """See Distribution."""
        return sorted({image.partition("/")[0] for image in self.images(cluster, "control_plane")})

    def actions(
        self, node: Node, plan: Mapping[str, Any], inputs: Inputs, info: Mapping[str, Any], part: Collection[str]
    ) -> dict[str, Any]:
        """See Distribution."""
        return service.actions(node, plan, inputs, info)
