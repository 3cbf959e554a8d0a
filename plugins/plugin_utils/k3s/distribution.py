# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's answers to the plan's questions (base/distribution.py)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..base.distribution import (
    Cluster,
    DatastoreChoice,
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
from ..base.reference import K3S_ARCHITECTURES, K3S_BALANCER_PORT, K3S_MINIMUM, K3S_PAGE, K3S_REVISION
from ..machine import backup_schedule, os_settings
from ..network import endpoint, flannel, plugins as network
from . import (
    agents_only,
    artifacts,
    auto_deploy,
    checks,
    config,
    config_checks,
    datastore,
    hardening,
    node_files,
    packaged_components,
    selinux,
    service,
)

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
NETWORK_PAGE = "https://docs.k3s.io/networking/basic-network-options"


class K3s(Distribution):
    """K3s: one program with its own containerd, datastore and packaged components."""

    name = "k3s"
    title = "K3s"
    releases_of = "K3s"
    release_suffix = "+k3s"
    architectures = K3S_ARCHITECTURES
    inits = ("systemd", "openrc")
    minimum = K3S_MINIMUM
    source = K3S_PAGE
    plugins = network.offered_by("k3s")
    unread_keys = {"kube_artifacts": ("versions",)}  # it brings its own containerd, runc and network programs
    registry_rewrites = True
    balancer_port = K3S_BALANCER_PORT
    refuses_small_machines = False
    taints_control_planes = False
    first_action = "join"
    started_by_join = {"k3s": False, "k3s-agent": False}
    joins_during_start = True
    servers_leave = True
    one_program = True
    own_backup = "etcd's own tool (etcdctl snapshot save), and save /var/lib/rancher/k3s/server/token too"
    renews_at_start = True
    remembers_nodes = True
    uses_host_cni = False
    admin_kubeconfig = "/etc/rancher/k3s/k3s.yaml"
    version_program = "k3s"
    parts = ("endpoint", "k3s", "backup")
    # contrib/cni/11-crio-ipv4-bridge.conflist of CRI-O. Docker and another containerd can run beside K3s's own.
    runtimes_in_the_way = {
        "crio": "its bridge has the name of the pods' bridge (cni0). Use another host, or remove CRI-O from this one"
    }
    restarts_for_older_secrets = True

    def check_machine(self, host: str, node: Node, joined: bool) -> Problems:
        """See Distribution."""
        return checks.machine(host, node)

    def etcd_disk(self, disks: Mapping[str, Any], alone: bool) -> Mapping[str, Any] | None:
        """See Distribution. A single server stores in SQLite."""
        return None if alone else datastore.disk(disks)

    def initialised(self, live: Mapping[str, Any]) -> bool:
        """See Distribution."""
        return bool(live.get("healthy") and live.get("nodes"))

    def complete_control_plane(self, node: Node, row: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
        """See Distribution."""
        # The Node of a server whose data are gone, as after a restore, still says that it votes.
        if not (node["info"].get("cluster") or {}).get("datastore"):
            return False
        return CONTROL_PLANE_LABEL in (row.get("labels") or {}) and row.get("etcd_voter") is not False

    def datastore_places(self, shared: Inputs) -> list[str]:
        """See Distribution."""
        return datastore.places(shared["k3s_datastore_endpoint"])

    def keeps_address(self, role: str) -> bool:
        """Return True for servers, whose etcd has their address; an agent takes another one when it restarts."""
        return role == "control_plane"

    def has_etcd_member(self, cluster: Mapping[str, Any]) -> bool:
        """See Distribution."""
        return cluster.get("role") == "control_plane" and cluster.get("datastore") in ("etcd", "torn")

    def has_control_plane(self, cluster: Mapping[str, Any]) -> bool:
        """See Distribution."""
        return True

    def renewable(self, cluster: Mapping[str, Any]) -> list[str]:
        """See Distribution. Its facts have only those that it makes."""
        return sorted(cluster.get("certificates") or {})

    def lost_data(self, cluster: Mapping[str, Any]) -> str:
        """See Distribution. A server that started has written its administrator's kubeconfig."""
        missing = cluster.get("admin_conf") and not cluster.get("datastore") and not cluster.get("etcd_data")
        return "%s/server is empty" % (cluster.get("data_dir") or config.DATA_DIR) if missing else ""

    def can_reopen(self, shared: Inputs, datastore: str) -> bool | None:
        """See Distribution. The token opens the cluster in an external datastore."""
        return bool(shared["k3s_token"]) if Datastore.parse(datastore).is_external else None

    def joins_elsewhere(self, inputs: Inputs) -> bool:
        """See Distribution."""
        return bool(inputs["k3s_server_url"])

    def check_joining_elsewhere(self, node: Node, control_planes: Sequence[str]) -> list[Any]:
        """See Distribution."""
        return agents_only.problems(node["inputs"], control_planes, node["info"], node["host"])

    def inputs_to_join_elsewhere(self, shared: Inputs) -> dict[str, Any]:
        """See Distribution."""
        return agents_only.joining_inputs(shared)

    def datastore(self, nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
        """See Distribution."""
        return datastore.choose(nodes, shared, control_planes)

    def settle_datastore(
        self, wanted: str, nodes: Nodes, shared: Inputs, control_planes: Sequence[str], healthy: bool
    ) -> DatastoreChoice:
        """Return the datastore; what K3s's servers use already matters more than the size of the inventory."""
        if datastore.are_several_clusters(nodes, control_planes):
            return DatastoreChoice(wanted, None, Problems([], []))
        known = datastore.in_use(nodes, control_planes)
        name, converts, refusals = datastore.settle(wanted, known, shared["k3s_convert_datastore"], healthy)
        if not converts:
            return DatastoreChoice(name, None, Problems(refusals, []))
        text = (
            "%s will be converted from SQLite to embedded etcd. Its API is unavailable for about a minute." % converts
        )
        warning = Finding("datastore.converting", text, converts, datastore.SQLITE, name)
        return DatastoreChoice(name, converts, Problems(refusals, [warning]))

    def datastore_shown(self, shared: Inputs, datastore_name: str) -> str:
        """See Distribution."""
        return datastore.shown(shared["k3s_datastore_endpoint"]) if Datastore.parse(datastore_name).is_external else ""

    def installed_version(self, nodes: Nodes) -> str:
        """See Distribution."""
        return artifacts.present(nodes)

    def plugin(
        self,
        wanted: str,
        needs: Sequence[str],
        pods: Sequence[Any],
        layer2_networks: Mapping[str | None, Sequence[str]],
    ) -> tuple[str, list[Reason], list[Any]]:
        """Return flannel, which K3s brings with a controller for NetworkPolicy, unless another plugin is asked for."""
        if wanted != "auto":
            return wanted, [], unsupported_plugin(self, wanted)
        text = "flannel: K3s brings it, with NetworkPolicy"
        return "flannel", [reason("network", None, None, None, NETWORK_PAGE, text)], []

    def cluster_fields(
        self, nodes: Nodes, shared: Inputs, chosen: Mapping[str, Any], revision: str
    ) -> tuple[dict[str, Any], list[Reason]]:
        """Return `disable`, the packaged components that are off, and `release`, such as v1.36.3+k3s1."""
        servers = any(node["role"] == "control_plane" for node in nodes.values())
        disable, why = packaged_components.off(shared, chosen["plugin"]) if servers else ([], [])
        return {"disable": disable, "release": "v%s+%s" % (chosen["version"], revision or K3S_REVISION)}, why

    def sets_node_mask(self, shared: Inputs) -> bool:
        """See Distribution."""
        return "node-cidr-mask-size" in str(shared["k3s_config"])

    def without_kube_proxy(self, shared: Inputs) -> bool:
        """See Distribution."""
        return packaged_components.is_on(shared, "disable-kube-proxy")

    def shares_images(self, inputs: Inputs) -> bool:
        """See Distribution."""
        return bool(inputs["k3s_embedded_registry"])

    def encrypts_secrets(self, nodes: Nodes, shared: Inputs, exists: bool) -> bool:
        """See Distribution."""
        return hardening.encrypted(nodes, shared, exists)

    def check_cluster(self, nodes: Nodes, shared: Inputs, cluster: Cluster, state: Mapping[str, Any]) -> Problems:
        """See Distribution."""
        return checks.cluster(nodes, shared, cluster, state)

    def drift(self, cluster: Cluster, state: Mapping[str, Any]) -> list[str]:
        """Return nothing: K3s reads all of its configuration from each server's files."""
        return []

    def check_node(self, host: str, node: Node, cluster: Cluster, joined: bool) -> Problems:
        """See Distribution."""
        values = node["inputs"]
        found = datastore.moved(host, node) + datastore.other_database(host, node)
        if not config_checks.covers(cluster["version"]):
            return Problems(found, [])  # too old, which is refused for the cluster
        found += config_checks.problems(values["k3s_config"], node["role"], cluster["version"])
        found += checks.unknown_interface(host, node) + artifacts.problems(host, node, cluster["release"])
        found += selinux.problems(host, node)
        found += hardening.problems(host, node, cluster["shared"]["k3s_hardened"])
        old_names = config_checks.deprecated(values["k3s_config"], cluster["version"])
        ingress = checks.ingress_ports(host, node, cluster["disable"], joined)
        problems = Problems(found, old_names + ingress) + Problems(*datastore.reach(host, node, joined))
        own = {"flannel-iface", "flannel-conf"} & set(values["k3s_config"])
        if cluster["plugin"] != flannel.Flannel.name or own:
            return problems
        apart = flannel.check_addresses(host, node["addresses"], node["info"]["network"])
        return problems + (Problems([], apart) if joined else Problems(apart, []))

    def ports_held(self, endpoint: Mapping[str, Any]) -> list[tuple[int, str]]:
        """See Distribution."""
        return service.ports_held(endpoint)

    def packages(self, node: Node, cluster: Cluster) -> list[str]:
        """See Distribution. K3s brings the programs that it calls."""
        more = backup_schedule.packages(node)
        found = os_settings.packages(node["info"], node["role"], cluster["endpoint"], node["inputs"], (), more)
        return sorted(found + selinux.packages(node))

    def wanted(self, node: Node, cluster: Cluster) -> dict[str, Any]:
        """Return the desired state {settings, packages, programs, environment, script, files} of one node."""
        info, values = node["info"], node["inputs"]
        settings = os_settings.settings(info, values, cluster["pod_networks"])
        if cluster["shared"]["k3s_hardened"]:
            settings["sysctls"].update(hardening.SYSCTLS)
        unit, environment = service.unit_path(node), service.environment_path(node)
        return {
            "settings": settings,
            "packages": self.packages(node, cluster),
            "programs": artifacts.programs(node, cluster),
            "environment": environment,
            "script": artifacts.script(node, unit, environment),
            "settles": node_files.settles(node, cluster),
            "files": {
                "repository": selinux.files(node),
                "endpoint": endpoint.files(node, cluster),
                "k3s": node_files.files(node, cluster),
                "backup": backup_schedule.files(node),
            },
            "units": {
                "endpoint": endpoint.UNITS,
                "k3s": [service.unit(node["role"])],
                "repository": [],
                "backup": backup_schedule.UNITS,
            },
        }

    def wrong_script(self, script: Mapping[str, Any], wrong: Mapping[str, str], facts: Mapping[str, Any]) -> list[str]:
        """See Distribution."""
        return artifacts.wrong_script(script, wrong, facts)

    def data_dir(self, inputs: Inputs) -> str | None:
        """See Distribution."""
        return config.data_dir(dict(inputs))

    def storage(self, role: str, inputs: Inputs, datastore: str) -> Storage:
        """See Distribution."""
        data = config.data_dir(inputs)
        own = role == "control_plane" and not Datastore.parse(datastore).is_external
        existing = inputs["k3s_install_method"] == "existing"
        program = os.path.dirname(inputs["k3s_binary"] if existing else artifacts.BINARY)
        overlay = inputs["k3s_config"].get("snapshotter", "overlayfs") == "overlayfs"
        return Storage(
            data + "/server/db/etcd" if own else None,
            data + "/agent/containerd",
            () if existing else (program,),
            (program, data + "/data"),
            overlay,
        )

    def unit(self, role: str) -> str:
        """See Distribution."""
        return service.unit(role)

    def secret_files(self, node: Node, cluster: Cluster) -> list[File]:
        """See Distribution."""
        return node_files.secret_files(node, cluster)

    def owned_places(self, node: Node) -> dict[str, list[str]]:
        """See Distribution."""
        return node_files.owned_places(node)

    def ports(self, cluster: Cluster) -> list[dict[str, Any]]:
        """See Distribution."""
        return service.ports(cluster)

    def images(self, cluster: Cluster, role: str) -> list[str]:
        """Return nothing: K3s pulls what its releases list (k3s-images.txt)."""
        return []

    def image_registries(self, cluster: Cluster) -> list[str]:
        """See Distribution."""
        shared = cluster["shared"]
        return [] if artifacts.archived(shared, shared["kube_needs"]) else ["docker.io"]

    def manifests(self, shared: Inputs, nodes: Nodes) -> list[dict[str, Any]]:
        """Return the objects of the hardened profile."""
        return hardening.manifests(shared, nodes)

    def auto_deployed(self, shared: Inputs, nodes: Nodes) -> dict[str, Any] | None:
        """See Distribution."""
        return {"wanted": auto_deploy.digests(shared), "kept": node_files.kept_deployed(shared, nodes)}

    def actions(
        self, node: Node, plan: Mapping[str, Any], inputs: Inputs, info: Mapping[str, Any], part: Collection[str]
    ) -> dict[str, Any]:
        """See Distribution."""
        return service.actions(node, plan, inputs, info, part)

    def tokens(self, inputs: Inputs) -> dict[str, str]:
        """Return the token that a new cluster takes, and the one to join a cluster made elsewhere."""
        return {"token": inputs["k3s_token"] or "", "join_token": inputs["k3s_join_token"] or ""}

    def bootstrap_ttl(self, shared: Inputs) -> str:
        """See Distribution."""
        return str(shared["k3s_bootstrap_token_ttl"])
